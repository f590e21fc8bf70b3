#include "examples/encoder/rows.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "attn/isa.hpp"

namespace encoder {
namespace {

// Inlined into a function for the CPU and into one for any CPU: one text, two compilations.
#define ENCODER_INLINE __attribute__((always_inline)) inline

// c + rest[0] x + rest[1] x^2 + ..., by fma from the last coefficient.
template <class... Rest>
ENCODER_INLINE float polynomial(float x, float c, Rest... rest) {
  if constexpr (sizeof...(rest) > 0) return std::fma(polynomial(x, rest...), x, c);
  return c;
}

// gelu(x) = x/2 + |x|/2 - t Phi(-t), t = |x|, so that no digits cancel where the result is small.
//   Phi(-t) = exp(-t^2 / 2) p((t - 3) / (t + 3)),  exp(-t^2 / 2) = 2^n q(f),  n + f = -t^2 / (2 ln 2)
// p and q are of gelu.py: relative errors 5.7e-8 and 7.5e-8. From t = 13 on, t Phi(-t) < 1e-36 is as good as 0.
ENCODER_INLINE float gelu_of(float x) {
  constexpr float to_integer = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer, in the lowest bits
  constexpr std::uint32_t thirteen = 0x41500000, no_sign = 0x7fffffff;
  std::uint32_t bits, n;
  std::memcpy(&bits, &x, 4);
  bits = std::min(bits & no_sign, thirteen);  // as integers, for gcc leaves loops alone where floats choose a value
  float t;
  std::memcpy(&t, &bits, 4);
  const float exponent = t * t * -0.721347520f;
  const float rounded = exponent + to_integer;
  const float f = exponent - (rounded - to_integer);
  float power = polynomial(f, 1.00000007f, 0.693146967f, 0.240221197f, 0.0555071329f, 0.00967554129f, 0.00132764668f);
  std::memcpy(&n, &rounded, 4);
  std::memcpy(&bits, &power, 4);
  bits += n << 23;
  std::memcpy(&power, &bits, 4);
  const float v = (t - 3.0f) / (t + 3.0f);
  const float p = polynomial(
      v, 0.121513944f, -0.206402528f, 0.123225283f, -0.0462163749f, 0.00612750926f, 0.00292922705f, -0.000944432317f,
      -0.000388048999f);
  return 0.5f * x + 0.5f * std::fabs(x) - t * p * power;
}

ENCODER_INLINE void gelu_all(float* x, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) x[i] = gelu_of(x[i]);
}

// The sum of y[c], or of their squares: sixteen sums side by side, then from left to right.
template <bool squared>
ENCODER_INLINE double sum_of(const float* y, std::int64_t width) {
  using Four = float __attribute__((vector_size(16)));  // every CPU has it, and gcc 12 makes poor code of wider ones
  Four sums[4] = {}, v;
  const std::int64_t whole = width - width % 16;
  for (std::int64_t c = 0; c < whole; c += 16)
    for (std::int64_t i = 0; i < 4; ++i) {
      std::memcpy(&v, y + c + 4 * i, sizeof v);
      sums[i] += squared ? v * v : v;
    }
  float lanes[16];
  std::memcpy(lanes, sums, sizeof lanes);
  for (std::int64_t c = whole; c < width; ++c) lanes[c - whole] += squared ? y[c] * y[c] : y[c];
  double sum = 0;
  for (const float lane : lanes) sum += static_cast<double>(lane);
  return sum;
}

ENCODER_INLINE void normalize_row(const LayerNorm& norm, const float* x, const float* residual, float* y) {
  const std::int64_t width = norm.width;
  if (residual)
    for (std::int64_t c = 0; c < width; ++c) y[c] = x[c] + residual[c];
  else
    std::memmove(y, x, static_cast<std::size_t>(width) * sizeof(float));
  const auto mean = static_cast<float>(sum_of<false>(y, width) / static_cast<double>(width));
  for (std::int64_t c = 0; c < width; ++c) y[c] -= mean;
  const double variance = sum_of<true>(y, width) / static_cast<double>(width);
  const auto factor = static_cast<float>(1 / std::sqrt(variance + norm.epsilon));
  for (std::int64_t c = 0; c < width; ++c) y[c] = std::fma(y[c] * factor, norm.gain[c], norm.shift[c]);
}

ENCODER_INLINE void normalize_all(
    const LayerNorm& norm, const float* x, const float* residual, std::int64_t rows, float* y) {
  for (std::int64_t r = 0; r < rows; ++r) {
    const std::int64_t at = r * norm.width;
    normalize_row(norm, x + at, residual ? residual + at : nullptr, y + at);
  }
}

#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) void gelu_avx2(float* x, std::int64_t count) { gelu_all(x, count); }
__attribute__((target("avx2,fma"))) void normalize_avx2(
    const LayerNorm& norm, const float* x, const float* residual, std::int64_t rows, float* y) {
  normalize_all(norm, x, residual, rows, y);
}
const bool use_avx2 = std::strcmp(attn::active_isa(), "scalar") != 0;
#else
constexpr bool use_avx2 = false;
constexpr auto gelu_avx2 = gelu_all;
constexpr auto normalize_avx2 = normalize_all;
#endif

}  // namespace

void gelu(float* x, std::int64_t count) {
  if (use_avx2) return gelu_avx2(x, count);
  gelu_all(x, count);
}

void LayerNorm::run(const float* x, const float* residual, std::int64_t rows, float* y) const {
  if (use_avx2) return normalize_avx2(*this, x, residual, rows, y);
  normalize_all(*this, x, residual, rows, y);
}

}  // namespace encoder
