// The first product of a block whose keys stand in panels [head_dim, 16] of the caller, one element of sixteen keys
// after the other: nothing is transposed, nothing packed. The chains are those of keys in rows, so the bits are, too.
#pragma once

#include <cstddef>

#include "elements.hpp"
#include "kernels.hpp"
#include "numbers.hpp"
#include "pieces.hpp"
#include "prefetch.hpp"
#include "product.hpp"
#include "scales.hpp"
#include "visible.hpp"

namespace attn::simd {
namespace {

// At most so many panels are multiplied at a time.
inline constexpr int most_panels = 8;

// Panels that so many query rows multiply at a time: one row's chains alone do not hide the latency of an fma.
template <class Lanes>
constexpr int panels_together(int rows) {
  if (!Lanes::in_registers) return 1;
  if (Lanes::tile_vectors > 1) return rows == 1 ? most_panels : 4;
  return rows == 1 ? 4 : rows == 2 ? 2 : 1;
}

// Some panels of a block, in order.
template <class T>
struct Panels {
  const T* at[most_panels];
  int count;
  std::ptrdiff_t ahead;  // elements from a panel to the one that is fetched meanwhile; 0: none is
  bool pairs;  // as in KeyBlock: the queries were copied with their pairs swapped
};

// scores[i][16 v + lane] = q[i] . key `lane` of panel v, of exactly `Rows` query rows. Where the tile has more vectors
// than there are panels, it multiplies the last one again, for the same scores.
// Own: panel v belongs to query row v alone, and its scores are scores[v][lane].
template <class Lanes, int Rows, int Vectors, bool Own, class T>
void score_panel_tile(const Queries& q, const Panels<T>& panels, float* scores) {
  static_assert(!Own || Rows == 1, "a row of vectors with a query each");
  const auto of_panel = [&](int v) { return v == 0 ? 0 : min(v, panels.count - 1); };
  const auto row_of = [&](int i, int v) { return Own ? of_panel(v) : i; };
  const T* panel[Vectors];
  std::ptrdiff_t row[Rows][Vectors];
#pragma GCC unroll 8
  for (int v = 0; v < Vectors; ++v) {
    panel[v] = panels.at[of_panel(v)];
#pragma GCC unroll 8
    for (int i = 0; i < Rows; ++i) row[i][v] = row_of(i, v) * q.stride;
  }
  const float* query = q.rows;
  const std::ptrdiff_t head_dim = q.head_dim, ahead = panels.ahead, swap = panels.pairs ? 16 : 0;
  Lanes acc[Rows][Vectors];
#pragma GCC unroll 8
  for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 8
    for (int v = 0; v < Vectors; ++v) acc[i][v] = Lanes::zero();
  const auto step = [&](std::ptrdiff_t d, std::ptrdiff_t line) {
    Lanes keys[Vectors];
#pragma GCC unroll 8
    for (int v = 0; v < Vectors; ++v) keys[v] = load<Lanes>(panel[v] + line);
#pragma GCC unroll 8
    for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 8
      for (int v = 0; v < Vectors; ++v) acc[i][v] = fma(Lanes::set1(query[row[i][v] + d]), keys[v], acc[i][v]);
  };
  std::ptrdiff_t d = 0;
  for (; d + 2 <= head_dim; d += 2) {
    if (ahead != 0)
#pragma GCC unroll 8
      for (int v = 0; v < Vectors; ++v) prefetch_row(panel[v] + ahead + 16 * d, 32);
    step(d, 16 * d + swap);
    step(d + 1, 16 * d + 16 - swap);
  }
  if (d < head_dim) step(d, 16 * d);
#pragma GCC unroll 8
  for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 8
    for (int v = 0; v < Vectors; ++v)
      acc[i][v].store(scores + row_of(i, v) * score_stride + (Own ? 0 : 16 * of_panel(v)));
}

// The smallest tile that holds the panels: of 1, 2, 4 or 8.
template <class Lanes, int Rows, int Vectors, bool Own, class T>
void score_some_panels(const Queries& q, const Panels<T>& panels, float* scores) {
  if constexpr (Vectors > 1)
    if (2 * panels.count <= Vectors) return score_some_panels<Lanes, Rows, Vectors / 2, Own>(q, panels, scores);
  if constexpr (Vectors == 1 && !Own)
    if (!panels.pairs && panels.ahead == 0)  // that of packed panels: a prefill is 2 % faster
      return multiply_tile<Lanes, Rows, 1, Source::packed, T>(
          {q.rows, q.stride, panels.at[0], 16, q.head_dim, scores, score_stride});
  score_panel_tile<Lanes, Rows, Vectors, Own>(q, panels, scores);
}
template <class Lanes, int Rows, class T>
void score_some_rows(const Queries& q, const Panels<T>& panels, float* scores) {
  if constexpr (Rows > 1)
    if (q.count < Rows) return score_some_rows<Lanes, Rows - 1>(q, panels, scores);
  score_some_panels<Lanes, Rows, panels_together<Lanes>(Rows), false>(q, panels, scores);
}

// Where the panel of key j stands, a multiple of 16.
template <class T>
const T* panel_at(const T* keys, const KeyBlock& k, const Paging& paging, std::ptrdiff_t j) {
  if (!paging.pages) return keys + j / 16 * k.key_stride;
  return as_type_of(keys, paging.page(j)) + paging.row(j) / 16 * k.key_stride;
}

// Elements from the panel of key j to the one that is fetched when it is read: of 64 keys later if they are of 4 bytes,
// of as many bytes of smaller ones, and not of those that are read together. In pages of no more than the table lists,
// and at a page's end the wrong ones.
template <class T>
std::ptrdiff_t panels_ahead(const T* keys, const KeyBlock& k, const Paging& paging, std::ptrdiff_t j, int together) {
  const std::ptrdiff_t later = max(64 * static_cast<std::ptrdiff_t>(4 / sizeof(T)), 16 * together);
  if (!paging.pages) return later / 16 * k.key_stride;
  const std::ptrdiff_t listed = most_rows_ahead / (16 * together) * (16 * together);  // a whole page of short ones
  const T* const ahead = panel_at(keys, k, paging, j + min(later, listed));
  return bytes_between(panel_at(keys, k, paging, j), ahead) / static_cast<std::ptrdiff_t>(sizeof(T));
}

// All rows against the panels of their keys `seen`, some panels after the other, so that these stay in L1. `keys`: of
// key 0, where there are no pages.
template <class Lanes, class T>
void score_keys_in_panels(
    const Queries& q, const T* keys, const KeyBlock& k, const Paging& paging, const Visible& v, KeySpan seen,
    const Prefetch& wanted, float* scores) {
  const std::ptrdiff_t tiles = (q.count + Lanes::tile_rows - 1) / Lanes::tile_rows;
  const std::ptrdiff_t tile_rows = (q.count + tiles - 1) / tiles;  // 4 and 3, not 6 and 1, whose chains are too few
  const int together = panels_together<Lanes>(static_cast<int>(tile_rows));
  SpreadFetch fetch(wanted, (round_up(seen.end, 16) / 16 - seen.begin / 16 + together - 1) / together * tiles);
  const bool fetch_ahead = k.fetch_ahead && (!k.key_pages || 16 * together <= k.page_keys);
  for (std::ptrdiff_t j = seen.begin / 16 * 16; j < seen.end; j += 16 * together) {
    Panels<T> panels{{}, static_cast<int>(min(together, (seen.end - j + 15) / 16)), 0, k.pairs};
    for (int i = 0; i < panels.count; ++i) panels.at[i] = panel_at(keys, k, paging, j + 16 * i);
    for (std::ptrdiff_t r = 0; r < q.count; r += tile_rows) {
      const std::ptrdiff_t rows = min(tile_rows, q.count - r);
      if (!any_sees(v, r, rows, {j, j + 16 * together})) continue;
      fetch.next();
      panels.ahead = fetch_ahead && r == 0 ? panels_ahead(keys, k, paging, j, together) : 0;
      score_some_rows<Lanes, Lanes::tile_rows>(
          {q.rows + r * q.stride, rows, q.stride, q.head_dim}, panels, scores + r * score_stride + j);
    }
  }
}

// One panel of each of some rows with keys of their own, the same keys of each: with so few keys one row's chains do
// not fill the pipes.
template <class Lanes, class T>
void score_own_panels(
    const Queries& q, const T* keys, const KeyBlock& k, const Paging& paging, KeySpan seen, float* scores) {
  constexpr int together = panels_together<Lanes>(1);
  for (std::ptrdiff_t j = seen.begin / 16 * 16; j < seen.end; j += 16)
    for (std::ptrdiff_t r = 0; r < q.count; r += together) {
      Panels<T> panels{{}, static_cast<int>(min(together, q.count - r)), 0, k.pairs};
      for (int i = 0; i < panels.count; ++i) panels.at[i] = panel_at(keys + (r + i) * k.next_keys, k, paging, j);
      score_some_panels<Lanes, 1, together, true>(
          {q.rows + r * q.stride, 1, q.stride, q.head_dim}, panels, scores + r * score_stride + j);
    }
}

// s[j] <- 0 in the first and the last vector of keys for those that nobody sees: what stands there may be NaN, and rows
// of finite products are quicker.
template <class Lanes>
void clear_unseen(KeySpan seen, float* s) {
  const auto clear = [&](std::ptrdiff_t j) {
    keep_range(Lanes::load(s + j), max(seen.begin - j, 0), min(seen.end - j, 16), Lanes::zero()).store(s + j);
  };
  if (seen.begin % 16 != 0) clear(seen.begin / 16 * 16);
  if (seen.end % 16 != 0) clear(seen.end / 16 * 16);
}

// The scores of a block whose keys stand in panels, for the keys that any row sees. Whole vectors are written.
template <class Lanes>
void score_panels_in_place(const Queries& q, const KeyBlock& k, const Visible& v, const Scratch& scratch) {
  const KeySpan seen = visible_keys(v, q.count);
  if (seen.begin >= seen.end) return;
  const Paging paging(k, k.key_pages, k.key_type, k.key_stride);
  with_type(k.keys, k.key_type, [&](const auto* keys) {
    if (!k.own_keys) return score_keys_in_panels<Lanes>(q, keys, k, paging, v, seen, scratch.prefetch, scratch.scores);
    if (seen.end - seen.begin / 16 * 16 <= 16 * panels_together<Lanes>(1) / 2)
      return score_own_panels<Lanes>(q, keys, k, paging, seen, scratch.scores);
    for (std::ptrdiff_t r = 0; r < q.count; ++r)
      score_keys_in_panels<Lanes>(
          {q.rows + r * q.stride, 1, q.stride, q.head_dim}, keys + r * k.next_keys, k, paging, {v.begin + r, v.end + r},
          {v.begin[r], v.end[r]}, scratch.prefetch, scratch.scores + r * score_stride);
  });
  for (std::ptrdiff_t r = 0; r < q.count; ++r) {
    float* const s = scratch.scores + r * score_stride;
    if (k.key_scales)
      scale_products<Lanes>(s + seen.begin, k.key_scales + seen.begin, seen.end - seen.begin, true, s + seen.begin);
    clear_unseen<Lanes>(seen, s);
  }
}

}  // namespace
}  // namespace attn::simd
