// A multi-head layer with its own memory, and what it computes, in double. Shares no code with the library.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "attn/layers.hpp"
#include "support/random.hpp"

namespace test {

inline std::size_t index(std::int64_t i) { return static_cast<std::size_t>(i); }

// Weights are [in, out].
struct Layer {
  std::int64_t embed_dim, num_heads, kv_heads, head_dim, kv_dim;
  std::vector<float> w_q, w_k, w_v, b_q, b_k, b_v, w_o, b_o;  // empty: not there
  attn::Projection projection = attn::Projection::blas;

  attn::MultiHeadConfig config() const;
  std::int64_t out_dim() const { return w_o.empty() ? num_heads * head_dim : embed_dim; }
};

// 0.3 * normals. kv_dim 0: embed_dim.
Layer make_layer(
    Random& random, std::int64_t embed_dim, std::int64_t num_heads, std::int64_t kv_heads, std::int64_t head_dim,
    std::int64_t kv_dim = 0);
void add_biases(Layer& layer, Random& random);
void add_output_projection(Layer& layer, Random& random, bool with_bias);

// [rows, columns] to [columns, rows]
std::vector<float> transposed(const std::vector<float>& w, std::int64_t rows, std::int64_t columns);

// y[rows, out] = x[rows, in] w[in, out] + b[out]; without b if it is empty.
struct InOut {
  std::int64_t in, out;
};
template <class X>
std::vector<double> linear(
    const X* x, std::int64_t rows, const std::vector<float>& w, const std::vector<float>& b, InOut size) {
  std::vector<double> y(index(rows * size.out));
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t j = 0; j < size.out; ++j) {
      double sum = b.empty() ? 0 : static_cast<double>(b[index(j)]);
      for (std::int64_t i = 0; i < size.in; ++i)
        sum += static_cast<double>(x[r * size.in + i]) * static_cast<double>(w[index(i * size.out + j)]);
      y[index(r * size.out + j)] = sum;
    }
  return y;
}

struct LayerResult {
  std::vector<double> output, weights;  // weights: averaged or not, packed or not, as the options say
  std::vector<double> key, value;  // [all sources, kv_heads * head_dim], of this call's sources
};

// With a cache: what it holds after the call is what is attended to, and used_before[batch] is what it held before.
// A bias is float32.
LayerResult expected(
    const Layer& layer, const float* x, std::int64_t batch, std::int64_t length, const attn::ForwardOptions& options,
    const std::int64_t* used_before = nullptr);

}  // namespace test
