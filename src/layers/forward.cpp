#include "layers/forward.hpp"

#include <algorithm>
#include <memory>
#include <vector>

#include "attn/attention.hpp"
#include "attn/kv_cache.hpp"
#include "base/tasks.hpp"
#include "check/check.hpp"
#include "check/view.hpp"
#include "layers/checks.hpp"
#include "layers/projection.hpp"

namespace attn {
namespace {

// Q, K and V as the projections lay them down, and the attention over them.
struct Work {
  std::unique_ptr<float[]> q, kv;  // kv: of a context, else K and V stand beside Q
  std::int64_t q_stride, kv_stride;  // floats from token to token
  Tensor key, value;  // of this call's sources
  std::unique_ptr<float[]> heads;  // attention's output, if it is projected
  std::unique_ptr<float[]> weights;  // of all heads, if their mean is wanted
  std::vector<std::int64_t> lengths;  // of the cache, once it has this call's rows
  AttentionArgs args;
};

void allocate(const LayerParts& p, const LayerCall& c, const Extent& e, Work& w) {
  const ForwardOptions& o = c.options;
  w.q_stride = o.context ? p.query_columns() : p.qkv->out_dim();
  w.q = scratch_floats(floats("Q, K and V", e.rows, w.q_stride));
  w.kv_stride = w.q_stride;
  const float* kv = w.q.get() + p.first_key_column;
  if (o.context) {
    w.kv_stride = 2 * p.key_columns();
    w.kv = scratch_floats(floats("K and V", e.source_rows, w.kv_stride));
    kv = w.kv.get();
  }
  w.key = {kv, DType::f32, e.source_length * w.kv_stride, p.head_dim, w.kv_stride};
  w.value = w.key;
  w.value.data = kv + p.key_columns();
  if (p.out) w.heads = scratch_floats(floats("the heads", e.rows, p.query_heads, p.head_dim));
  if (c.weights && o.average_weights) w.weights = scratch_floats(floats("weights", e.rows, p.query_heads, e.keys));
}

void fill(const LayerParts& p, const LayerCall& c, const Extent& e, Work& w) {
  const ForwardOptions& o = c.options;
  AttentionArgs& a = w.args;
  a.batch = c.batch;
  a.query_heads = p.query_heads;
  a.kv_heads = p.kv_heads;
  a.query_length = c.length;
  a.key_length = e.keys;
  a.head_dim = a.value_dim = p.head_dim;
  a.query = {w.q.get(), DType::f32, c.length * w.q_stride, p.head_dim, w.q_stride};
  a.key = w.key;
  a.value = w.value;
  a.output = bthd(w.heads ? w.heads.get() : c.output, p.query_heads, c.length, p.head_dim);
  if (c.weights) {
    a.weights = bhtd(w.weights ? w.weights.get() : c.weights, p.query_heads, c.length, e.keys);
    if (o.cu_lengths) a.weights.head_stride = e.rows * e.keys;
  }
  a.causal = o.causal;
  a.alignment = o.alignment;
  a.key_lengths = o.key_lengths;
  a.mask = o.mask;
  a.bias = o.bias;
  a.cu_query_lengths = o.cu_lengths;
  a.cu_key_lengths = o.context ? o.cu_context_lengths : o.cu_lengths;
  a.path = c.options.path;
  a.parallel = o.parallel;
  if (!o.cache) return;
  a.key = o.cache->key;
  a.value = o.cache->value;
  for (std::int64_t b = 0; b < c.batch; ++b)
    w.lengths.push_back(o.cache->lengths[b] + (o.key_lengths ? o.key_lengths[b] : e.source_length));
  a.key_lengths = w.lengths.data();
  if (o.context) return;
  a.alignment = Alignment::given;  // the first token stands behind the rows in use
  a.query_offsets = o.cache->lengths;
}

// Before anything is written. The layer's own arrays under the names that the caller knows, then the attention.
void require_arguments(const LayerParts& p, const LayerCall& c, const Extent& e, const Work& w) {
  const ForwardOptions& o = c.options;
  if (e.rows > 0) {
    require_data("x", c.x);
    require_data("output", c.output);
  }
  const LayerCache cache = o.cache ? *o.cache : LayerCache();
  using check::view;
  const std::int64_t batch = c.batch, kv_heads = o.cache ? p.kv_heads : 0;
  check::View inputs[] = {
      view("x", c.x, e.rows * p.embed_dim),
      view("context", o.context, o.context ? e.source_rows * p.kv_dim : 0),
      view("key_lengths", o.key_lengths, batch),
      view("cu_lengths", o.cu_lengths, batch + 1),
      view("cu_context_lengths", o.cu_context_lengths, batch + 1),
      view("mask", o.mask, 1, w.args, w.args.key_length),
      view("bias", o.bias, is_floating(o.bias.dtype) ? size_of(o.bias.dtype) : 4, w.args, w.args.key_length),
      view("bias.head_factors", o.bias.data ? o.bias.head_factors : nullptr, p.query_heads)};
  check::View results[] = {
      view("output", c.output, static_cast<std::int64_t>(e.output_floats)),
      view("weights", c.weights, static_cast<std::int64_t>(e.weights_floats)),
      view("cache->key", cache.key, batch, kv_heads, cache.capacity, p.head_dim),
      view("cache->value", cache.value, batch, kv_heads, cache.capacity, p.head_dim),
      view("cache->lengths", cache.lengths, batch)};
  throw_if_error(check::all_apart(inputs, results));
  // attention() refuses the rest before it writes; append() has written by then.
  if (o.cache) throw_if_error(check::attention(w.args, w.args.path));
}

void project(const LayerParts& p, const LayerCall& c, const Extent& e, const Work& w) {
  const ForwardOptions& o = c.options;
  const Rows queries{c.x, e.rows, w.q.get(), w.q_stride};
  Columns{0, w.q_stride}.multiply(*p.qkv, queries, o.parallel);
  if (!o.context) return;
  const Rows sources{o.context, e.source_rows, w.kv.get(), w.kv_stride};
  Columns{p.kv ? 0 : p.first_key_column, w.kv_stride}.multiply(p.kv ? *p.kv : *p.qkv, sources, o.parallel);
}

// The sources' keys and values behind the rows in use. The caller's lengths stay: `lengths` takes the new ones.
void append_to(const LayerCache& cache, const LayerParts& p, const LayerCall& c, const Extent& e, const Work& w) {
  std::vector<std::int64_t> lengths(cache.lengths, cache.lengths + c.batch);
  AppendArgs a;
  a.batch = c.batch;
  a.kv_heads = p.kv_heads;
  a.new_length = e.source_length;
  a.capacity = cache.capacity;
  a.head_dim = a.value_dim = p.head_dim;
  a.key = w.key;
  a.value = w.value;
  a.key_cache = cache.key;
  a.value_cache = cache.value;
  a.new_lengths = c.options.key_lengths;
  a.lengths = lengths.data();
  throw_if_error(append(a));
}

//   mean[i] = (weights[0][i] + weights[1][i] + ...) * (1 / heads), for each of `batch` items of `count` floats
void mean_over_heads(
    const float* weights, std::int64_t batch, std::int64_t heads, std::int64_t count, float* mean,
    const Parallel* parallel) {
  constexpr std::int64_t chunk = 4096;  // a task: stays in L1 while head after head is added
  const std::int64_t chunks = (count + chunk - 1) / chunk;
  const float factor = 1.0f / static_cast<float>(heads);
  for_each({parallel, parallel ? parallel->threads : 1}, batch * chunks, [&](std::int64_t, std::int64_t task) {
    const std::int64_t b = task / chunks, first = task % chunks * chunk, n = std::min(chunk, count - first);
    const float* from = weights + b * heads * count + first;
    float* to = mean + b * count + first;
    std::copy_n(from, n, to);
    for (std::int64_t h = 1; h < heads; ++h)
      for (std::int64_t i = 0; i < n; ++i) to[i] += from[h * count + i];
    for (std::int64_t i = 0; i < n; ++i) to[i] *= factor;
  });
}

}  // namespace

void run_layer(const LayerParts& p, const LayerCall& c) {
  const ForwardOptions& o = c.options;
  const Extent e = extent_of(p, c, c.weights);
  Work w;
  allocate(p, c, e, w);
  fill(p, c, e, w);
  require_arguments(p, c, e, w);

  project(p, c, e, w);
  if (o.cache) append_to(*o.cache, p, c, e, w);
  throw_if_error(attention(w.args));
  if (w.weights) {
    const bool packed = o.cu_lengths;
    mean_over_heads(
        w.weights.get(), packed ? 1 : c.batch, p.query_heads, (packed ? e.rows : c.length) * e.keys, c.weights,
        o.parallel);
  }
  if (p.out) Columns{0, p.embed_dim}.multiply(*p.out, {w.heads.get(), e.rows, c.output, p.embed_dim}, o.parallel);
  if (o.cache) std::copy(w.lengths.begin(), w.lengths.end(), o.cache->lengths);
}

}  // namespace attn
