// exp over lanes, for the arguments that a softmax has: 2^(d * c) with d <= 0 and c >= 0.
//
// Range reduction with two constants: n = round(d * c), f = d * c - n in [-0.5, 0.5], both by fma, so that f has one
// rounding. c = c_high + c_low is scale * log2(e) to 48 bits: with c_high alone the error grows with |d| to 40 ULP.
// n is found by adding 1.5 * 2^23: the sum's low bits hold n as an integer, and its last place is worth 1.
//
// 2^f is a polynomial of degree 6, minimax in relative error with the constant term fixed at 1 (so that the largest
// key weighs exactly 1); approximation error 5.3e-9, a tenth of half an ULP. tests/exp_test.cpp tries every float.
//
// A result below 2^-126 is 0: subnormals are slow on many CPUs, and flushed in some callers' modes.
#pragma once

#include <cstddef>

#include "kernels.hpp"

namespace attn::simd {
namespace {

// 2^(d * c) for d <= 0; 0 where the result is below 2^-126; NaN where d is NaN.
template <class Lanes>
inline Lanes exp_scaled(Lanes d, const Exponent& exponent) {
  const Lanes c_high = Lanes::set1(exponent.c_high);
  const Lanes round = Lanes::set1(12582912.0f);  // 1.5 * 2^23
  const Lanes shifted = fma(d, c_high, round);
  const Lanes n = shifted - round;
  const Lanes f = fma(d, Lanes::set1(exponent.c_low), fma(d, c_high, Lanes::zero() - n));

  Lanes p = Lanes::set1(0x1.4bbf32p-13f);
  p = fma(p, f, Lanes::set1(0x1.5fc044p-10f));
  p = fma(p, f, Lanes::set1(0x1.3b21c8p-7f));
  p = fma(p, f, Lanes::set1(0x1.c6ada6p-5f));
  p = fma(p, f, Lanes::set1(0x1.ebfbe6p-3f));
  p = fma(p, f, Lanes::set1(0x1.62e432p-1f));
  p = fma(p, f, Lanes::set1(1.0f));
  return zero_where_less(add_to_exponent(p, shifted), d, Lanes::set1(exponent.d_min));
}

}  // namespace
}  // namespace attn::simd
