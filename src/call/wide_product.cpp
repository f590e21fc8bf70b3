#include "call/wide_product.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace attn::wide_row {
namespace {

constexpr std::int64_t step = 64;  // elements of a row at a time, on the stack

// Calls add(q, k, count) for some elements of the two rows after the other, at most `step`.
template <class Add>
void for_each_step(const Factors& f, const Add& add) noexcept {
  float q[step], k[step];
  for (std::int64_t d = 0; d < f.head_dim; d += step) {
    const std::int64_t count = std::min(step, f.head_dim - d);
    add(as_float(f.kernels, f.query, f.query_type, d, count, q), as_float(f.kernels, f.key, f.key_type, d, count, k),
        count);
  }
}

}  // namespace

const float* as_float(
    const simd::Kernels& kernels, const char* x, DType type, std::int64_t first, std::int64_t count,
    float* wide) noexcept {
  x += bytes_of(type, first);
  if (is_float(type)) return reinterpret_cast<const float*>(x);
  kernels.widen(x, type, count, wide);
  return wide;
}

// Four sums hide the latency of one.
double exact_product(const Factors& f) noexcept {
  double sums[4] = {};
  for_each_step(f, [&](const float* q, const float* k, std::int64_t count) {
    std::int64_t d = 0;
    for (; d + 4 <= count; d += 4)
      for (std::int64_t i = 0; i < 4; ++i) sums[i] += static_cast<double>(q[d + i]) * static_cast<double>(k[d + i]);
    for (; d < count; ++d) sums[d % 4] += static_cast<double>(q[d]) * static_cast<double>(k[d]);
  });
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

float float_product(const Factors& f) noexcept {
  float sum = 0;
  for_each_step(f, [&](const float* q, const float* k, std::int64_t count) {
    for (std::int64_t d = 0; d < count; ++d) sum = std::fma(q[d], k[d], sum);
  });
  return sum;
}

// As integers, in eight maxima, which a compiler turns into vectors.
float largest_of(const simd::Kernels& kernels, const char* x, DType type, std::int64_t count) noexcept {
  std::int32_t max[8] = {};
  for (std::int64_t d = 0; d < count; d += step) {
    float wide[step];
    std::int32_t bits[step];
    const std::int64_t some = std::min(step, count - d);
    std::memcpy(bits, as_float(kernels, x, type, d, some, wide), static_cast<std::size_t>(some) * sizeof(float));
    std::fill(bits + some, bits + step, 0);
    for (std::int64_t e = 0; e < step; e += 8)
      for (std::int64_t i = 0; i < 8; ++i) max[i] = std::max(max[i], bits[e + i] & 0x7fffffff);
  }
  float result;
  std::memcpy(&result, std::max_element(max, max + 8), sizeof result);
  return result;
}

}  // namespace attn::wide_row
