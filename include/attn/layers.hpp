// Attention layers with their projections. They own their weights: constructors throw, forward returns a value.
// forward changes nothing in the layer, so several threads may share one. On an exception there is no effect.
// Widths of weights and batch * length are at most 2147483647, as a BLAS holds sizes in int.
#pragma once

#include "attn/macros_off.h"
// No macro has a name that stands below, until macros_on.h.
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "attn/attention.hpp"
#include "attn/parallel.hpp"
#include "attn/tensor.hpp"

namespace attn {

struct LayerParts;  // the library's own

// How a weight matrix is stored, row-major.
enum class WeightLayout {
  in_out,  // [in, out]: y = x W
  out_in,  // [out, in]: y = x W^T, as torch.nn.Linear
};

// Who multiplies the projections.
enum class Projection : std::int32_t {
  blas = 0,  // the BLAS's sgemm, with its own threads and bits; tiles in a library without a BLAS (ATTN_BLAS=OFF)
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

  // Copies share the weights. A move copies, too: what is moved from can still be used.
  Linear(const Linear&) = default;
  Linear& operator=(const Linear&) = default;

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
  std::shared_ptr<float> w_;  // never changed: copies share it. As src/layers/projection.hpp says
  std::vector<float> b_;
};

// What forward returns. Both are dense float32.
struct AttentionResult {
  // SelfAttention: [length, head_dim]; MultiHeadAttention: [batch, length, out_dim].
  std::vector<float> output;
  // SelfAttention: [length, length]; MultiHeadAttention: as ForwardOptions says, empty unless asked for.
  std::vector<float> weights;
};

// Single-head self-attention:
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
  Projection projection_;
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
  // Width of the rows that keys and values are made of, for cross-attention; 0: embed_dim. w_k and w_v are kv_dim x
  // kv_heads * head_dim. If it is not embed_dim, every call has a context.
  std::int64_t kv_dim = 0;
  Projection projection = Projection::blas;
};

// Keys and values of the tokens of earlier calls, in the caller's memory: a call appends to them, then attends to all.
struct LayerCache {
  // [batch, kv_heads, capacity, head_dim] each, in rows of f32, f16 or bf16, with any strides that append() takes: no
  // i8, q8_0, panels or pages.
  Output key;
  Output value;
  // Rows of each sequence.
  std::int64_t capacity = 0;
  // [batch]: rows in use. forward raises them; on an exception they are as before.
  std::int64_t* lengths = nullptr;
};

// Keys and values are made of x, or of the context. `keys` are the columns of the weights: length; with a context
// context_length; with a cache its capacity. Keys that are not there have weight 0.
struct ForwardOptions {
  // [batch]: keys from there on are padding, which no query attends to. In [0, length], with a context [0,
  // context_length]; in a packed batch at most what the sequence has. With a cache: how many tokens are appended.
  const std::int64_t* key_lengths = nullptr;
  // Query t sees keys up to the position that `alignment` gives it.
  bool causal = false;
  // forward() returns weights: [batch, num_heads, length, keys].
  bool need_weights = false;
  // Threads of attention, as in AttentionArgs, and of Projection::tiles. Projection::blas has those of the BLAS.
  const Parallel* parallel = nullptr;
  // Of causal: top_left (query t sees keys 0..t, also in a padded batch) or bottom_right; given is an error. With a
  // cache and no context token t stands behind the rows in use, whatever this says.
  Alignment alignment = Alignment::top_left;
  // The weights are the mean over the heads, summed in the order of the heads: [batch, length, keys]. forward() also
  // needs need_weights.
  bool average_weights = false;
  // Of the attention.
  Path path = Path::automatic;
  // As in AttentionArgs: [batch, num_heads, length, keys]. There is no mask_columns here.
  Mask mask;
  Bias bias;
  // Cross-attention: keys and values are made of these rows, [batch, context_length, kv_dim], dense, not of x.
  const float* context = nullptr;
  std::int64_t context_length = 0;
  // Packed batch: sequences laid end to end without padding. [batch + 1], from 0, never falling: sequence b has the
  // rows from cu_lengths[b] up to, not with, cu_lengths[b + 1] of x and output, at most `length` of them. Mask, bias
  // and key_lengths count from the start of the sequence. Weights: [num_heads, cu_lengths[batch], keys], averaged
  // [cu_lengths[batch], keys]; 0 from the sequence's own keys on. Not with a cache.
  const std::int64_t* cu_lengths = nullptr;
  // With cu_lengths and a context: likewise for its rows, at most context_length of them.
  const std::int64_t* cu_context_lengths = nullptr;
  // Keys and values of x (of the context) are appended, then the queries attend to all rows in use. With a context and
  // a context_length of 0 nothing is appended: later calls give the context, not null, with that length, and an
  // encoder's output is projected once.
  const LayerCache* cache = nullptr;
};

// Multi-head attention. One product on weights side by side gives Q, K and V of all heads (with a context two).
// Attention reads each head in place from its result; then comes the output projection, if there is one.
class MultiHeadAttention {
 public:
  // Throws std::invalid_argument naming the member of `config` that is wrong.
  explicit MultiHeadAttention(const MultiHeadConfig& config);

  // x: [batch, length, embed_dim], dense. batch or length 0 gives empty results.
  // Rows of queries beyond key_lengths[b] are computed like any other.
  // Throws std::invalid_argument on bad arguments, std::runtime_error on what a path does not serve; nothing was
  // written.
  [[nodiscard]] AttentionResult forward(
      const float* x, std::int64_t batch, std::int64_t length, const ForwardOptions& options = {}) const;

  // The same into the caller's memory: output [batch, length, out_dim], and weights as in ForwardOptions or null for
  // none (it decides; options.need_weights is not read). No result may overlap an array that is read, or another
  // result. Allocates its scratch: Q, K and V, what the output projection reads, and weights of all heads for a mean.
  void forward_into(
      const float* x, std::int64_t batch, std::int64_t length, float* output, float* weights,
      const ForwardOptions& options = {}) const;

  [[nodiscard]] std::int64_t embed_dim() const noexcept { return sizes_.embed_dim; }
  [[nodiscard]] std::int64_t out_dim() const noexcept {
    return out_ ? sizes_.embed_dim : sizes_.num_heads * sizes_.head_dim;
  }

 private:
  struct Sizes {
    std::int64_t embed_dim, kv_dim, num_heads, kv_heads, head_dim;
    std::int64_t first_key_column;  // of qkv_, if K and V stand there
    Projection projection;
  };
  static Sizes sizes_of(const MultiHeadConfig& config);
  LayerParts parts() const;

  Sizes sizes_;
  Linear qkv_;  // columns of Q, K and V side by side; of Q alone if kv_dim is not embed_dim
  std::optional<Linear> kv_;  // columns of K and V, then
  std::optional<Linear> out_;
};

}  // namespace attn

#include "attn/macros_on.h"
