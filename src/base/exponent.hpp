// The constants of exp_scaled for a scale of the scores.
#pragma once

#include <cmath>
#include <limits>

#include "simd/kernels.hpp"

namespace attn {

// exp(|scale| * d) = 2^(d * c), c = |scale| * log2(e) as the sum of two floats; d_min as kernels.hpp says.
// In double: 24 + 24 bits of c, and its products with floats, are exact to 2^-53.
inline simd::Exponent make_exponent(double scale) noexcept {
  constexpr double log2_e = 1.4426950408889634;
  const double c = std::fabs(scale) * log2_e;
  simd::Exponent exponent;
  exponent.c_high = static_cast<float>(c);
  exponent.c_low = static_cast<float>(c - static_cast<double>(exponent.c_high));
  // At least the lowest float, so that -inf (an excluded key) is below it and weighs 0 whatever the scale, 0 included.
  const double d_min =
      c > 0 ? std::fmax(-126.0 / c, -std::numeric_limits<float>::max()) : -std::numeric_limits<float>::max();
  exponent.d_min = static_cast<float>(d_min);
  if (static_cast<double>(exponent.d_min) * c < -126.0) exponent.d_min = std::nextafterf(exponent.d_min, 0.0f);
  return exponent;
}

}  // namespace attn
