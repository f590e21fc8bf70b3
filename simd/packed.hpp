// The first product of a block from packed panels: of floats, of integers with scales, of bf16 in pairs.
#pragma once

#include <cstddef>

#include "kernels.hpp"
#include "pairs.hpp"
#include "prefetch.hpp"
#include "product.hpp"
#include "scales.hpp"
#include "visible.hpp"

namespace attn::simd {
namespace {

// The products of a tile of rows with the keys of a panel, rows of the panel `width` floats apart.
template <class Lanes>
inline void score_panel(
    const Queries& q, const float* panel, std::ptrdiff_t vectors, std::ptrdiff_t head_dim, float* scores) {
  multiply<Lanes, Source::packed>(
      q.count, vectors, {q.rows, q.stride, panel, 16 * Lanes::tile_vectors, head_dim, scores, score_stride});
}

// The same with scales, that stand at the panel's first key.
template <class Lanes>
[[gnu::noinline]] void score_scaled_panel(
    const Queries& q, const float* panel, std::ptrdiff_t vectors, const KeyBlock& k, const float* scales,
    float* scores) {
  alignas(64) float products[Lanes::tile_rows * score_stride];
  for (std::ptrdiff_t d = 0; d < q.head_dim; d += k.key_group, scales += key_block) {
    float* const to = d == 0 ? scores : products;
    score_panel<Lanes>(
        {q.rows + d, q.count, q.stride, q.head_dim}, panel + d * 16 * Lanes::tile_vectors, vectors, k.key_group, to);
    for (std::ptrdiff_t r = 0; r < q.count; ++r)
      scale_products<Lanes>(to + r * score_stride, scales, 16 * vectors, d == 0, scores + r * score_stride);
  }
}

// The tile of p with its panel in pairs: by the instruction where no sum can be subnormal.
template <class Lanes>
void multiply_panel_pairs(std::ptrdiff_t rows, std::ptrdiff_t vectors, Product p) {
  if constexpr (PairProduct<Lanes>::exists) {
    const std::ptrdiff_t head_dim = p.depth;
    const float* const least = static_cast<const float*>(p.b) + (head_dim - 1) * p.b_stride;
    const bool may = panels_hold_exponent(head_dim) &&
        may_multiply_pairs<Lanes>(p.a + query_exponent(head_dim), p.a_stride, rows, bits_of(least));
    p.a += query_pairs(head_dim);
    p.depth = (head_dim + 1) / 2;
    may ? multiply<Lanes, Source::packed, bf16_pair>(rows, vectors, p)
        : multiply<Lanes, Source::packed, bf16_pair_in_turn>(rows, vectors, p);
  }
}

// From packed panels.
template <class Lanes>
void score_packed(const Queries& q, const KeyBlock& k, const Visible& v, const Scratch& scratch) {
  constexpr std::ptrdiff_t width = 16 * Lanes::tile_vectors;
  const KeySpan seen = visible_keys(v, q.count);
  SpreadFetch fetch(
      scratch.prefetch,
      (seen.end - seen.begin / width * width + width - 1) / width *
          ((q.count + Lanes::tile_rows - 1) / Lanes::tile_rows));
  for (std::ptrdiff_t j = seen.begin / width * width; j < seen.end; j += width) {
    const std::ptrdiff_t vectors = min(width, round_up(seen.end - j, 16)) / 16;
    for (std::ptrdiff_t r = 0; r < q.count; r += Lanes::tile_rows) {
      const std::ptrdiff_t rows = min(Lanes::tile_rows, q.count - r);
      if (!any_sees(v, r, rows, {j, j + width})) continue;
      fetch.next();
      const Queries some{q.rows + r * q.stride, rows, q.stride, q.head_dim};
      const float* const panel = static_cast<const float*>(k.keys) + j * q.head_dim;
      float* const scores = scratch.scores + r * score_stride + j;
      if (k.key_scales)
        score_scaled_panel<Lanes>(some, panel, vectors, k, k.key_scales + j, scores);
      else if (PairProduct<Lanes>::exists && k.pairs)
        multiply_panel_pairs<Lanes>(
            rows, vectors, {some.rows, q.stride, panel, width, q.head_dim, scores, score_stride});
      else
        score_panel<Lanes>(some, panel, vectors, q.head_dim, scores);
    }
  }
}

}  // namespace
}  // namespace attn::simd
