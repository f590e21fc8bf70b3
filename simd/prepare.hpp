// A row of products made ready for the softmax, once, over lanes: what overflowed, its steps, its excluded keys, its
// maximum.
#pragma once

#include <cstddef>

#include "kernels.hpp"
#include "product.hpp"
#include "scores.hpp"
#include "softmax.hpp"

namespace attn::simd {
namespace {

// Is none of n floats NaN or infinite?
template <class Lanes>
bool all_finite(const float* x, std::ptrdiff_t n) {
  Lanes zeros[4] = {Lanes::zero(), Lanes::zero(), Lanes::zero(), Lanes::zero()};  // 0 * x is 0, or NaN
  std::ptrdiff_t i = 0;
  for (; i + 64 <= n; i += 64)
    for (int k = 0; k < 4; ++k) zeros[k] = fma(Lanes::load(x + i + 16 * k), Lanes::zero(), zeros[k]);
  for (; i < n; i += 16) zeros[0] = fma(Lanes::load_first(x + i, least(16, n - i)), Lanes::zero(), zeros[0]);
  return reduce_add((zeros[0] + zeros[1]) + (zeros[2] + zeros[3])) == 0.0f;
}

// Marks row r if the product with some key that it sees is not finite, before steps and masks hide it. The vectors hold
// other keys, too, and those do not count.
template <class Lanes>
void mark_overflow(const Block& b, std::ptrdiff_t r, const float* s) {
  const std::ptrdiff_t begin = b.begin[r], end = b.end[r], first = begin / 16 * 16;
  if (all_finite<Lanes>(s + first, (end - first + 15) / 16 * 16)) return;
  for (std::ptrdiff_t j = begin; j < end; ++j)
    if (s[j] - s[j] != 0.0f && (!b.allowed || !b.allowed[r] || (b.allowed[r][j / 64] >> (j % 64) & 1) != 0))
      b.overflowed[r] = 1;
}

// -inf in the lanes of a row's first and last vector that it does not see; the row's maximum, and whether all that it
// sees is finite.
template <class Lanes>
float max_of_range(float* s, std::ptrdiff_t begin, std::ptrdiff_t end, bool& finite) {
  const Lanes none = Lanes::set1(-infinity), zero = Lanes::zero();
  Lanes m[4] = {none, none, none, none}, zeros[2] = {zero, zero};  // AVX2 has registers for no more
  const auto edge = [&](std::ptrdiff_t j) {
    const Lanes x = Lanes::load(s + j);
    const std::ptrdiff_t from = most(begin - j, 0), to = least(end - j, 16);
    const Lanes seen = keep_range(x, from, to, none);
    seen.store(s + j);
    m[0] = max(seen, m[0]);
    zeros[0] = fma(keep_range(x, from, to, zero), zero, zeros[0]);
  };
  std::ptrdiff_t j = begin / 16 * 16;
  const std::ptrdiff_t whole = end / 16 * 16;
  if (j < begin || whole == j) edge(j), j += 16;
  for (; j + 64 <= whole; j += 64)
    for (int k = 0; k < 4; ++k) {
      const Lanes x = Lanes::load(s + j + 16 * k);
      m[k] = max(x, m[k]);
      zeros[k % 2] = fma(x, zero, zeros[k % 2]);
    }
  for (; j < whole; j += 16) {
    const Lanes x = Lanes::load(s + j);
    m[0] = max(x, m[0]);
    zeros[0] = fma(x, zero, zeros[0]);
  }
  if (j < end) edge(j);
  finite = reduce_add(zeros[0] + zeros[1]) == 0.0f;
  return reduce_max(max(max(m[0], m[1]), max(m[2], m[3])));
}

// The scores of row r as the softmax sees them, -inf where a key is excluded, as far as the vectors of its range reach,
// so that the passes over a row run over whole vectors. Their maximum.
template <class Lanes>
float prepare_row(const Block& b, std::ptrdiff_t r) {
  const std::ptrdiff_t begin = b.begin[r], end = b.end[r], first = begin / 16 * 16;
  float* s = b.scores + r * score_stride;
  const bool masked = b.allowed && b.allowed[r];
  if (b.steps || masked) mark_overflow<Lanes>(b, r, s);
  if (b.steps) {
    RowSteps row = b.row_steps[r];
    row.distance -= static_cast<float>(first);
    if (row.bias) row.bias += first;
    step_scores<Lanes>(*b.steps, row, s + first, end - first);
  }
  if (masked) {
    exclude_keys<Lanes>(s, b.allowed[r], first, end);
    return max_of_row<Lanes, false>(s + first, (end - first + 15) / 16 * 16);
  }
  bool finite;
  const float row_max = max_of_range<Lanes>(s, begin, end, finite);
  if (!b.steps && !finite) b.overflowed[r] = 1;
  return row_max;
}

}  // namespace
}  // namespace attn::simd
