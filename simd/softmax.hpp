// The fused scale - max - exp - normalize softmax of one row, once, over lanes.
//
//   m = max_j x[j];  p[j] = 2^((x[j] - m) * c);  l = sum_j p[j];  y[j] = p[j] * (1 / l)
//   m = 0 in a row of only -inf: so p, l and y are 0 there, and not NaN
//
// Lane i sums the elements i, i + 16, ...; the lanes are added by the fixed tree of reduce_add. Tails vanish by
// identities: -inf for the maximum, 0 for the sum.
#pragma once

#include <cstddef>

#include "exp.hpp"
#include "kernels.hpp"
#include "numbers.hpp"

namespace attn::simd {
namespace {

// The maximum that is subtracted: (-inf) - (-inf) would be NaN.
inline float finite_max(float m) { return m == -infinity ? 0.0f : m; }

template <class Lanes, bool Negate>
inline Lanes signed_scores(Lanes x) {
  if constexpr (Negate) return Lanes::set1(-0.0f) - x;
  return x;
}

// max_j x[j] without the NaN among them. The order of a maximum does not matter: four chains hide its latency.
template <class Lanes, bool Negate>
inline float max_of_row(const float* x, std::ptrdiff_t n) {
  Lanes m[4];
  for (Lanes& chain : m) chain = Lanes::set1(-infinity);
  std::ptrdiff_t j = 0;
  for (; j + 64 <= n; j += 64)
    for (int k = 0; k < 4; ++k) m[k] = max(signed_scores<Lanes, Negate>(Lanes::load(x + j + 16 * k)), m[k]);
  for (; j + 16 <= n; j += 16) m[0] = max(signed_scores<Lanes, Negate>(Lanes::load(x + j)), m[0]);
  if (j < n) {
    const Lanes tail = signed_scores<Lanes, Negate>(Lanes::load_first(x + j, n - j));
    m[1] = max(keep_range(tail, 0, n - j, Lanes::set1(-infinity)), m[1]);
  }
  return reduce_max(max(max(m[0], m[1]), max(m[2], m[3])));
}

// p[j] = 2^((x[j] - m) * c) into y; their sum.
template <class Lanes, bool Negate>
inline float exp_of_row(
    const float* x, float* y, std::ptrdiff_t n, float row_max, const ExpConstants<Lanes>& constants) {
  const Lanes m = Lanes::set1(finite_max(row_max));
  Lanes sum = Lanes::zero();
  std::ptrdiff_t j = 0;
  constexpr int N = Lanes::exp_vectors;
  for (; j + 16 * N <= n; j += 16 * N) {
    Lanes p[N];
    for (int i = 0; i < N; ++i) p[i] = signed_scores<Lanes, Negate>(Lanes::load(x + j + 16 * i)) - m;
    exp_scaled(p, constants);
    for (int i = 0; i < N; ++i) {
      p[i].store(y + j + 16 * i);
      sum = sum + p[i];
    }
  }
  for (; j + 16 <= n; j += 16) {
    const Lanes p = exp_scaled(signed_scores<Lanes, Negate>(Lanes::load(x + j)) - m, constants);
    p.store(y + j);
    sum = sum + p;
  }
  if (j < n) {
    const Lanes tail = signed_scores<Lanes, Negate>(Lanes::load_first(x + j, n - j));
    const Lanes p = exp_scaled(keep_range(tail, 0, n - j, Lanes::set1(-infinity)) - m, constants);
    p.store_first(y + j, n - j);
    sum = sum + p;
  }
  return reduce_add(sum);
}

// y[j] = y[j] / row_sum; 0 in a row of only -inf. A NaN anywhere is in the sum, and makes the whole row NaN, with the
// same bits on every CPU.
template <class Lanes>
inline void normalize_row(float* y, std::ptrdiff_t n, float row_sum) {
  const float inverse = row_sum == 0.0f ? 0.0f : 1.0f / row_sum;
  const Lanes scale = Lanes::set1(inverse);
  std::ptrdiff_t j = 0;
  if (inverse == inverse) {
    for (; j + 16 <= n; j += 16) (Lanes::load(y + j) * scale).store(y + j);
    if (j < n) (Lanes::load_first(y + j, n - j) * scale).store_first(y + j, n - j);
  } else {
    const Lanes nan = canonical_nan(scale);
    for (; j + 16 <= n; j += 16) nan.store(y + j);
    if (j < n) nan.store_first(y + j, n - j);
  }
}

template <class Lanes, bool Negate>
void softmax_rows_signed(const SoftmaxRows& a) {
  // Each pass runs over a few rows before the next begins: the latency of one row's reduction hides behind the next
  // row. More elements than this, and the rows would leave L1 between two passes.
  constexpr std::ptrdiff_t most_rows = 8, most_elements = 1024;
  std::ptrdiff_t step = a.columns > 0 ? most_elements / a.columns : 1;
  step = step < 1 ? 1 : step > most_rows ? most_rows : step;
  float row_max[most_rows], row_sum[most_rows];
  const ExpConstants<Lanes> constants(a.exponent);
  for (std::ptrdiff_t first = 0; first < a.rows; first += step) {
    const std::ptrdiff_t rows = step < a.rows - first ? step : a.rows - first;
    const float* x = a.x + first * a.x_stride;
    float* y = a.y + first * a.y_stride;
    for (std::ptrdiff_t r = 0; r < rows; ++r) row_max[r] = max_of_row<Lanes, Negate>(x + r * a.x_stride, a.columns);
    for (std::ptrdiff_t r = 0; r < rows; ++r)
      row_sum[r] = exp_of_row<Lanes, Negate>(x + r * a.x_stride, y + r * a.y_stride, a.columns, row_max[r], constants);
    for (std::ptrdiff_t r = 0; r < rows; ++r) {
      normalize_row<Lanes>(y + r * a.y_stride, a.columns, row_sum[r]);
      if (a.row_max) a.row_max[first + r] = row_max[r];
      if (a.row_sum) a.row_sum[first + r] = row_sum[r];
    }
  }
}

template <class Lanes>
void softmax_rows(const SoftmaxRows& a) {
  a.negate ? softmax_rows_signed<Lanes, true>(a) : softmax_rows_signed<Lanes, false>(a);
}

template <class Lanes>
void exp_scaled_row(const float* d, float* y, std::ptrdiff_t n, const Exponent& exponent) {
  const ExpConstants<Lanes> constants(exponent);
  std::ptrdiff_t j = 0;
  for (; j + 16 <= n; j += 16) exp_scaled(Lanes::load(d + j), constants).store(y + j);
  if (j < n) exp_scaled(Lanes::load_first(d + j, n - j), constants).store_first(y + j, n - j);
}

}  // namespace
}  // namespace attn::simd
