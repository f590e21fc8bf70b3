#include <memory>
#include <stdexcept>
#include <string>

#include "layers/attend.hpp"
#include "layers/checks.hpp"
#include "layers/projection.hpp"

namespace attn {

MultiHeadAttention::Sizes MultiHeadAttention::sizes_of(const MultiHeadConfig& config) {
  Sizes s;
  s.embed_dim = config.embed_dim;
  s.num_heads = config.num_heads;
  s.kv_heads = config.kv_heads == 0 ? config.num_heads : config.kv_heads;
  s.head_dim = config.head_dim;
  require_size("embed_dim", s.embed_dim, 1);
  require_size("num_heads", s.num_heads, 1);
  require_size("kv_heads", config.kv_heads, 0);
  require_size("head_dim", config.head_dim, 0);
  if (s.num_heads % s.kv_heads != 0)
    bad("kv_heads", "must divide num_heads (" + std::to_string(s.num_heads) + ")", s.kv_heads);
  if (s.head_dim == 0) {
    if (s.embed_dim % s.num_heads != 0)
      bad("num_heads", "must divide embed_dim (" + std::to_string(s.embed_dim) + ") if head_dim is not given",
          s.num_heads);
    s.head_dim = s.embed_dim / s.num_heads;
  }
  // Neither factor is over 2^31 in the first product, nor then over 3 * 2^31 in the second.
  const std::int64_t columns = s.num_heads * s.head_dim;
  require_size("num_heads * head_dim", columns, 1);
  const std::int64_t total = columns + 2 * s.kv_heads * s.head_dim;
  require_size("(num_heads + 2 * kv_heads) * head_dim", total, 1);
  require_data("w_q", config.w_q);
  require_data("w_k", config.w_k);
  require_data("w_v", config.w_v);
  if (config.b_o && !config.w_o) throw std::invalid_argument("b_o is given without w_o");
  require_layout(config.layout);
  require_projection(config.projection);
  floats("w_q, w_k and w_v", s.embed_dim, total);
  if (config.w_o) floats("w_o", columns, s.embed_dim);
  // Columns that are multiplied on their own begin at a panel of packed weights.
  const bool packed = config.projection == Projection::tiles;
  s.first_key_column = packed ? (columns + column_step - 1) / column_step * column_step : columns;
  return s;
}

namespace {

// embed_dim to Q, K and V side by side: columns [0, num_heads * head_dim), and from first_key_column on.
Linear side_by_side(
    const MultiHeadConfig& config, std::int64_t query_columns, std::int64_t first_key, std::int64_t key_columns) {
  Linear qkv = Columns::zeros(config.embed_dim, first_key + 2 * key_columns, config.projection);
  Columns{0, query_columns}.set(qkv, config.w_q, config.b_q, config.layout);
  Columns{first_key, key_columns}.set(qkv, config.w_k, config.b_k, config.layout);
  Columns{first_key + key_columns, key_columns}.set(qkv, config.w_v, config.b_v, config.layout);
  return qkv;
}

}  // namespace

MultiHeadAttention::MultiHeadAttention(const MultiHeadConfig& config)
    : sizes_(sizes_of(config)),
      qkv_(side_by_side(
          config, sizes_.num_heads * sizes_.head_dim, sizes_.first_key_column, sizes_.kv_heads * sizes_.head_dim)) {
  if (config.w_o)
    out_.emplace(
        sizes_.num_heads * sizes_.head_dim, sizes_.embed_dim, config.w_o, config.b_o, config.layout, config.projection);
}

AttentionResult MultiHeadAttention::forward(
    const float* x, std::int64_t batch, std::int64_t length, const ForwardOptions& options) const {
  const ResultSizes sizes =
      result_sizes({batch, length, sizes_.num_heads, sizes_.kv_heads, sizes_.head_dim, sizes_.first_key_column});
  if (batch == 0 || length == 0) return {};
  AttentionResult result;
  result.output = result_floats(floats("output", batch * length, out_dim()));
  if (options.need_weights) result.weights = result_floats(sizes.weights);
  forward_into(x, batch, length, result.output.data(), options.need_weights ? result.weights.data() : nullptr, options);
  return result;
}

void MultiHeadAttention::forward_into(
    const float* x, std::int64_t batch, std::int64_t length, float* output, float* weights,
    const ForwardOptions& options) const {
  const Shape shape{batch, length, sizes_.num_heads, sizes_.kv_heads, sizes_.head_dim, sizes_.first_key_column};
  const ResultSizes sizes = result_sizes(shape);
  if (batch == 0 || length == 0) return;
  require_parallel(options.parallel);
  if (!out_) return attend(shape, x, qkv_, options, output, weights);

  require_data("output", output);
  const std::unique_ptr<float[]> heads = scratch_floats(sizes.output);
  attend(shape, x, qkv_, options, heads.get(), weights);
  out_->forward_into(heads.get(), batch * length, output, options.parallel);
}

}  // namespace attn
