// From a product q . k to the score that the softmax sees, once, over lanes; lanes are keys. Each step is one operation
// of float32 with its own rounding, so the order is part of the canonical order of arithmetic:
//
//   s <- scale * s
//   s <- softcap * tanh(s / softcap)
//   s <- fma(-slope, |distance - j|, s)       ALiBi: distance is the query's position, counted from the row's first key
//   s <- s + bias[j]
//   s <- -inf where the key is excluded       by selection: whatever s was, NaN too, is gone
#pragma once

#include <cstddef>

#include "exp.hpp"
#include "kernels.hpp"

namespace attn::simd {
namespace {

inline constexpr float infinity = __builtin_inff();
inline constexpr float lane_numbers[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

// The constants of tanh over lanes.
template <class Lanes>
struct TanhConstants {
  ExpConstants<Lanes> exp{Exponent{2.88539004f, 3.85192598e-8f, -43.66827f}};  // 2^(d c) = e^(2 d): c = 2 log2(e)
  Lanes zero = Lanes::zero(), one = Lanes::set1(1.0f), two = Lanes::set1(2.0f), small = Lanes::set1(0.625f);
  Lanes p4 = Lanes::set1(-0x1.75e1cap-8f), p3 = Lanes::set1(0x1.52269ap-6f), p2 = Lanes::set1(-0x1.b83c5ap-5f);
  Lanes p1 = Lanes::set1(0x1.110726p-3f), p0 = Lanes::set1(-0x1.555532p-2f);
};

// tanh(x), within 2.55 * 2^-24 of itself. Below 0.625, where 1 - 2e/(1+e) cancels: x + x^3 P(x^2), P of degree 4,
// 8.6e-9 in relative error once its coefficients are floats. Above: 1 - 2e/(1+e) with e = exp(-2|x|).
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

// Steps 1 to 4 on s[0, n), in place.
template <class Lanes>
void step_scores(const ScoreSteps& steps, const RowSteps& row, float* s, std::ptrdiff_t n) {
  const TanhConstants<Lanes> constants;
  const Lanes scale = Lanes::set1(steps.scale), cap = Lanes::set1(steps.softcap);
  const Lanes cap_inverse = Lanes::set1(1.0f / steps.softcap), slope = Lanes::set1(-row.slope);
  const Lanes lane = Lanes::load(lane_numbers), zero = Lanes::zero();
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
    if (bias) x = x + (whole ? Lanes::load(bias + j) : Lanes::load_first(bias + j, n - j));
    whole ? x.store(s + j) : x.store_first(s + j, n - j);
  }
}

// The keys of `words` (bit j: key j) that stand in the vector at j.
inline std::uint32_t bits_at(const std::uint64_t* words, std::ptrdiff_t j) {
  return static_cast<std::uint32_t>(words[j / 64] >> (j % 64)) & 0xffffu;
}

// Step 5 on the vectors of [first, end).
template <class Lanes>
inline void exclude_keys(float* s, const std::uint64_t* allowed, std::ptrdiff_t first, std::ptrdiff_t end) {
  for (std::ptrdiff_t j = first; j < end; j += 16)
    keep_bits(Lanes::load(s + j), bits_at(allowed, j), Lanes::set1(-infinity)).store(s + j);
}

// allowed[0, key_block / 64): bit j set where begin <= j < end and mask[j] is not 0. Reads mask[begin, end) only.
template <class Lanes>
void mask_to_bits(const std::uint8_t* mask, std::ptrdiff_t begin, std::ptrdiff_t end, std::uint64_t* allowed) {
  for (std::ptrdiff_t j = 0; j < key_block / 64; ++j) allowed[j] = 0;
  for (std::ptrdiff_t j = begin / 16 * 16; j < end; j += 16) {
    std::uint64_t bits;
    if (begin <= j && j + 16 <= end) {
      bits = Lanes::nonzero(mask + j);
    } else {
      std::uint8_t edge[16] = {};
      for (std::ptrdiff_t i = 0; i < 16; ++i)
        if (begin <= j + i && j + i < end) edge[i] = mask[j + i];
      bits = Lanes::nonzero(edge);
    }
    allowed[j / 64] |= bits << (j % 64);
  }
}

}  // namespace
}  // namespace attn::simd
