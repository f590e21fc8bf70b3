// exp over lanes, for the arguments that a softmax has: 2^(d * c) with d <= 0 and c >= 0.
//
//   c = c_high + c_low   scale * log2(e) to 48 bits; with c_high alone the error grows with |d| to 40 ULP
//   n = round(d * c)     by adding 1.5 * 2^23: the sum's last place is worth 1, so its low bits hold n as an integer
//   f = d * c - n        in [-0.5, 0.5]; n and f by fma, so that f has one rounding
//   2^f                  polynomial of degree 6, minimax in relative error; approximation error 5.3e-9, a tenth of
//                        half an ULP (coefficients.py); its constant term 1: the largest key weighs exactly 1
//
// A result below 2^-126 is 0: subnormals are slow on many CPUs, and flushed in some callers' modes.
// tests/kernels/exp_test.cpp tries every float.
#pragma once

#include <cstddef>

#include "kernels.hpp"

namespace attn::simd {
namespace {

// The constants of exp_scaled over lanes. Made before a loop: then they stay in registers, where there are enough.
template <class Lanes>
struct ExpConstants {
  Lanes c_high, c_low, d_min;
  Lanes round = in_register(Lanes::set1(12582912.0f));  // 1.5 * 2^23
  Lanes p6 = in_register(Lanes::set1(0x1.4bbf32p-13f));
  Lanes p5 = in_register(Lanes::set1(0x1.5fc044p-10f));
  Lanes p4 = in_register(Lanes::set1(0x1.3b21c8p-7f));
  Lanes p3 = in_register(Lanes::set1(0x1.c6ada6p-5f));
  Lanes p2 = in_register(Lanes::set1(0x1.ebfbe6p-3f));
  Lanes p1 = in_register(Lanes::set1(0x1.62e432p-1f));
  Lanes p0 = in_register(Lanes::set1(1.0f));

  explicit ExpConstants(const Exponent& exponent)
      : c_high(Lanes::set1(exponent.c_high)), c_low(Lanes::set1(exponent.c_low)), d_min(Lanes::set1(exponent.d_min)) {}
};

//   d[i] <- 2^(d[i] * c) for d <= 0; 0 where the result is below 2^-126; NaN where d is NaN
// N independent vectors step by step: the 12 dependent operations of one vector fill a CPU's scheduler long before its
// pipes. AVX-512: 4 vectors 2.9 ns each, 1 vector 4.3 ns.
template <class Lanes, int N>
inline void exp_scaled(Lanes (&d)[N], const ExpConstants<Lanes>& k) {
  Lanes shifted[N], n[N], f[N], p[N];
  for (int i = 0; i < N; ++i) shifted[i] = fma(d[i], k.c_high, k.round);
  for (int i = 0; i < N; ++i) n[i] = shifted[i] - k.round;
  for (int i = 0; i < N; ++i) f[i] = fms(d[i], k.c_high, n[i]);
  for (int i = 0; i < N; ++i) f[i] = fma(d[i], k.c_low, f[i]);
  for (int i = 0; i < N; ++i) p[i] = fma(k.p6, f[i], k.p5);
  for (int i = 0; i < N; ++i) p[i] = fma(p[i], f[i], k.p4);
  for (int i = 0; i < N; ++i) p[i] = fma(p[i], f[i], k.p3);
  for (int i = 0; i < N; ++i) p[i] = fma(p[i], f[i], k.p2);
  for (int i = 0; i < N; ++i) p[i] = fma(p[i], f[i], k.p1);
  for (int i = 0; i < N; ++i) p[i] = fma(p[i], f[i], k.p0);
  for (int i = 0; i < N; ++i) d[i] = zero_where_less(scale_by_power(p[i], n[i], shifted[i]), d[i], k.d_min);
}

template <class Lanes>
inline Lanes exp_scaled(Lanes d, const ExpConstants<Lanes>& k) {
  Lanes x[1] = {d};
  exp_scaled(x, k);
  return x[0];
}

}  // namespace
}  // namespace attn::simd
