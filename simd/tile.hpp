// What a tile of query rows does with a block of keys, once, over lanes:
// scores, softmax of the block, weighted values, merge with what the blocks before gave.
#pragma once

#include <cstddef>

#include "exp.hpp"
#include "kernels.hpp"
#include "pack.hpp"
#include "prepare.hpp"
#include "product.hpp"
#include "softmax.hpp"
#include "values.hpp"

namespace attn::simd {
namespace {

// Into L2 (locality 2): L1 belongs to the tiles.
inline void prefetch_rows(const void* const* row, std::ptrdiff_t rows, std::ptrdiff_t bytes) {
  for (std::ptrdiff_t i = 0; i < rows; ++i)
    for (std::ptrdiff_t line = 0; line < bytes; line += 64)
      __builtin_prefetch(static_cast<const char*>(row[i]) + line, 0, 2);
}

// scores[r][j] = q[r] . k[j] for the allowed keys, from packed panels (and for some other keys: nobody reads those).
template <class Lanes>
void score_tiles(const Block& b) {
  constexpr std::ptrdiff_t width = 16 * Lanes::tile_vectors;
  const KeySpan seen = seen_keys(b);
  // Rows to prefetch are spread evenly over the tiles.
  const std::ptrdiff_t tiles = (seen.end - seen.begin / width * width + width - 1) / width *
                               ((b.rows + Lanes::tile_rows - 1) / Lanes::tile_rows);
  const std::ptrdiff_t step = tiles > 0 ? (b.ahead_rows + tiles - 1) / tiles : 0;
  std::ptrdiff_t fetched = 0;
  for (std::ptrdiff_t j = seen.begin / width * width; j < seen.end; j += width) {
    const std::ptrdiff_t vectors = least(width, round_up(seen.end - j, 16)) / 16;
    for (std::ptrdiff_t r = 0; r < b.rows; r += Lanes::tile_rows) {
      const std::ptrdiff_t rows = least(Lanes::tile_rows, b.rows - r);
      bool wanted = false;
      for (std::ptrdiff_t i = r; i < r + rows; ++i) wanted |= most(j, b.begin[i]) < least(j + width, b.end[i]);
      if (!wanted) continue;
      const std::ptrdiff_t fetch = least(step, b.ahead_rows - fetched);
      prefetch_rows(b.ahead + fetched, fetch, b.ahead_bytes);
      fetched += fetch;
      multiply<Lanes, Source::packed>(
          rows, vectors,
          {b.query + r * b.query_stride, b.query_stride, static_cast<const float*>(b.keys) + j * b.head_dim, width,
           b.head_dim, b.scores + r * score_stride + j, score_stride, false, 16});
    }
  }
}

// scores[r][j .. j + 16) of Rows rows, from sixteen keys in place; keys outside [begin, end) are not read.
// The keys are turned in registers and used at once, and what is read next is prefetched between the products: turning
// them in a pass of its own left the memory idle during the products.
template <class Lanes, int Rows>
void score_in_place(const Block& b, const float* keys, std::ptrdiff_t r, std::ptrdiff_t j, std::ptrdiff_t begin,
                    std::ptrdiff_t end) {
  const float* const query = b.query + r * b.query_stride;
  keys += j * b.key_stride;
  Lanes acc[Rows];
  for (int i = 0; i < Rows; ++i) acc[i] = Lanes::zero();
  for (std::ptrdiff_t d = 0; d < b.head_dim; d += 16) {
    Lanes x[16];
    if (r == 0) prefetch_keys(keys, b.key_stride, d, b.head_dim);
    turn_keys(keys + d, b.key_stride, begin - j, end - j, b.head_dim - d, x);
    if (d + 16 <= b.head_dim) {
#pragma GCC unroll 16
      for (int k = 0; k < 16; ++k)
#pragma GCC unroll 8
        for (int i = 0; i < Rows; ++i) acc[i] = fma(Lanes::set1(query[i * b.query_stride + d + k]), x[k], acc[i]);
    } else {
      for (std::ptrdiff_t k = 0; d + k < b.head_dim; ++k)
        for (int i = 0; i < Rows; ++i) acc[i] = fma(Lanes::set1(query[i * b.query_stride + d + k]), x[k], acc[i]);
    }
  }
  for (int i = 0; i < Rows; ++i) acc[i].store(b.scores + (r + i) * score_stride + j);
}

// Of halves: the same in pairs of columns.
template <class Lanes, int Rows, class Half>
void score_in_place(const Block& b, const Half* keys, std::ptrdiff_t r, std::ptrdiff_t j, std::ptrdiff_t begin,
                    std::ptrdiff_t end) {
  const float* const query = b.query + r * b.query_stride;
  keys += j * b.key_stride;
  Lanes acc[Rows];
  for (int i = 0; i < Rows; ++i) acc[i] = Lanes::zero();
  const auto add = [&](Lanes x, std::ptrdiff_t d) {
#pragma GCC unroll 8
    for (int i = 0; i < Rows; ++i) acc[i] = fma(Lanes::set1(query[i * b.query_stride + d]), x, acc[i]);
  };
  for (std::ptrdiff_t d = 0; d < b.head_dim; d += 32) {
    Lanes x[16];
    if (r == 0) prefetch_keys(keys, b.key_stride, d, b.head_dim);
    turn_pairs(keys + d, b.key_stride, begin - j, end - j, b.head_dim - d, x);
    if (d + 32 <= b.head_dim) {
#pragma GCC unroll 16
      for (int k = 0; k < 16; ++k) {
        add(first_of_pairs(x[k], keys), d + 2 * k);
        add(second_of_pairs(x[k], keys), d + 2 * k + 1);
      }
    } else {
      for (std::ptrdiff_t k = 0; d + 2 * k < b.head_dim; ++k) {
        add(first_of_pairs(x[k], keys), d + 2 * k);
        if (d + 2 * k + 1 < b.head_dim) add(second_of_pairs(x[k], keys), d + 2 * k + 1);
      }
    }
  }
  for (int i = 0; i < Rows; ++i) acc[i].store(b.scores + (r + i) * score_stride + j);
}

template <class Lanes, class T, int Rows = Lanes::direct_rows>
void score_rows_in_place(const Block& b, const T* keys, std::ptrdiff_t r, std::ptrdiff_t j, std::ptrdiff_t begin,
                         std::ptrdiff_t end) {
  if constexpr (Rows > 1)
    if (b.rows - r < Rows) return score_rows_in_place<Lanes, T, Rows - 1>(b, keys, r, j, begin, end);
  score_in_place<Lanes, Rows>(b, keys, r, j, begin, end);
}

template <class Lanes>
void score_keys_in_place(const Block& b) {
  const KeySpan seen = seen_keys(b);
  with_type(b.keys, b.key_storage, [&](const auto* keys) {
    for (std::ptrdiff_t j = seen.begin / 16 * 16; j < seen.end; j += 16)
      for (std::ptrdiff_t r = 0; r < b.rows; r += Lanes::direct_rows)
        score_rows_in_place<Lanes>(b, keys, r, j, seen.begin, seen.end);
  });
}

// weights[r][j] = 2^((s[r][j] - m[r]) * c) in place, for j in [begin, end) of each row; the row's m, and l = sum of its
// weights. Whole vectors are written: excluded lanes become 0. Rows without keys: m = -inf, l = 0.
template <class Lanes>
void block_softmax(const Block& b, float* row_max, float* row_sum) {
  const ExpConstants<Lanes> constants(b.exponent);
  // All maxima of some rows first: the latency of one row's reduction hides behind the next row. 8 rows fit in L1.
  for (std::ptrdiff_t group = 0; group < b.rows; group += 8) {
    const std::ptrdiff_t rows_end = least(group + 8, b.rows);
    for (std::ptrdiff_t r = group; r < rows_end; ++r) {
      row_max[r] = b.begin[r] < b.end[r] ? prepare_row<Lanes>(b, r) : -infinity;
    }
    for (std::ptrdiff_t r = group; r < rows_end; ++r) {
      float* s = b.scores + r * score_stride;
      const std::ptrdiff_t first = b.begin[r] / 16 * 16, length = (b.end[r] - first + 15) / 16 * 16;
      row_sum[r] =
          b.begin[r] < b.end[r] ? exp_of_row<Lanes, false>(s + first, s + first, length, row_max[r], constants) : 0.0f;
    }
  }
}

// M = max(m, m');  l = l 2^((m-M)c) + l' 2^((m'-M)c);  o likewise. A side without keys (m = -inf, l = 0, o = 0) changes
// nothing: its factor is 0 and the other's is exactly 1.
template <class Lanes>
void merge_block(const Block& b) {
  const ExpConstants<Lanes> constants(b.exponent);
  for (std::ptrdiff_t r = 0; r < b.rows; r += 16) {
    const Lanes m = Lanes::load(b.row_max + r), block_m = Lanes::load(b.block_max + r);
    const Lanes top = max(block_m, m);
    const Lanes lowest = Lanes::set1(-__FLT_MAX__);
    const Lanes finite = max(top, lowest);  // (-inf) - (-inf) would be NaN
    const Lanes keep = exp_scaled(m - finite, constants), add = exp_scaled(block_m - finite, constants);
    top.store(b.row_max + r);
    fma(Lanes::load(b.row_sum + r), keep, Lanes::load(b.block_sum + r) * add).store(b.row_sum + r);
    keep.store(b.block_max + r);
    add.store(b.block_sum + r);
  }
  for (std::ptrdiff_t r = 0; r < b.rows; ++r) {
    const Lanes keep = Lanes::set1(b.block_max[r]), add = Lanes::set1(b.block_sum[r]);
    for (std::ptrdiff_t e = r * b.output_stride; e < (r + 1) * b.output_stride; e += 16)
      fma(Lanes::load(b.output + e), keep, Lanes::load(b.block_output + e) * add).store(b.output + e);
  }
}

template <class Lanes>
void score_block(const Block& b) {
  b.packed ? score_tiles<Lanes>(b) : score_keys_in_place<Lanes>(b);
}

template <class Lanes>
void attend_block(const Block& b) {
  score_block<Lanes>(b);
  float* block_max = b.first ? b.row_max : b.block_max;
  float* block_sum = b.first ? b.row_sum : b.block_sum;
  block_softmax<Lanes>(b, block_max, block_sum);
  value_tiles<Lanes>(b, b.first ? b.output : b.block_output);
  if (!b.first) merge_block<Lanes>(b);
}

// weights[r][j] = 2^((s[r][j] - m[r]) * c) / l[r] with the m and l of all blocks, in place of the scores. In a row that
// is NaN every allowed key weighs NaN, and an excluded one still 0.
template <class Lanes>
void weigh_block(const Block& b) {
  const ExpConstants<Lanes> constants(b.exponent);
  score_block<Lanes>(b);
  for (std::ptrdiff_t r = 0; r < b.rows; ++r) {
    const std::ptrdiff_t begin = b.begin[r], end = b.end[r];
    if (begin >= end) continue;
    prepare_row<Lanes>(b, r);
    const float inverse = b.row_sum[r] == 0.0f ? 0.0f : 1.0f / b.row_sum[r];
    const Lanes m = Lanes::set1(finite_max(b.row_max[r])), scale = Lanes::set1(inverse);
    float* s = b.scores + r * score_stride;
    for (std::ptrdiff_t j = begin / 16 * 16; j < end; j += 16) {
      if (inverse == inverse) {
        (exp_scaled(Lanes::load(s + j) - m, constants) * scale).store(s + j);
      } else {
        const Lanes nan = canonical_nan(scale), zero = Lanes::zero();
        (b.allowed && b.allowed[r] ? keep_bits(nan, bits_at(b.allowed[r], j), zero)
                                   : keep_range(nan, most(begin - j, 0), least(end - j, 16), zero))
            .store(s + j);
      }
    }
  }
}

// One division a row, one product an element. Adding +0 turns -0 to +0: a chain that began at a skipped key and one
// that began at a weight of 0 may differ in that sign and in nothing else.
template <class Lanes>
bool finish_row(const float* o, float row_sum, float* out, std::ptrdiff_t n) {
  const Lanes inverse = Lanes::set1(row_sum == 0.0f ? 0.0f : 1.0f / row_sum), zero = Lanes::zero();
  Lanes zeros = zero;
  std::ptrdiff_t e = 0;
  for (; e + 16 <= n; e += 16) {
    const Lanes x = fma(Lanes::load(o + e), inverse, zero);
    zeros = fma(x, zero, zeros);
    canonical_nan(x).store(out + e);
  }
  if (e < n) {
    const Lanes x = fma(Lanes::load_first(o + e, n - e), inverse, zero);
    zeros = fma(x, zero, zeros);
    canonical_nan(x).store_first(out + e, n - e);
  }
  return reduce_add(zeros) == 0.0f;
}

template <class Lanes>
constexpr Kernels make_kernels(const char* name) {
  return {name,
          16 * Lanes::tile_vectors,
          exp_scaled_row<Lanes>,
          softmax_rows<Lanes>,
          pack_keys<Lanes>,
          pack_values<Lanes>,
          widen<Lanes>,
          narrow<Lanes>,
          attend_block<Lanes>,
          weigh_block<Lanes>,
          mask_to_bits<Lanes>,
          step_scores<Lanes>,
          merge_block<Lanes>,
          all_finite<Lanes>,
          finish_row<Lanes>};
}

}  // namespace
}  // namespace attn::simd
