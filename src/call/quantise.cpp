#include "call/quantise.hpp"

#include <algorithm>
#include <cstring>
#include <limits>

#include "call/addresses.hpp"
#include "call/cache_row.hpp"

namespace attn {
namespace {

constexpr std::int64_t step = 256;  // columns at a time, on the stack
constexpr float nan = std::numeric_limits<float>::quiet_NaN();

const float* floats_of(const simd::Kernels& kernels, const FloatRow& row, std::int64_t first, float* wide) noexcept {
  return as_float(kernels, row.data, row.dtype, {first, std::min(step, row.columns - first)}, wide);
}

// max|x|, not below `least`; as bits, among which NaN stands above infinity.
std::int32_t larger_bits(const float* x, std::int64_t count, std::int32_t least) noexcept {
  for (std::int64_t c = 0; c < count; ++c) {
    std::int32_t bits;
    std::memcpy(&bits, x + c, sizeof bits);
    least = std::max(least, bits & 0x7fffffff);
  }
  return least;
}

// max / 127; NaN where the maximum is not finite.
float scale_of(std::int32_t max_bits) noexcept {
  float max;
  std::memcpy(&max, &max_bits, sizeof max);
  return max <= std::numeric_limits<float>::max() ? max / 127.0f : nan;
}

// Adding 1.5 * 2^23 rounds to a whole number, nearest and ties to even, whose lowest byte is that of the sum's bits.
std::int8_t nearest(float x) noexcept {
  const float shifted = std::clamp(x, -127.0f, 127.0f) + 0x1.8p23f;
  std::int32_t bits;
  std::memcpy(&bits, &shifted, sizeof bits);
  return static_cast<std::int8_t>(bits);
}

// Integers 0 under a scale of 0 or NaN.
void divide(const float* x, std::int64_t count, float scale, std::int8_t* to, std::int64_t stride) noexcept {
  const bool zeros = !(scale > 0);
  for (std::int64_t c = 0; c < count; ++c) to[c * stride] = zeros ? std::int8_t{0} : nearest(x[c] / scale);
}

}  // namespace

float quantise(const simd::Kernels& kernels, const FloatRow& row, std::int8_t* to, std::int64_t stride) noexcept {
  float wide[step];
  std::int32_t max = 0;
  for (std::int64_t c = 0; c < row.columns; c += step)
    max = larger_bits(floats_of(kernels, row, c, wide), std::min(step, row.columns - c), max);
  const float scale = scale_of(max);
  for (std::int64_t c = 0; c < row.columns; c += step)
    divide(floats_of(kernels, row, c, wide), std::min(step, row.columns - c), scale, to + c * stride, stride);
  return scale;
}

void quantise(const simd::Kernels& kernels, const FloatRow& row, q8_0* to) noexcept {
  float wide[step];
  for (std::int64_t c = 0; c < row.columns; c += step) {
    const float* const x = floats_of(kernels, row, c, wide);
    for (std::int64_t e = 0; e < std::min(step, row.columns - c); e += q8_0_block, ++to) {
      float scale = scale_of(larger_bits(x + e, q8_0_block, 0));
      if (scale >= 65520.0f) scale = nan;  // what f16 rounds to infinity
      kernels.narrow(&scale, DType::f16, 1, &to->scale);
      kernels.widen(&to->scale, DType::f16, 1, &scale);
      divide(x + e, q8_0_block, scale, to->values, 1);
    }
  }
}

}  // namespace attn
