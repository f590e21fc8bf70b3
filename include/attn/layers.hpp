// Attention layers with their projections. They own their weights: constructors throw, forward returns a value.
// forward changes nothing in the layer, so several threads may share one. On an exception there is no effect.
// BLAS holds sizes in int: widths of weights and batch * length are at most 2147483647.
#pragma once

#include "attn/macros_off.h"
// No macro has a name that stands below, until macros_on.h.
#include <cstdint>
#include <optional>
#include <vector>

#include "attn/parallel.hpp"

namespace attn {

// How a weight matrix is stored, row-major.
enum class WeightLayout {
  in_out,  // [in, out]: y = x W, as the seed's NumPy
  out_in,  // [out, in]: y = x W^T, as torch.nn.Linear
};

// Who multiplies the projections.
enum class Projection : std::int32_t {
  blas = 0,  // the BLAS's sgemm, with its own threads and bits
  tiles = 1,  // the library's own kernels: weights packed once by the constructor, threads of the caller's `parallel`,
              // the same bits everywhere
};

// y = x W + b, row by row. With Projection::tiles y[r][n] is one fma chain over k = 0, 1, 2, ... from b[n] (or 0).
class Linear {
 public:
  // Weights and bias are copied. w: in_dim * out_dim floats in `layout`; b: [out_dim], or null for none. Throws
  // std::invalid_argument if a dimension is not positive, too large for memory or BLAS, or if w is null.
  Linear(
      std::int64_t in_dim, std::int64_t out_dim, const float* w, const float* b = nullptr,
      WeightLayout layout = WeightLayout::in_out, Projection projection = Projection::tiles);

  // x: [rows, in_dim], y: [rows, out_dim], both dense; y may not overlap x. rows 0 writes nothing. `parallel`: threads
  // of Projection::tiles; BLAS has its own. Throws std::invalid_argument on bad arguments, and has then written
  // nothing.
  void forward_into(const float* x, std::int64_t rows, float* y, const Parallel* parallel = nullptr) const;

  [[nodiscard]] std::int64_t in_dim() const noexcept { return in_dim_; }
  [[nodiscard]] std::int64_t out_dim() const noexcept { return out_dim_; }

 private:
  friend struct Columns;
  Linear(std::int64_t in_dim, std::int64_t out_dim, Projection projection);  // zeros

  std::int64_t in_dim_, out_dim_;
  Projection projection_;
  std::vector<float> w_;  // as src/layers/projection.hpp says for each Projection
  std::vector<float> b_;  // [out_dim], or empty
};

// What forward returns. Both are dense float32.
struct AttentionResult {
  // SelfAttention: [length, head_dim]; MultiHeadAttention: [batch, length, out_dim].
  std::vector<float> output;
  // SelfAttention: [length, length]; MultiHeadAttention: [batch, num_heads, length, length], empty unless asked for.
  std::vector<float> weights;
};

// Single-head self-attention, the seed of this project:
//   Q = X W_q, K = X W_k, V = X W_v, weights = softmax(Q K^T / sqrt(head_dim)), output = weights V.
class SelfAttention {
 public:
  // Weights are 0.1 * standard normal draws: W_q, then W_k, then W_v, each [embed_dim, head_dim] row-major. They come
  // from the generator that NumPy's RandomState(seed).randn uses (MT19937, polar method), so the same seed gives the
  // same weights. Throws std::invalid_argument if a dimension is not positive or embed_dim * head_dim is too large.
  SelfAttention(
      std::int64_t embed_dim, std::int64_t head_dim, std::uint32_t seed = 42, Projection projection = Projection::blas);

  // Given weights, copied. W_q, W_k, W_v: embed_dim * head_dim floats each in `layout`. Throws on null.
  SelfAttention(
      std::int64_t embed_dim, std::int64_t head_dim, const float* w_q, const float* w_k, const float* w_v,
      WeightLayout layout = WeightLayout::in_out, Projection projection = Projection::blas);

  // x: [length, embed_dim], dense. length 0 gives empty results. Projection::blas: Path::blas. Projection::tiles:
  // Path::streaming, and threads of `parallel`. Throws std::invalid_argument on bad arguments.
  [[nodiscard]] AttentionResult forward(const float* x, std::int64_t length, const Parallel* parallel = nullptr) const;

  [[nodiscard]] std::int64_t embed_dim() const noexcept { return embed_dim_; }
  [[nodiscard]] std::int64_t head_dim() const noexcept { return head_dim_; }

 private:
  std::int64_t embed_dim_, head_dim_;
  Linear qkv_;  // to 3 * head_dim columns: one product gives Q, K and V side by side
};

// What a MultiHeadAttention is made of. Pointers are read by the constructor only, which copies the weights.
struct MultiHeadConfig {
  std::int64_t embed_dim = 0;
  std::int64_t num_heads = 0;
  // 0: num_heads; else num_heads is a multiple of it (grouped-query attention).
  std::int64_t kv_heads = 0;
  // 0: embed_dim / num_heads, which must be whole.
  std::int64_t head_dim = 0;
  WeightLayout layout = WeightLayout::in_out;
  // embed_dim x num_heads * head_dim.
  const float* w_q = nullptr;
  // embed_dim x kv_heads * head_dim, and so is w_v.
  const float* w_k = nullptr;
  const float* w_v = nullptr;
  // Optional biases, one float for each column.
  const float* b_q = nullptr;
  const float* b_k = nullptr;
  const float* b_v = nullptr;
  // Optional output projection, num_heads * head_dim x embed_dim.
  const float* w_o = nullptr;
  // Optional, [embed_dim]; only with w_o.
  const float* b_o = nullptr;
  Projection projection = Projection::blas;
};

struct ForwardOptions {
  // [batch]: tokens from there on are padding, which no query attends to.
  const std::int64_t* key_lengths = nullptr;
  // Query t sees keys 0..t, also in a padded batch (Alignment::top_left).
  bool causal = false;
  // True: the BLAS path; false: the streaming path.
  bool need_weights = false;
  // Threads of attention, as in AttentionArgs. The projections have those of the BLAS.
  const Parallel* parallel = nullptr;
};

// Multi-head self-attention. One sgemm on concatenated weights gives Q, K and V of all heads. Attention reads each head
// in place from its result; then comes the output projection, if there is one.
class MultiHeadAttention {
 public:
  // Throws std::invalid_argument naming the member of `config` that is wrong.
  explicit MultiHeadAttention(const MultiHeadConfig& config);

  // x: [batch, length, embed_dim], dense. batch or length 0 gives empty results.
  // Rows of queries beyond key_lengths[b] are computed like any other.
  // Throws std::invalid_argument on bad arguments.
  [[nodiscard]] AttentionResult forward(
      const float* x, std::int64_t batch, std::int64_t length, const ForwardOptions& options = {}) const;

  // The same into the caller's memory: output [batch, length, out_dim], and weights [batch, num_heads, length, length]
  // or null for none (it decides; options.need_weights is not read). Neither may overlap x. Allocates its scratch: Q, K
  // and V, and what the output projection reads.
  void forward_into(
      const float* x, std::int64_t batch, std::int64_t length, float* output, float* weights,
      const ForwardOptions& options = {}) const;

  [[nodiscard]] std::int64_t embed_dim() const noexcept { return sizes_.embed_dim; }
  [[nodiscard]] std::int64_t out_dim() const noexcept {
    return out_ ? sizes_.embed_dim : sizes_.num_heads * sizes_.head_dim;
  }

 private:
  struct Sizes {
    std::int64_t embed_dim, num_heads, kv_heads, head_dim;
    std::int64_t first_key_column;  // of qkv_: Q stands before it
  };
  static Sizes sizes_of(const MultiHeadConfig& config);

  Sizes sizes_;
  Linear qkv_;  // columns of Q, K and V side by side
  std::optional<Linear> out_;
};

}  // namespace attn

#include "attn/macros_on.h"
