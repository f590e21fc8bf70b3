// The first product of a block, once, over lanes: scores[r][j] = q[r] . k[j], one fma chain over the head dimension
// each. Keys that a row does not see may be multiplied too: nobody reads those scores.
#pragma once

#include <cstddef>

#include "elements.hpp"
#include "kernels.hpp"
#include "prefetch.hpp"
#include "product.hpp"
#include "transpose.hpp"
#include "visible.hpp"

namespace attn::simd {
namespace {

// From packed panels.
template <class Lanes>
void score_panels(const Queries& q, const KeyBlock& k, const Visible& v, const Scratch& scratch) {
  constexpr std::ptrdiff_t width = 16 * Lanes::tile_vectors;
  const KeySpan seen = visible_keys(v, q.count);
  const Prefetch& wanted = scratch.prefetch;
  // What is to be fetched is spread evenly over the tiles.
  const std::ptrdiff_t tiles = (seen.end - seen.begin / width * width + width - 1) / width *
      ((q.count + Lanes::tile_rows - 1) / Lanes::tile_rows);
  const std::ptrdiff_t step = tiles > 0 ? (wanted.count + tiles - 1) / tiles : 0;
  std::ptrdiff_t fetched = 0;
  for (std::ptrdiff_t j = seen.begin / width * width; j < seen.end; j += width) {
    const std::ptrdiff_t vectors = min(width, round_up(seen.end - j, 16)) / 16;
    for (std::ptrdiff_t r = 0; r < q.count; r += Lanes::tile_rows) {
      const std::ptrdiff_t rows = min(Lanes::tile_rows, q.count - r);
      bool any = false;
      for (std::ptrdiff_t i = r; i < r + rows; ++i) any |= max(j, v.begin[i]) < min(j + width, v.end[i]);
      if (!any) continue;
      const std::ptrdiff_t fetch = min(step, wanted.count - fetched);
      prefetch_rows(wanted.rows + fetched, fetch, wanted.row_bytes);
      fetched += fetch;
      multiply<Lanes, Source::packed>(
          rows, vectors,
          {q.rows + r * q.stride, q.stride, static_cast<const float*>(k.keys) + j * q.head_dim, width, q.head_dim,
           scratch.scores + r * score_stride + j, score_stride, false, 16});
    }
  }
}

// Keys in place, from the block's first.
template <class T>
struct KeysInPlace {
  const T* first;
  std::ptrdiff_t stride;
};
template <class T>
KeysInPlace(const T*, std::ptrdiff_t) -> KeysInPlace<T>;

// scores[i][j .. j + 16) of `Rows` query rows; rows from `count` on repeat the last one.
// Sixteen keys are transposed in registers and used at once while the next are fetched: transposing in a pass of its
// own left the memory idle during the products.
template <class Lanes, int Rows, class T>
void score_in_place(
    const Queries& q, std::ptrdiff_t r, const KeysInPlace<T>& keys, std::ptrdiff_t j, KeySpan seen, float* scores) {
  constexpr int columns = Element<T>::columns;
  static_assert(columns <= 2, "below, one column or two are taken out of 32 bits");
  const T* const sixteen = keys.first + j * keys.stride;
  const float* row[Rows];
  for (int i = 0; i < Rows; ++i) row[i] = q.rows + min(r + i, q.count - 1) * q.stride;
  Lanes acc[Rows];
  for (int i = 0; i < Rows; ++i) acc[i] = Lanes::zero();
  const auto add = [&](Lanes x, std::ptrdiff_t d) {
#pragma GCC unroll 8
    for (int i = 0; i < Rows; ++i) acc[i] = fma(Lanes::set1(row[i][d]), x, acc[i]);
  };
  for (std::ptrdiff_t d = 0; d < q.head_dim; d += 16 * columns) {
    Lanes x[16];
    if (r == 0) prefetch_keys(sixteen, keys.stride, d, q.head_dim);
    transpose_keys(sixteen + d, keys.stride, {seen.begin - j, seen.end - j}, q.head_dim - d, x);
    if (Lanes::in_registers && d + 16 * columns <= q.head_dim) {
#pragma GCC unroll 16
      for (int k = 0; k < 16; ++k) {
        add(Element<T>::template column<0>(x[k]), d + columns * k);
        if constexpr (columns == 2) add(Element<T>::template column<1>(x[k]), d + columns * k + 1);
      }
    } else {
      for (std::ptrdiff_t k = 0; k < 16 && d + columns * k < q.head_dim; ++k) {
        add(Element<T>::template column<0>(x[k]), d + columns * k);
        if (columns == 2 && d + 2 * k + 1 < q.head_dim) add(Element<T>::template column<1>(x[k]), d + 2 * k + 1);
      }
    }
  }
  for (int i = 0; i < Rows; ++i) acc[i].store(scores + min(r + i, q.count - 1) * score_stride + j);
}

// Takes the smallest kernel that holds the rows: of 1, 2 or Lanes::score_rows. Three rows would need a kernel of
// their own.
template <class Lanes, class T>
void score_rows_in_place(
    const Queries& q, std::ptrdiff_t r, const KeysInPlace<T>& keys, std::ptrdiff_t j, KeySpan seen, float* scores) {
  const std::ptrdiff_t rows = q.count - r;
  if (rows == 1) return score_in_place<Lanes, 1>(q, r, keys, j, seen, scores);
  if constexpr (Lanes::score_rows > 1) {
    if (rows == 2) return score_in_place<Lanes, 2>(q, r, keys, j, seen, scores);
    return score_in_place<Lanes, Lanes::score_rows>(q, r, keys, j, seen, scores);
  } else {
    return score_in_place<Lanes, 1>(q, r, keys, j, seen, scores);
  }
}

template <class Lanes>
void score_keys_in_place(const Queries& q, const KeyBlock& k, const Visible& v, float* scores) {
  const KeySpan seen = visible_keys(v, q.count);
  with_type(k.keys, k.key_type, [&](const auto* first) {
    const KeysInPlace keys{first, k.key_stride};
    for (std::ptrdiff_t j = seen.begin / 16 * 16; j < seen.end; j += 16)
      for (std::ptrdiff_t r = 0; r < q.count; r += Lanes::score_rows)
        score_rows_in_place<Lanes>(q, r, keys, j, seen, scores);
  });
}

template <class Lanes>
void score_block(const Queries& q, const KeyBlock& k, const Visible& v, const Scratch& scratch) {
  k.packed ? score_panels<Lanes>(q, k, v, scratch) : score_keys_in_place<Lanes>(q, k, v, scratch.scores);
}

}  // namespace
}  // namespace attn::simd
