// Attention between the projections of a layer.
#pragma once

#include <cstddef>
#include <cstdint>

#include "attn/attention.hpp"
#include "attn/layers.hpp"

namespace attn {

struct Shape {
  std::int64_t batch, length, query_heads, kv_heads, head_dim;
  std::int64_t first_key_column;  // of the product for Q, K and V
};

// The floats of the two results of attend(); checks batch and length.
struct ResultSizes {
  std::size_t output, weights;
};
ResultSizes result_sizes(const Shape& shape);

// output[batch, length, query_heads * head_dim] = attention over the heads of qkv(x); weights if not null.
void attend(
    const Shape& shape, const float* x, const Linear& qkv, const ForwardOptions& options, float* output,
    float* weights);

}  // namespace attn
