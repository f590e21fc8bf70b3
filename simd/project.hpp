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
#include "product.hpp"

namespace attn::simd {
namespace {

// Inputs that all rows are multiplied by before the next ones: a panel of them, 16 KB, stays in L1.
inline constexpr std::ptrdiff_t depth_block = 256;

// Panels of a tile of so many rows: as many as keep four chains or more under way.
template <class Lanes>
constexpr std::ptrdiff_t panels_at_once(std::ptrdiff_t rows) {
  if (!Lanes::in_registers) return Lanes::tile_vectors;
  return max(Lanes::tile_vectors, rows == 1 ? 4 : rows == 2 ? 2 : 1);
}

// More panels than a tile has vectors there are only for one or two rows.
template <class Lanes>
void multiply_panels(std::ptrdiff_t rows, std::ptrdiff_t vectors, const Product& p) {
  if (vectors <= Lanes::tile_vectors) return multiply<Lanes, Source::panels>(rows, vectors, p);
  if (rows == 1) return multiply<Lanes, Source::panels, float, 1, panels_at_once<Lanes>(1)>(rows, vectors, p);
  multiply<Lanes, Source::panels, float, 2, panels_at_once<Lanes>(2)>(rows, vectors, p);
}

// Rows r .. r + rows times panels from column n on, over the inputs k .. k + depth.
struct Cut {
  std::ptrdiff_t r, rows;
  std::ptrdiff_t n, vectors;
  std::ptrdiff_t k, depth;
};

// f(i, j) for the vector at row i, column j of a cut.
template <class F>
void for_each_vector(const Cut& t, const F& f) {
  for (std::ptrdiff_t i = 0; i < t.rows; ++i)
    for (std::ptrdiff_t j = 0; j < 16 * t.vectors; j += 16) f(i, j);
}

// Columns beyond the last are not the caller's: a tile that has some stands in memory of its own.
template <class Lanes>
void project_tile(const Projected& p, const Cut& t) {
  alignas(64) float own[Lanes::tile_rows * 16 * panels_at_once<Lanes>(1)];
  const std::ptrdiff_t columns = min(16 * t.vectors, p.columns - t.n);
  const bool whole = columns == 16 * t.vectors, first = t.k == 0, last = t.k + t.depth == p.in;
  float* const y = p.y + t.r * p.y_stride + t.n;
  float* const c = whole ? y : own;
  const std::ptrdiff_t c_stride = whole ? p.y_stride : 16 * t.vectors;
  const auto in_y = [&](std::ptrdiff_t j) { return min(16, columns - j); };

  if (first || !whole)
    for_each_vector(t, [&](std::ptrdiff_t i, std::ptrdiff_t j) {
      const Lanes start = first ? Lanes::load(p.bias + t.n + j) : Lanes::load_first(y + i * p.y_stride + j, in_y(j));
      start.store(c + i * c_stride + j);
    });
  multiply_panels<Lanes>(
      t.rows, t.vectors,
      {p.x + t.r * p.x_stride + t.k, p.x_stride, p.panels + t.n * p.in + 16 * t.k, 16 * p.in, t.depth, c, c_stride,
       true, false, 16, nullptr});
  if (!last && whole) return;
  for_each_vector(t, [&](std::ptrdiff_t i, std::ptrdiff_t j) {
    Lanes sum = Lanes::load(c + i * c_stride + j);
    if (last) sum = canonical_nan(sum);
    if (whole) return sum.store(y + i * p.y_stride + j);
    sum.store_first(y + i * p.y_stride + j, in_y(j));
  });
}

// What comes after a tile is fetched meanwhile: the results of the next rows, and the tile's share of the weights that
// are next for all rows. 512 x 768 -> 2304 took 0.95 to 0.98 of the time.
inline void fetch_next(const Projected& p, const Cut& t, std::ptrdiff_t step) {
  for (std::ptrdiff_t i = t.r + t.rows; i < min(t.r + 2 * t.rows, p.rows); ++i)
    for (std::ptrdiff_t j = 0; j < 16 * t.vectors; j += 16) __builtin_prefetch(p.y + i * p.y_stride + t.n + j, 1);
  const bool same_panels = t.k + t.depth < p.in;
  const std::ptrdiff_t n = same_panels ? t.n : t.n + 16 * step, k = same_panels ? t.k + t.depth : 0;
  const std::ptrdiff_t depth = min(depth_block, p.in - k);
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
  const std::ptrdiff_t step = panels_at_once<Lanes>(p.rows), block = few ? p.in : depth_block;
  for (std::ptrdiff_t n = 0; n < p.columns; n += 16 * step)
    for (std::ptrdiff_t k = 0; k < p.in; k += block)
      for (std::ptrdiff_t r = 0, rows; r < p.rows; r += rows) {
        rows = tile_of<Lanes>(p.rows - r);
        const Cut tile{r, rows, n, min(step, (p.columns - n + 15) / 16), k, min(block, p.in - k)};
        if (!few) fetch_next(p, tile, step);
        project_tile<Lanes>(p, tile);
      }
}

}  // namespace
}  // namespace attn::simd
