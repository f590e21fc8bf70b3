// From a product q . k to the score that the softmax sees, once, over lanes; lanes are keys. Each step is one operation
// of float32 with its own rounding, so the order is part of the canonical order of arithmetic:
//
//   s <- scale * s
//   s <- softcap * tanh(s / softcap)
//   s <- fma(-slope, |distance - j|, s)       ALiBi: distance is the query's position, counted from the row's first key
//   s <- fma(factor, bias[j], s)             the head's factor, 1 if there is none
//   s <- -inf where the key is excluded       by selection (visible.hpp): whatever s was, NaN too, is gone
#pragma once

#include <cstddef>

#include "kernels.hpp"
#include "tanh.hpp"

namespace attn::simd {
namespace {

inline constexpr float lane_numbers[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

// The steps but the last on s[0, n), in place.
template <class Lanes>
void step_scores(const ScoreSteps& steps, const RowSteps& row, float* s, std::ptrdiff_t n) {
  const TanhConstants<Lanes> constants;
  const Lanes scale = Lanes::set1(steps.scale), cap = Lanes::set1(steps.softcap);
  const Lanes cap_inverse = Lanes::set1(1.0f / steps.softcap), slope = Lanes::set1(-row.slope);
  const Lanes lane = Lanes::load(lane_numbers), zero = Lanes::zero(), factor = Lanes::set1(row.factor);
  const bool capped = steps.softcap > 0, alibi = row.alibi;
  const float* const bias = row.bias;
  for (std::ptrdiff_t j = 0; j < n; j += 16) {
    const bool whole = j + 16 <= n;
    Lanes x = (whole ? Lanes::load(s + j) : Lanes::load_first(s + j, n - j)) * scale;
    if (capped) x = cap * tanh(x * cap_inverse, constants);
    if (alibi) {
      const Lanes ahead = Lanes::set1(row.distance - static_cast<float>(j)) - lane;
      x = fma(slope, max(ahead, zero - ahead), x);
    }
    if (bias) x = fma(factor, whole ? Lanes::load(bias + j) : Lanes::load_first(bias + j, n - j), x);
    whole ? x.store(s + j) : x.store_first(s + j, n - j);
  }
}

}  // namespace
}  // namespace attn::simd
