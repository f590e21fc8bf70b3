// What a tile of query rows does with a block of keys, once, over lanes: scores, softmax of the block, weighted values.
// Then the merge with other blocks, the division at the end, and the weights that are asked for.
#pragma once

#include <cstddef>

#include "exp.hpp"
#include "kernels.hpp"
#include "numbers.hpp"
#include "prepare.hpp"
#include "scores.hpp"
#include "softmax.hpp"
#include "values.hpp"

namespace attn::simd {
namespace {

// exp_of_row for N rows of one vector each, step by step together, as one vector's steps depend on each other.
template <class Lanes, int N>
inline void exp_of_short_rows(float* s, const float* row_max, float* row_sum, const ExpConstants<Lanes>& constants) {
  Lanes p[N];
  for (int i = 0; i < N; ++i) p[i] = Lanes::load(s + i * score_stride) - Lanes::set1(finite_max(row_max[i]));
  exp_scaled(p, constants);
  for (int i = 0; i < N; ++i) {
    p[i].store(s + i * score_stride);
    row_sum[i] = reduce_add(Lanes::zero() + p[i]);
  }
}

//   m[r] = max_j s[r][j];  weights[r][j] = 2^((s[r][j] - m[r]) * c), in place;  l[r] = sum_j weights[r][j]
// for j in [begin, end) of each row. Whole vectors are written, 0 in excluded lanes; without keys m = -inf and l = 0.
template <class Lanes>
void block_softmax(std::ptrdiff_t rows, const Visible& v, const ScoreRule& rule, float* scores, const State& block) {
  constexpr int together = static_cast<int>(max(2, Lanes::exp_vectors));
  const ExpConstants<Lanes> constants(rule.exponent);
  const KeySpan seen = rows >= together ? visible_keys(v, rows) : KeySpan{0, 0};
  const bool short_rows = seen.begin % 16 == 0 && seen.end - seen.begin <= 16 && all_see(v, rows, seen);
  // All maxima of some rows first: the latency of one row's reduction hides behind the next row. 8 rows fit in L1.
  for (std::ptrdiff_t group = 0; group < rows; group += 8) {
    const std::ptrdiff_t group_end = min(group + 8, rows);
    for (std::ptrdiff_t r = group; r < group_end; ++r) {
      block.max[r] = -infinity;
      if (v.begin[r] >= v.end[r]) continue;
      const Prepared row = prepare_row<Lanes>(v, rule, r, scores + r * score_stride);
      block.max[r] = row.max;
      if (row.overflowed) block.overflowed[r] = 1;
    }
    std::ptrdiff_t r = group;
    if (short_rows)
      for (; r + together <= group_end; r += together)
        exp_of_short_rows<Lanes, together>(
            scores + r * score_stride + seen.begin, block.max + r, block.sum + r, constants);
    for (; r < group_end; ++r) {
      float* const s = scores + r * score_stride;
      const std::ptrdiff_t first = v.begin[r] / 16 * 16, length = (v.end[r] - first + 15) / 16 * 16;
      block.sum[r] = v.begin[r] < v.end[r]
          ? exp_of_row<Lanes, false>(s + first, s + first, length, block.max[r], constants)
          : 0.0f;
    }
  }
}

// Values with scales, group by group.
template <class Lanes>
[[gnu::noinline]] void weigh_scaled_values(
    std::ptrdiff_t rows, const KeyBlock& keys, const Visible& v, const Scratch& scratch, const State& block) {
  for (std::ptrdiff_t e = 0, g = 0; e < keys.value_dim; e += keys.value_group, ++g) {
    for (std::ptrdiff_t r = 0; r < rows; ++r) {
      const std::ptrdiff_t first = v.begin[r] / 16 * 16, length = round_up(v.end[r], 16) - first;
      if (v.begin[r] < v.end[r])
        scale_products<Lanes>(
            scratch.scores + r * score_stride + first, keys.value_scales + g * key_block + first, length, true,
            scratch.weights + r * score_stride + first);
    }
    weigh_values<Lanes>(rows, scratch.weights, group_of_values(keys, g), v, block.output + e, block.output_stride);
  }
}

template <class Lanes>
void attend(
    const Queries& queries, const KeyBlock& keys, const Visible& visible, const ScoreRule& rule, const Scratch& scratch,
    State block) {
  if (!scratch.multiplied) score_block<Lanes>(queries, keys, visible, scratch);
  block_softmax<Lanes>(queries.count, visible, rule, scratch.scores, block);
  if (keys.value_scales) return weigh_scaled_values<Lanes>(queries.count, keys, visible, scratch, block);
  if (keys.bf16_weights) round_weights<Lanes>(queries.count, keys, visible, scratch.scores, scratch.weights);
  weigh_values<Lanes>(
      queries.count, keys.bf16_weights ? scratch.weights : scratch.scores, keys, visible, block.output,
      block.output_stride);
}

// M = max(m, m');  l = l 2^((m-M)c) + l' 2^((m'-M)c);  o likewise. A side without keys (m = -inf, l = 0, o = 0) changes
// nothing: its factor is 0 and the other's is exactly 1.
template <class Lanes>
void merge(const Exponent& exponent, std::ptrdiff_t rows, State into, State from) {
  const ExpConstants<Lanes> constants(exponent);
  for (std::ptrdiff_t r = 0; r < rows; r += 16) {
    const Lanes m = Lanes::load(into.max + r), from_m = Lanes::load(from.max + r);
    const Lanes top = max(from_m, m);
    const Lanes lowest = Lanes::set1(-__FLT_MAX__);
    const Lanes finite = max(top, lowest);  // (-inf) - (-inf) would be NaN
    const Lanes keep = exp_scaled(m - finite, constants), add = exp_scaled(from_m - finite, constants);
    top.store(into.max + r);
    fma(Lanes::load(into.sum + r), keep, Lanes::load(from.sum + r) * add).store(into.sum + r);
    keep.store(from.max + r);
    add.store(from.sum + r);
  }
  for (std::ptrdiff_t r = 0; r < rows; ++r) {
    const Lanes keep = Lanes::set1(from.max[r]), add = Lanes::set1(from.sum[r]);
    for (std::ptrdiff_t e = r * into.output_stride; e < (r + 1) * into.output_stride; e += 16)
      fma(Lanes::load(into.output + e), keep, Lanes::load(from.output + e) * add).store(into.output + e);
    into.overflowed[r] |= from.overflowed[r];
  }
}

// w[j] = p[j] * factor, and 0 where that is below 2^-126: into `weights`, and added to `sums`. A NaN stays one.
// Stores past the caches gained nothing for 50 MB of weights (Zen 3, one and two threads).
template <class Lanes>
void weigh(const float* p, float factor, std::ptrdiff_t n, float* weights, float* sums) {
  const Lanes f = Lanes::set1(factor), least = Lanes::set1(__FLT_MIN__);
  std::ptrdiff_t j = 0;
  for (; j + 16 <= n; j += 16) {
    const Lanes x = Lanes::load(p + j) * f, w = zero_where_less(x, x, least);
    if (weights) w.store(weights + j);
    if (sums) (Lanes::load(sums + j) + w).store(sums + j);
  }
  if (j == n) return;
  const Lanes x = Lanes::load_first(p + j, n - j) * f, w = zero_where_less(x, x, least);
  if (weights) w.store_first(weights + j, n - j);
  if (sums) (Lanes::load_first(sums + j, n - j) + w).store_first(sums + j, n - j);
}

// One division a row, one product an element. Adding +0 turns -0 to +0: only in that sign may a chain that skipped its
// first key differ from one that weighed it 0. A NaN is given its bits in a second pass, as it is rare.
template <class Lanes>
bool finish_row(const float* o, float sum, float* out, std::ptrdiff_t n) {
  const Lanes inverse = Lanes::set1(sum == 0.0f ? 0.0f : 1.0f / sum), zero = Lanes::zero();
  Lanes zeros = zero;  // see finite.hpp
  std::ptrdiff_t e = 0;
  const auto finish = [&](std::ptrdiff_t at) {
    const Lanes x = fma(Lanes::load(o + at), inverse, zero);
    zeros = fma(x, zero, zeros);
    x.store(out + at);
  };
  for (; e + 16 <= n; e += 16) finish(e);
  if (e < n && n >= 16 && o != out) {
    finish(n - 16);  // some columns once more: with a masked store 16 keys of 40 columns took 1.1 times as long
  } else if (e < n) {
    const Lanes x = fma(Lanes::load_first(o + e, n - e), inverse, zero);
    zeros = fma(x, zero, zeros);
    x.store_first(out + e, n - e);
  }
  if (!any_nan(zeros)) return true;
  for (e = 0; e < n; e += 16) {
    const std::ptrdiff_t some = min(16, n - e);
    canonical_nan(Lanes::load_first(out + e, some)).store_first(out + e, some);
  }
  return false;
}

}  // namespace
}  // namespace attn::simd
