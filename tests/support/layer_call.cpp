#include "support/layer_call.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "support/compare.hpp"
#include "support/elements.hpp"
#include "support/oracle.hpp"

namespace test {
namespace {

std::int64_t bytes_of(attn::DType type) { return type == attn::DType::f32 ? 4 : 2; }

// Sizes and row-major strides of [batch, heads, rows, columns] in which only `whole` dimensions have a stride.
std::int64_t set_strides(const std::int64_t (&sizes)[4], const bool (&whole)[4], std::int64_t (&strides)[4]) {
  std::int64_t count = 1;
  for (int i = 3; i >= 0; --i) {
    strides[i] = whole[i] ? count : 0;
    if (whole[i]) count *= sizes[i];
  }
  return count;
}

}  // namespace

attn::LayerCache CacheMemory::view() {
  attn::LayerCache c;
  const std::int64_t rows = kv_heads * capacity, d = head_dim;
  c.key = {key.data(), type, rows * d, capacity * d, d};
  if (layout == interleaved) c.key = {key.data(), type, rows * 2 * d, capacity * 2 * d, 2 * d};
  if (layout == rows_first) c.key = {key.data(), type, rows * d, d, kv_heads * d};
  c.value = c.key;
  c.value.data = layout == interleaved ? key.data() + d * bytes_of(type) : value.data();
  c.capacity = capacity;
  c.lengths = lengths.data();
  return c;
}

CacheMemory make_cache(
    Random& random, const Layer& layer, std::vector<std::int64_t> lengths, std::int64_t capacity, attn::DType type,
    CacheMemory::Layout layout) {
  CacheMemory c;
  c.type = type;
  c.layout = layout;
  c.batch = static_cast<std::int64_t>(lengths.size());
  c.kv_heads = layer.kv_heads;
  c.capacity = capacity;
  c.head_dim = layer.head_dim;
  c.lengths = std::move(lengths);
  const std::size_t bytes = index(c.batch * c.kv_heads * capacity * c.head_dim * bytes_of(type));
  c.key.assign(layout == CacheMemory::interleaved ? 2 * bytes : bytes, 0xff);
  if (layout != CacheMemory::interleaved) c.value.assign(bytes, 0xff);
  const attn::LayerCache view = c.view();
  for (const attn::Output& t : {view.key, view.value})
    for (std::int64_t b = 0; b < c.batch; ++b)
      for (std::int64_t h = 0; h < c.kv_heads; ++h)
        for (std::int64_t r = 0; r < c.lengths[index(b)]; ++r)
          for (std::int64_t e = 0; e < c.head_dim; ++e) {
            // Eighths below 4 are numbers of every type.
            Elements one(std::vector<double>{std::round(8 * std::min(random.normal(), 3.0f)) / 8.0}, type);
            const std::int64_t at = b * t.batch_stride + h * t.head_stride + r * t.row_stride + e;
            std::memcpy(static_cast<char*>(t.data) + at * bytes_of(type), one.data(), index(bytes_of(type)));
          }
  return c;
}

std::int64_t LayerCall::keys() const {
  if (!cache.empty()) return cache[0].capacity;
  return has_context ? context_length : length;
}

void LayerCall::add_mask(Random& random, const Layer& layer, const bool (&whole)[4]) {
  const std::int64_t count = set_strides({batch, layer.num_heads, length, keys()}, whole, mask_strides);
  mask.resize(index(std::max<std::int64_t>(count, 1)));
  for (unsigned char& m : mask) m = random.integer(0, 3) > 0 ? 1 : 0;
}

void LayerCall::add_bias(Random& random, const Layer& layer, const bool (&whole)[4], bool with_factors) {
  const std::int64_t count = set_strides({batch, layer.num_heads, length, keys()}, whole, bias_strides);
  bias = random.normals(index(std::max<std::int64_t>(count, 1)));
  for (float& b : bias)
    if (random.integer(0, 5) == 0) b = -std::numeric_limits<float>::infinity();
  if (with_factors) head_factors = random.normals(index(layer.num_heads));
}

namespace {

attn::ForwardOptions options_of(const LayerCall& c, const attn::LayerCache* cache) {
  static const float no_rows[1] = {};
  const auto pointer = [](const auto& v) { return v.empty() ? nullptr : v.data(); };
  attn::ForwardOptions o = c.options;
  o.key_lengths = pointer(c.key_lengths);
  o.cu_lengths = pointer(c.cu_lengths);
  o.cu_context_lengths = pointer(c.cu_context_lengths);
  if (c.has_context) {
    o.context = c.context.empty() ? no_rows : c.context.data();
    o.context_length = c.context_length;
  }
  if (!c.mask.empty())
    o.mask = {c.mask.data(), c.mask_strides[0], c.mask_strides[1], c.mask_strides[2], c.mask_strides[3]};
  if (!c.bias.empty())
    o.bias = {c.bias.data(),     attn::DType::f32,  c.bias_strides[0],      c.bias_strides[1],
              c.bias_strides[2], c.bias_strides[3], pointer(c.head_factors)};
  o.cache = cache;
  return o;
}

// The cache after the call: new rows as the formula has them, every other byte as before.
std::string cache_difference(
    const LayerCall& c, CacheMemory before, CacheMemory after, const LayerResult& want, const Layer& l) {
  const std::int64_t source_length = c.has_context ? c.context_length : c.length, columns = l.kv_heads * l.head_dim;
  const double rounding = after.type == attn::DType::f16 ? 0x1p-11 : after.type == attn::DType::bf16 ? 0x1p-8 : 0;
  const attn::LayerCache old = before.view(), now = after.view();
  for (std::int64_t b = 0; b < c.batch; ++b) {
    const std::int64_t added = c.key_lengths.empty() ? source_length : c.key_lengths[index(b)];
    if (now.lengths[b] != old.lengths[b] + added) return "cache->lengths[" + std::to_string(b) + "] is wrong";
    for (const bool value : {false, true})
      for (std::int64_t h = 0; h < l.kv_heads; ++h)
        for (std::int64_t r = 0; r < added; ++r)
          for (std::int64_t e = 0; e < l.head_dim; ++e) {
            const std::int64_t at = old.lengths[b] + r;
            const double wanted =
                (value ? want.value : want.key)[index((b * source_length + r) * columns + h * l.head_dim + e)];
            const double got = element_of(value ? now.value : now.key, b, h, at, e);
            if (!close(got, wanted, 1e-5 + 1.01 * rounding * std::fabs(wanted)))
              return "a row of the cache is " + std::to_string(got) + ", want " + std::to_string(wanted);
            const attn::Output& from = value ? now.value : now.key;
            const attn::Output& to = value ? old.value : old.key;
            const std::int64_t place = b * from.batch_stride + h * from.head_stride + at * from.row_stride + e;
            const std::int64_t bytes = bytes_of(after.type);
            std::memcpy(
                static_cast<char*>(to.data) + place * bytes, static_cast<char*>(from.data) + place * bytes,
                index(bytes));
          }
  }
  if (before.key != after.key || before.value != after.value) return "the cache is written outside the new rows";
  return "";
}

}  // namespace

LayerFloats run(const attn::MultiHeadAttention& layer, const Layer& made_of, LayerCall& c, bool with_weights) {
  attn::LayerCache cache;
  if (!c.cache.empty()) cache = c.cache[0].view();
  const attn::ForwardOptions options = options_of(c, c.cache.empty() ? nullptr : &cache);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  LayerFloats result;
  result.output.assign(index(c.rows() * made_of.out_dim()), nan);
  const std::int64_t heads = options.average_weights ? 1 : made_of.num_heads;
  if (with_weights) result.weights.assign(index(c.rows() * heads * c.keys()), nan);
  layer.forward_into(
      c.x.data(), c.batch, c.length, result.output.data(), with_weights ? result.weights.data() : nullptr, options);
  return result;
}

std::string check(const Layer& l, const LayerCall& call, bool with_weights) {
  LayerCall c = call;
  const LayerFloats got = run(attn::MultiHeadAttention(l.config()), l, c, with_weights);
  attn::LayerCache cache;
  if (!c.cache.empty()) cache = c.cache[0].view();
  const attn::ForwardOptions options = options_of(c, c.cache.empty() ? nullptr : &cache);
  const std::int64_t* used = call.cache.empty() ? nullptr : call.cache[0].lengths.data();
  const LayerResult want = expected(l, c.x.data(), c.batch, c.length, options, used);
  std::string wrong;
  if (!c.cache.empty()) wrong = cache_difference(c, call.cache[0], c.cache[0], want, l);
  if (wrong.empty()) wrong = difference(got.output, want.output, 1e-4);
  if (wrong.empty() && with_weights) {
    wrong = difference(got.weights, want.weights, 1e-5);
    if (!wrong.empty()) wrong = "weights: " + wrong;
  }
  return wrong.empty() ? "" : wrong + "\n" + call.describe();
}

std::string LayerCall::describe() const {
  const auto list = [](const char* name, const std::vector<std::int64_t>& v) {
    std::string text;
    for (const std::int64_t n : v) text += (text.empty() ? std::string(name) + " " : ", ") + std::to_string(n);
    return text.empty() ? "" : text + "; ";
  };
  std::string text = "batch " + std::to_string(batch) + ", length " + std::to_string(length) + "; ";
  if (has_context) text += "context_length " + std::to_string(context_length) + "; ";
  text += list("key_lengths", key_lengths) + list("cu_lengths", cu_lengths) +
      list("cu_context_lengths", cu_context_lengths);
  if (!cache.empty())
    text += "cache of type " + std::to_string(static_cast<int>(cache[0].type)) + ", layout " +
        std::to_string(cache[0].layout) + ", capacity " + std::to_string(cache[0].capacity) + ", " +
        list("lengths", cache[0].lengths);
  if (options.causal) text += "causal, alignment " + std::to_string(static_cast<int>(options.alignment)) + "; ";
  if (!mask.empty()) text += "mask; ";
  if (!bias.empty()) text += head_factors.empty() ? "bias; " : "bias with factors; ";
  if (options.average_weights) text += "averaged; ";
  return text + "path " + std::to_string(static_cast<int>(options.path));
}

}  // namespace test
