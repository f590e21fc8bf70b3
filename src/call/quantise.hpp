// Rows of floating-point numbers made int8 with a scale.
#pragma once

#include <cstdint>

#include "attn/tensor.hpp"
#include "simd/kernels.hpp"

namespace attn {

// Some columns of a row of f32, f16 or bf16.
struct FloatRow {
  const char* data;
  DType dtype;
  std::int64_t columns;
};

// to[c * stride] = x[c] / scale to nearest, ties to even, within +-127; scale = max|x| / 127, which is returned.
// A row of zeros, or one whose scale rounds to 0, has scale 0 and integers 0. A row with a NaN or an infinity has the
// scale NaN and integers 0.
float quantise(const simd::Kernels& kernels, const FloatRow& row, std::int8_t* to, std::int64_t stride) noexcept;

// The same for each block of 32 columns, with the scale max|x| / 127 rounded to f16 (nearest, ties to even), by which x
// is divided. A block whose scale f16 cannot hold (max|x| of 127 * 65520 or more) counts as one with an infinity.
void quantise(const simd::Kernels& kernels, const FloatRow& row, q8_0* to) noexcept;

}  // namespace attn
