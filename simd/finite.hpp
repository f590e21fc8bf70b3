// NaN and Inf found with one fma a vector: 0 * x is 0 for every finite x, and NaN for the others.
#pragma once

#include <cstddef>

#include "numbers.hpp"

namespace attn::simd {
namespace {

template <class Lanes>
bool all_finite(const float* x, std::ptrdiff_t n) {
  Lanes zeros[4] = {Lanes::zero(), Lanes::zero(), Lanes::zero(), Lanes::zero()};
  std::ptrdiff_t i = 0;
  for (; i + 64 <= n; i += 64)
    for (int k = 0; k < 4; ++k) zeros[k] = fma(Lanes::load(x + i + 16 * k), Lanes::zero(), zeros[k]);
  for (; i < n; i += 16) zeros[0] = fma(Lanes::load_first(x + i, min(16, n - i)), Lanes::zero(), zeros[0]);
  return !any_nan((zeros[0] + zeros[1]) + (zeros[2] + zeros[3]));
}

}  // namespace
}  // namespace attn::simd
