// The log-sum-exp of a row from its maximum and its sum, the same bits everywhere.
#pragma once

#include <cmath>
#include <limits>

namespace attn {

// ln(x) for finite x > 0, in plain double arithmetic: the C library's log differs from machine to machine.
//   x = 2^e f, f in [1/sqrt 2, sqrt 2);  ln f = 2 atanh(z), z = (f - 1) / (f + 1), |z| <= 0.1716
// The first dropped term of the series, z^23 / 23, is below 1e-18.
inline double natural_log(double x) noexcept {
  int e;
  double f = std::frexp(x, &e);
  if (f < 0.70710678118654752) f *= 2, --e;
  const double z = (f - 1) / (f + 1), square = z * z;
  double series = 0;
  for (int k = 21; k >= 1; k -= 2) series = series * square + 1.0 / k;
  return e * 0.69314718055994531 + 2 * z * series;
}

//   ln sum_j exp(scale * s[j]) = |scale| * m + ln(l)
//   m   the maximum of the scores, which are negated if scale < 0
//   l   the sum of exp(|scale| * (s - m))
// -inf without keys; NaN (0x7fc00000) if l is NaN.
inline float log_sum_exp(float row_max, float row_sum, double scale) noexcept {
  if (row_sum == 0.0f) return -std::numeric_limits<float>::infinity();
  if (!(row_sum > 0.0f)) return std::numeric_limits<float>::quiet_NaN();
  return static_cast<float>(
      std::fabs(scale) * static_cast<double>(row_max) + natural_log(static_cast<double>(row_sum)));
}

}  // namespace attn
