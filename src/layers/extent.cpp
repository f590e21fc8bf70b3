// The rules for the options of a call, and the sizes that follow.
#include <stdexcept>
#include <string>

#include "blas/blas.hpp"
#include "call/addresses.hpp"
#include "check/check.hpp"
#include "check/view.hpp"
#include "layers/checks.hpp"
#include "layers/forward.hpp"

namespace attn {
namespace {

std::string item(const char* name, std::int64_t b) { return std::string(name) + "[" + std::to_string(b) + "]"; }

[[noreturn]] void null_beside(const char* null, const char* given) {
  throw std::invalid_argument(std::string(null) + " is null, but " + given + " is not");
}

void require_options(const LayerParts& p, const ForwardOptions& o) {
  if (o.alignment != Alignment::top_left && o.alignment != Alignment::bottom_right)
    bad("alignment", "must be bottom_right (0) or top_left (1)", static_cast<std::int64_t>(o.alignment));
  if (o.path < Path::automatic || o.path > Path::streaming)
    bad("path", "is not a value of Path", static_cast<std::int64_t>(o.path));
  require_parallel(o.parallel);
  if (!o.context && o.context_length != 0) bad("context_length", "must be 0 without a context", o.context_length);
  if (!o.context && o.cu_context_lengths) null_beside("context", "cu_context_lengths");
  if (!o.cu_lengths && o.cu_context_lengths) null_beside("cu_lengths", "cu_context_lengths");
  if (o.context && o.cu_lengths && !o.cu_context_lengths) null_beside("cu_context_lengths", "cu_lengths");
  if (o.cache && o.cu_lengths) throw std::invalid_argument("cache is given with cu_lengths: a packed batch has none");
  if (!o.context && p.kv_dim != p.embed_dim)
    bad("kv_dim", "must be embed_dim (" + std::to_string(p.embed_dim) + ") without a context", p.kv_dim);
}

// Rows of x or of the context, which are one dimension to BLAS.
std::int64_t rows_of(
    const char* length_name, std::int64_t length, std::int64_t batch, const char* cu_name, const std::int64_t* cu) {
  if (batch < 0) bad("batch", "must be at least 0", batch);
  if (length < 0) bad(length_name, "must be at least 0", length);
  if (!cu) {
    if (batch > 0 && length > blas::max_size / batch)
      bad(length_name,
          "must be at most " + std::to_string(blas::max_size / batch) + " for a batch of " + std::to_string(batch),
          length);
    return batch * length;
  }
  throw_if_error(check::cumulative(cu_name, cu, batch, length_name, length));
  if (cu[batch] > blas::max_size) bad(item(cu_name, batch), "must be at most 2147483647", cu[batch]);
  return cu[batch];
}

void require_key_lengths(const ForwardOptions& o, std::int64_t batch, std::int64_t source_length) {
  const std::int64_t* cu = o.context ? o.cu_context_lengths : o.cu_lengths;
  for (std::int64_t b = 0; o.key_lengths && b < batch; ++b) {
    const std::int64_t most = cu ? cu[b + 1] - cu[b] : source_length, n = o.key_lengths[b];
    if (n < 0 || n > most)
      bad(item("key_lengths", b),
          std::string("must be in [0, ") +
              (cu              ? "the sequence's keys"
                   : o.context ? "context_length"
                               : "length") +
              " = " + std::to_string(most) + "]",
          n);
  }
}

// Every sequence has room for what it gets.
void require_room(const ForwardOptions& o, std::int64_t batch, std::int64_t source_length) {
  const LayerCache& c = *o.cache;
  for (const auto& [name, type] : {std::pair{"cache->key.dtype", c.key.dtype}, {"cache->value.dtype", c.value.dtype}})
    if (!is_floating(type)) bad(name, "must be f32 (0), f16 (1) or bf16 (2)", static_cast<std::int64_t>(type));
  if (c.capacity < 0) bad("cache->capacity", "must be at least 0", c.capacity);
  if (c.capacity > check::max_elements) bad("cache->capacity", "is more than memory can hold", c.capacity);
  if (batch > 0 && !c.lengths) throw std::invalid_argument("cache->lengths is null");
  for (std::int64_t b = 0; b < batch; ++b) {
    const std::int64_t used = c.lengths[b], added = o.key_lengths ? o.key_lengths[b] : source_length;
    if (used < 0 || used > c.capacity)
      bad(item("cache->lengths", b), "must be in [0, cache->capacity = " + std::to_string(c.capacity) + "]", used);
    if (added > c.capacity - used)
      bad("cache->capacity",
          "is too small: sequence " + std::to_string(b) + " has " + std::to_string(used) + " rows in use and gets " +
              std::to_string(added) + " more",
          c.capacity);
  }
}

}  // namespace

Extent extent_of(const LayerParts& p, const LayerCall& c, bool weights) {
  const ForwardOptions& o = c.options;
  require_options(p, o);
  Extent e;
  e.rows = rows_of("length", c.length, c.batch, "cu_lengths", o.cu_lengths);
  e.source_rows = e.rows;
  e.source_length = c.length;
  if (o.context) {
    e.source_rows = rows_of("context_length", o.context_length, c.batch, "cu_context_lengths", o.cu_context_lengths);
    e.source_length = o.context_length;
  }
  require_key_lengths(o, c.batch, e.source_length);
  if (o.cache) require_room(o, c.batch, e.source_length);
  e.keys = o.cache ? o.cache->capacity : e.source_length;
  floats("x", e.rows, p.embed_dim);
  if (o.context) floats("context", e.source_rows, p.kv_dim);
  floats("Q, K and V", e.rows, p.qkv->out_dim());
  floats("the heads", e.rows, p.query_heads, p.head_dim);
  e.output_floats = floats("output", e.rows, p.out_columns());
  e.weights_floats = weights ? floats("weights", e.rows, o.average_weights ? 1 : p.query_heads, e.keys) : 0;
  return e;
}

}  // namespace attn
