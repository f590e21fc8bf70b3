// tanh over lanes, for the softcap.
#pragma once

#include "exp.hpp"
#include "kernels.hpp"

namespace attn::simd {
namespace {

template <class Lanes>
struct TanhConstants {
  ExpConstants<Lanes> exp{Exponent{2.88539004f, 3.85192598e-8f, -43.66827f}};  // 2^(d c) = e^(2 d): c = 2 log2(e)
  Lanes zero = Lanes::zero(), one = Lanes::set1(1.0f), two = Lanes::set1(2.0f), small = Lanes::set1(0.625f);
  Lanes p4 = Lanes::set1(-0x1.75e1cap-8f), p3 = Lanes::set1(0x1.52269ap-6f), p2 = Lanes::set1(-0x1.b83c5ap-5f);
  Lanes p1 = Lanes::set1(0x1.110726p-3f), p0 = Lanes::set1(-0x1.555532p-2f);
};

// tanh(x), within 2.55 * 2^-24 of itself (every float from 2^-12 to 10 tried).
//   |x| < 0.625, where 1 - 2e/(1+e) cancels   x + x^3 P(x^2), P of degree 4,
//                                             approximation error 8.6e-9 (coefficients.py)
//   else                                      1 - 2e/(1+e) with e = exp(-2|x|), and the sign of x
template <class Lanes>
inline Lanes tanh(Lanes x, const TanhConstants<Lanes>& k) {
  const Lanes size = max(x, k.zero - x);  // |x|; NaN stays
  const Lanes e = exp_scaled(k.zero - size, k.exp);
  const Lanes large = k.one - k.two * e / (k.one + e);
  const Lanes square = x * x;
  Lanes p = fma(k.p4, square, k.p3);
  p = fma(p, square, k.p2);
  p = fma(p, square, k.p1);
  p = fma(p, square, k.p0);
  const Lanes near = fma(x * square, p, x);
  return select_less(size, k.small, near, select_less(x, k.zero, k.zero - large, large));
}

}  // namespace
}  // namespace attn::simd
