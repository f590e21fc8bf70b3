// What an encoder does between its products, row by row. The same bits on every CPU: sums have a fixed order, and only
// a written fma is fused (the build says -ffp-contract=off).
#pragma once

#include <cstdint>

namespace encoder {

// x = x Phi(x), Phi the normal distribution: the exact GELU, x/2 (1 + erf(x / sqrt 2)), to 4e-7 of max(|result|, 0.1).
// NaN and -inf give NaN, as in PyTorch.
void gelu(float* x, std::int64_t count);

// y = (v - mean(v)) / sqrt(variance(v) + epsilon) gain + shift, v = x + residual, for each row of `width` floats.
// residual null: v = x. y may be x or residual.
struct LayerNorm {
  const float* gain;  // [width]
  const float* shift;  // [width]
  std::int64_t width;
  double epsilon;
  void run(const float* x, const float* residual, std::int64_t rows, float* y) const;
};

}  // namespace encoder
