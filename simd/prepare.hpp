// A row of products made ready for the softmax: its steps, its excluded keys, its maximum.
#pragma once

#include <cstddef>
#include <cstdint>

#include "finite.hpp"
#include "kernels.hpp"
#include "numbers.hpp"
#include "score_steps.hpp"
#include "softmax.hpp"
#include "visible.hpp"

namespace attn::simd {
namespace {

// Is the product with some key that row r sees not finite? The vectors hold other keys, too, and those do not count.
template <class Lanes>
bool product_overflows(const Visible& v, std::ptrdiff_t r, const float* s) {
  const std::ptrdiff_t begin = v.begin[r], end = v.end[r], first = begin / 16 * 16;
  if (all_finite<Lanes>(s + first, (end - first + 15) / 16 * 16)) return false;
  for (std::ptrdiff_t j = begin; j < end; ++j)
    if (s[j] - s[j] != 0.0f && (visible_bits(v, r, j) & 1) != 0) return true;
  return false;
}

// The maximum of a row, and whether all that it sees is finite. Lanes outside [begin, end) in its first and last
// vector become -inf.
template <class Lanes>
[[gnu::noinline]] float max_of_vectors(float* s, std::ptrdiff_t begin, std::ptrdiff_t end, bool& finite) {
  const Lanes none = Lanes::set1(-infinity), zero = Lanes::zero();
  Lanes m[4] = {none, none, none, none}, zeros[2] = {zero, zero};  // AVX2 has registers for no more
  const auto edge = [&](std::ptrdiff_t j) {
    const Lanes x = Lanes::load(s + j);
    const std::ptrdiff_t from = max(begin - j, 0), to = min(end - j, 16);
    const Lanes seen = keep_range(x, from, to, none);
    seen.store(s + j);
    m[0] = max(seen, m[0]);
    zeros[0] = fma(keep_range(x, from, to, zero), zero, zeros[0]);
  };
  std::ptrdiff_t j = begin / 16 * 16;
  const std::ptrdiff_t whole = end / 16 * 16;
  if (j < begin || whole == j) {
    edge(j);
    j += 16;
  }
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
  finite = !any_nan(zeros[0] + zeros[1]);
  return reduce_max(max(max(m[0], m[1]), max(m[2], m[3])));
}

// The same, quicker within one vector: short rows are many.
template <class Lanes>
inline float max_of_range(float* s, std::ptrdiff_t begin, std::ptrdiff_t end, bool& finite) {
  const std::ptrdiff_t first = begin / 16 * 16;
  if (end > first + 16) return max_of_vectors<Lanes>(s, begin, end, finite);
  Lanes x = Lanes::load(s + first);
  if (end - begin == 16) {
    finite = !any_nan(x * Lanes::zero());
  } else {
    finite = !any_nan(keep_range(x, begin - first, end - first, Lanes::zero()) * Lanes::zero());
    x = keep_range(x, begin - first, end - first, Lanes::set1(-infinity));
    x.store(s + first);
  }
  return reduce_max(x);
}

// A row's maximum, and whether the product with some key that it sees was not finite.
struct Prepared {
  float max;
  bool overflowed;
};

// Rows with steps, or a mask.
template <class Lanes>
[[gnu::noinline]] Prepared prepare_stepped_row(const Visible& v, const ScoreRule& rule, std::ptrdiff_t r, float* s) {
  const std::ptrdiff_t begin = v.begin[r], end = v.end[r], first = begin / 16 * 16;
  Prepared row{0, product_overflows<Lanes>(v, r, s)};
  if (rule.steps) {
    RowSteps steps = rule.row_steps[r];
    steps.distance -= static_cast<float>(first);
    if (steps.bias) steps.bias += first;
    step_scores<Lanes>(*rule.steps, steps, s + first, end - first);
  }
  if (masked(v, r)) {
    exclude_keys<Lanes>(s, v.allowed[r], first, end);
    row.max = max_of_row<Lanes, false>(s + first, (end - first + 15) / 16 * 16);
  } else {
    bool finite;
    row.max = max_of_range<Lanes>(s, begin, end, finite);
  }
  return row;
}

// The scores s[j] of row r as the softmax sees them. Excluded keys are -inf to the ends of the range's first and last
// vector, so that the passes over a row run over whole vectors.
template <class Lanes>
inline Prepared prepare_row(const Visible& v, const ScoreRule& rule, std::ptrdiff_t r, float* s) {
  if (rule.steps || masked(v, r)) return prepare_stepped_row<Lanes>(v, rule, r, s);
  bool finite;
  const float m = max_of_range<Lanes>(s, v.begin[r], v.end[r], finite);
  return {m, !finite};
}

}  // namespace
}  // namespace attn::simd
