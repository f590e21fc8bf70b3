// A projection, once, over lanes:
//
//   y[r][n] = bias[n] + sum_k x[r][k] * w[k][n],   one fma chain over k = 0, 1, 2, ... from the bias per element,
//
// with w packed into panels of sixteen columns [in, 16], the same for every instruction set. A tile reads as many
// panels as it has vectors.
#pragma once

#include <cstddef>

#include "kernels.hpp"
#include "numbers.hpp"

namespace attn::simd {
namespace {

// At most so many inputs that all rows are multiplied by before the next ones: their panel, 48 KB, stays in L2. 768
// were 1.05 times as fast as 256, whose panel fits L1, because a tile begins and ends less often.
inline constexpr std::ptrdiff_t most_depth = 768;

// Panels of a tile of so many rows: as many as keep four chains or more under way.
template <class Lanes>
constexpr std::ptrdiff_t panels_at_once(std::ptrdiff_t rows) {
  if (!Lanes::in_registers) return Lanes::tile_vectors;
  return max(Lanes::tile_vectors, rows == 1 ? 4 : rows == 2 ? 2 : 1);
}

// c[r][v] = from[r][v] + sum_k a[r][k] * panel v [k]: a tile that keeps its sums in registers.
struct PanelProduct {
  const float* a;
  std::ptrdiff_t a_stride;
  const float* panels;
  std::ptrdiff_t next_panel;
  std::ptrdiff_t depth;
  const float* from;  // may be c; the bias has the stride 0
  std::ptrdiff_t from_stride;
  float* c;
  std::ptrdiff_t c_stride;
  bool last;  // of the depth: NaN becomes 0x7fc00000
};

// Not the tile of product.hpp: four steps at a time and sums that begin at the bias made projections 1.05 to 1.17 times
// as fast. A loop for both changed the code of attention.
template <class Lanes, int Rows, int Vectors>
void multiply_panels(const PanelProduct& p) {
  // Copies, because a store through a vector type may alias p.
  const float *a = p.a, *panel = p.panels;
  float* const c = p.c;
  const bool last = p.last;
  const std::ptrdiff_t a_stride = p.a_stride, next_panel = p.next_panel, c_stride = p.c_stride;

  Lanes sum[Rows][Vectors];
#pragma GCC unroll 8
  for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 8
    for (int v = 0; v < Vectors; ++v) sum[r][v] = Lanes::load(p.from + r * p.from_stride + 16 * v);
#pragma GCC unroll 4
  for (std::ptrdiff_t k = 0; k < p.depth; ++k, ++a, panel += 16) {
    Lanes column[Vectors];
#pragma GCC unroll 8
    for (int v = 0; v < Vectors; ++v) column[v] = Lanes::load(panel + v * next_panel);
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
      const Lanes row = Lanes::set1(a[r * a_stride]);
#pragma GCC unroll 8
      for (int v = 0; v < Vectors; ++v) sum[r][v] = fma(row, column[v], sum[r][v]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 8
    for (int v = 0; v < Vectors; ++v) {
      if (last) sum[r][v] = canonical_nan(sum[r][v]);
      sum[r][v].store(c + r * c_stride + 16 * v);
    }
}

template <class Lanes, int Rows, int Vectors>
void choose_tile(std::ptrdiff_t rows, std::ptrdiff_t vectors, const PanelProduct& p) {
  if constexpr (Rows > 1)
    if (rows < Rows) return choose_tile<Lanes, Rows - 1, Vectors>(rows, vectors, p);
  if constexpr (Vectors > 1)
    if (vectors < Vectors) return choose_tile<Lanes, Rows, Vectors - 1>(rows, vectors, p);
  multiply_panels<Lanes, Rows, Vectors>(p);
}

// More panels than a tile has vectors there are only for one or two rows.
template <class Lanes>
void choose_tile(std::ptrdiff_t rows, std::ptrdiff_t vectors, const PanelProduct& p) {
  if (vectors <= Lanes::tile_vectors)
    return choose_tile<Lanes, Lanes::tile_rows, Lanes::tile_vectors>(rows, vectors, p);
  if (rows == 1) return choose_tile<Lanes, 1, panels_at_once<Lanes>(1)>(rows, vectors, p);
  choose_tile<Lanes, 2, panels_at_once<Lanes>(2)>(rows, vectors, p);
}

// Rows r .. r + rows times panels from column n on, over the inputs k .. k + depth.
struct Cut {
  std::ptrdiff_t r, rows;
  std::ptrdiff_t n, vectors;
  std::ptrdiff_t k, depth;
};

template <class Lanes>
void project_tile(const Projected& p, const Cut& t) {
  float* const y = p.y + t.r * p.y_stride + t.n;
  const bool first = t.k == 0, last = t.k + t.depth == p.in;
  PanelProduct product{
      p.x + t.r * p.x_stride + t.k,
      p.x_stride,
      p.panels + t.n * p.in + 16 * t.k,
      16 * p.in,
      t.depth,
      first ? p.bias + t.n : y,
      first ? 0 : p.y_stride,
      y,
      p.y_stride,
      last};
  const std::ptrdiff_t columns = min(16 * t.vectors, p.columns - t.n);
  if (columns == 16 * t.vectors) return choose_tile<Lanes>(t.rows, t.vectors, product);

  // Columns beyond the last are not the caller's: such a tile stands in memory of its own.
  alignas(64) float own[Lanes::tile_rows * 16 * panels_at_once<Lanes>(1)];
  product.c = own;
  product.c_stride = 16 * t.vectors;
  const auto for_each_vector = [&](const auto& f) {
    for (std::ptrdiff_t i = 0; i < t.rows; ++i)
      for (std::ptrdiff_t j = 0; j < columns; j += 16)
        f(own + i * product.c_stride + j, y + i * p.y_stride + j, min(16, columns - j));
  };
  if (!first) {
    product.from = own;
    product.from_stride = product.c_stride;
    for_each_vector([](float* o, float* at, std::ptrdiff_t n) { Lanes::load_first(at, n).store(o); });
  }
  choose_tile<Lanes>(t.rows, t.vectors, product);
  for_each_vector([](float* o, float* at, std::ptrdiff_t n) { Lanes::load(o).store_first(at, n); });
}

// What comes after a tile is fetched meanwhile: the results of the next rows, and the tile's share of the weights that
// are next for all rows. Ten shapes were 0.98 to 1.10 times as fast with it, 1.02 in the mean.
inline void fetch_next(const Projected& p, const Cut& t, std::ptrdiff_t step, std::ptrdiff_t block) {
  for (std::ptrdiff_t i = t.r + t.rows; i < min(t.r + 2 * t.rows, p.rows); ++i)
    for (std::ptrdiff_t j = 0; j < 16 * t.vectors; j += 16) __builtin_prefetch(p.y + i * p.y_stride + t.n + j, 1);
  const bool same_panels = t.k + t.depth < p.in;
  const std::ptrdiff_t n = same_panels ? t.n : t.n + 16 * step, k = same_panels ? t.k + t.depth : 0;
  const std::ptrdiff_t depth = min(block, p.in - k);
  const std::ptrdiff_t begin = depth * t.r / p.rows, end = depth * (t.r + t.rows) / p.rows;
  for (std::ptrdiff_t column = n; column < min(n + 16 * step, p.columns); column += 16)
    for (std::ptrdiff_t line = begin; line < end; ++line)
      __builtin_prefetch(p.panels + column * p.in + 16 * (k + line), 0, 2);
}

// Rows of the next tile if so many are left. The last two are of one size: a tile of one or two rows waits for its fma.
template <class Lanes>
constexpr std::ptrdiff_t tile_of(std::ptrdiff_t left) {
  if (left >= 2 * Lanes::tile_rows) return Lanes::tile_rows;
  return left > Lanes::tile_rows ? (left + 1) / 2 : left;
}

// Few rows read the weights once, and as they stand: blocks and prefetches cost 5 to 30 % there.
template <class Lanes>
void project(const Projected& p) {
  const bool few = p.rows <= 2 * Lanes::tile_rows;
  const std::ptrdiff_t step = panels_at_once<Lanes>(p.rows), blocks = few ? 1 : (p.in + most_depth - 1) / most_depth;
  const std::ptrdiff_t block = (p.in + blocks - 1) / blocks;
  for (std::ptrdiff_t n = 0; n < p.columns; n += 16 * step)
    for (std::ptrdiff_t k = 0; k < p.in; k += block)
      for (std::ptrdiff_t r = 0, rows; r < p.rows; r += rows) {
        rows = tile_of<Lanes>(p.rows - r);
        const Cut tile{r, rows, n, min(step, (p.columns - n + 15) / 16), k, min(block, p.in - k)};
        if (!few) fetch_next(p, tile, step, block);
        project_tile<Lanes>(p, tile);
      }
}

}  // namespace
}  // namespace attn::simd
