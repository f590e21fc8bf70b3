#include <stdexcept>
#include <string>

#include "layers/checks.hpp"
#include "layers/forward.hpp"
#include "layers/projection.hpp"

namespace attn {

MultiHeadAttention::Sizes MultiHeadAttention::sizes_of(const MultiHeadConfig& config) {
  Sizes s;
  s.embed_dim = config.embed_dim;
  s.num_heads = config.num_heads;
  s.kv_heads = config.kv_heads == 0 ? config.num_heads : config.kv_heads;
  s.head_dim = config.head_dim;
  s.kv_dim = config.kv_dim == 0 ? config.embed_dim : config.kv_dim;
  s.projection = checked_projection(config.projection);
  require_size("embed_dim", s.embed_dim, 1);
  require_size("num_heads", s.num_heads, 1);
  require_size("kv_heads", config.kv_heads, 0);
  require_size("head_dim", config.head_dim, 0);
  require_size("kv_dim", config.kv_dim, 0);
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
  floats("w_q, w_k and w_v", s.embed_dim, total);
  floats("w_k and w_v", s.kv_dim, total - columns);
  if (config.w_o) floats("w_o", columns, s.embed_dim);
  // Columns that are multiplied on their own begin at a panel of packed weights.
  const bool packed = s.projection == Projection::tiles;
  s.first_key_column = packed ? (columns + column_step - 1) / column_step * column_step : columns;
  return s;
}

MultiHeadAttention::MultiHeadAttention(const MultiHeadConfig& config)
    : sizes_(sizes_of(config)),
      qkv_(Columns::zeros(
          sizes_.embed_dim,
          sizes_.kv_dim == sizes_.embed_dim ? sizes_.first_key_column + 2 * sizes_.kv_heads * sizes_.head_dim
                                            : sizes_.num_heads * sizes_.head_dim,
          sizes_.projection)) {
  const std::int64_t columns = sizes_.num_heads * sizes_.head_dim, kv_columns = sizes_.kv_heads * sizes_.head_dim;
  const bool apart = sizes_.kv_dim != sizes_.embed_dim;
  if (apart) kv_ = Columns::zeros(sizes_.kv_dim, 2 * kv_columns, sizes_.projection);
  Linear& kv = apart ? *kv_ : qkv_;
  const std::int64_t first = apart ? 0 : sizes_.first_key_column;
  Columns{0, columns}.set(qkv_, config.w_q, config.b_q, config.layout);
  Columns{first, kv_columns}.set(kv, config.w_k, config.b_k, config.layout);
  Columns{first + kv_columns, kv_columns}.set(kv, config.w_v, config.b_v, config.layout);
  if (config.w_o) out_.emplace(columns, sizes_.embed_dim, config.w_o, config.b_o, config.layout, sizes_.projection);
}

LayerParts MultiHeadAttention::parts() const {
  LayerParts p{};
  p.embed_dim = sizes_.embed_dim;
  p.kv_dim = sizes_.kv_dim;
  p.query_heads = sizes_.num_heads;
  p.kv_heads = sizes_.kv_heads;
  p.head_dim = sizes_.head_dim;
  p.qkv = &qkv_;
  p.first_key_column = sizes_.first_key_column;
  p.kv = kv_ ? &*kv_ : nullptr;
  p.out = out_ ? &*out_ : nullptr;
  return p;
}

AttentionResult MultiHeadAttention::forward(
    const float* x, std::int64_t batch, std::int64_t length, const ForwardOptions& options) const {
  const LayerCall call{x, batch, length, nullptr, nullptr, options};
  const Extent extent = extent_of(parts(), call, options.need_weights);
  AttentionResult result{result_floats(extent.output_floats), result_floats(extent.weights_floats)};
  forward_into(x, batch, length, result.output.data(), options.need_weights ? result.weights.data() : nullptr, options);
  return result;
}

void MultiHeadAttention::forward_into(
    const float* x, std::int64_t batch, std::int64_t length, float* output, float* weights,
    const ForwardOptions& options) const {
  run_layer(parts(), {x, batch, length, output, weights, options});
}

}  // namespace attn
