// One head: the simplest layer.
#include "layers/checks.hpp"
#include "layers/forward.hpp"
#include "layers/numpy_random.hpp"
#include "layers/projection.hpp"

namespace attn {
namespace {

// embed_dim to 3 * head_dim columns, for W_q, W_k and W_v side by side.
Linear zeros_for(std::int64_t embed_dim, std::int64_t head_dim, Projection projection) {
  require_size("embed_dim", embed_dim, 1);
  require_size("head_dim", head_dim, 1);
  require_size("3 * head_dim", 3 * head_dim, 3);
  floats("w_q, w_k and w_v", embed_dim, head_dim, 3);
  return Columns::zeros(embed_dim, 3 * head_dim, projection);
}

}  // namespace

SelfAttention::SelfAttention(std::int64_t embed_dim, std::int64_t head_dim, std::uint32_t seed, Projection projection)
    : embed_dim_(embed_dim),
      head_dim_(head_dim),
      projection_(checked_projection(projection)),
      qkv_(zeros_for(embed_dim, head_dim, projection_)) {
  RandomState random(seed);
  std::vector<float> w(static_cast<std::size_t>(embed_dim * head_dim));
  for (std::int64_t part = 0; part < 3; ++part) {
    for (float& value : w) value = static_cast<float>(0.1 * random.randn());
    Columns{part * head_dim, head_dim}.set(qkv_, w.data(), nullptr, WeightLayout::in_out);
  }
}

SelfAttention::SelfAttention(
    std::int64_t embed_dim, std::int64_t head_dim, const float* w_q, const float* w_k, const float* w_v,
    WeightLayout layout, Projection projection)
    : embed_dim_(embed_dim),
      head_dim_(head_dim),
      projection_(checked_projection(projection)),
      qkv_(zeros_for(embed_dim, head_dim, projection_)) {
  require_data("w_q", w_q);
  require_data("w_k", w_k);
  require_data("w_v", w_v);
  require_layout(layout);
  std::int64_t first = 0;
  for (const float* w : {w_q, w_k, w_v}) {
    Columns{first, head_dim}.set(qkv_, w, nullptr, layout);
    first += head_dim;
  }
}

AttentionResult SelfAttention::forward(const float* x, std::int64_t length, const Parallel* parallel) const {
  LayerParts parts{};
  parts.embed_dim = parts.kv_dim = embed_dim_;
  parts.query_heads = parts.kv_heads = 1;
  parts.head_dim = parts.first_key_column = head_dim_;
  parts.qkv = &qkv_;
  ForwardOptions options;
  options.parallel = parallel;
  options.path = projection_ == Projection::blas ? Path::blas : Path::streaming;
  LayerCall call{x, 1, length, nullptr, nullptr, options};
  const Extent extent = extent_of(parts, call, true);
  AttentionResult result{result_floats(extent.output_floats), result_floats(extent.weights_floats)};
  call.output = result.output.data();
  call.weights = result.weights.data();
  run_layer(parts, call);
  return result;
}

}  // namespace attn
