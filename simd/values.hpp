// Weights times values: the second product of a block, once, over lanes. Which rows see which keys together is decided
// here; the products are those of strips.hpp.
#pragma once

#include <cstddef>
#include <cstdint>

#include "elements.hpp"
#include "kernels.hpp"
#include "pairs.hpp"
#include "strips.hpp"
#include "visible.hpp"

namespace attn::simd {
namespace {

// A row's weights as bf16, pair after pair, for strips of pairs; their least exponent at the end.
template <class Lanes>
void pair_weights(const Visible& v, std::ptrdiff_t r, const float* scores, float* weights) {
  if constexpr (PairProduct<Lanes>::exists) {
    const std::ptrdiff_t first = v.begin[r] / 16 * 16, end = v.begin[r] < v.end[r] ? v.end[r] : first;
    for (std::ptrdiff_t j = first; j < end; j += 16)
      PairProduct<Lanes>::store_bf16(Lanes::load(scores + j), reinterpret_cast<std::uint16_t*>(weights) + j);
    put_bits(least_exponent<Lanes>(weights + first / 2, round_up(end - first, 16) / 2), weights + weight_exponent);
  }
}

// weights[r][j] = scores[r][j] rounded to bf16, in the vectors that hold keys which the row sees.
template <class Lanes>
void round_weights(std::ptrdiff_t rows, const KeyBlock& k, const Visible& v, const float* scores, float* weights) {
  if (strips_hold_pairs<Lanes>(k)) {
    for (std::ptrdiff_t r = 0; r < rows; ++r)
      pair_weights<Lanes>(v, r, scores + r * score_stride, weights + r * score_stride);
    return;
  }
  for (std::ptrdiff_t r = 0; r < rows; ++r)
    for (std::ptrdiff_t j = v.begin[r] / 16 * 16; j < v.end[r]; j += 16)
      round_to_bf16(Lanes::load(scores + r * score_stride + j)).store(weights + r * score_stride + j);
}

inline void clear(const Weighting& w) {
  const std::ptrdiff_t columns = round_up(w.keys.value_dim, 16);
  for (std::ptrdiff_t r = 0; r < w.rows; ++r)
    for (std::ptrdiff_t e = 0; e < columns; ++e) w.output[r * w.output_stride + e] = 0.0f;
}

// Under a mask, for values that may be NaN or Inf: in chunks of sixteen keys. Where all rows of a tile see the same of
// these, they are multiplied together, else row by row.
template <class Lanes>
void weigh_values_masked(const Weighting& w) {
  const KeySpan seen = visible_keys(w.visible, w.rows);
  clear(w);
  for (std::ptrdiff_t key = seen.begin / 16 * 16; key < seen.end; key += 16)
    for (std::ptrdiff_t r = 0; r < w.rows; r += Lanes::tile_rows) {
      const std::ptrdiff_t rows = min(Lanes::tile_rows, w.rows - r);
      std::uint32_t all = 0xffff, any = 0;
      for (std::ptrdiff_t i = r; i < r + rows; ++i) {
        const std::uint32_t bits = visible_bits(w.visible, i, key);
        all &= bits;
        any |= bits;
      }
      for (std::ptrdiff_t e = 0; e < w.keys.value_dim; e += w.strip) {
        const auto multiply_rows = [&](std::ptrdiff_t first, std::ptrdiff_t count, std::uint32_t bits) {
          for_each_run(bits, [&](int begin, int end) {
            multiply_values<Lanes>(w, e, first, count, {w.keys, w.paging, {key + begin, key + end}}, true);
          });
        };
        if (all == any) {
          multiply_rows(r, rows, all);
        } else {  // mixed: a row's chain must go through its keys in order
          for (std::ptrdiff_t i = r; i < r + rows; ++i) multiply_rows(i, 1, visible_bits(w.visible, i, key));
        }
      }
    }
}

// Rows r .. r + rows against the keys of a chunk, without a product with an excluded key. Rows are multiplied together
// where all see the key; at the edges each goes alone.
template <class Lanes>
void weigh_chunk(const Weighting& w, std::ptrdiff_t e, std::ptrdiff_t r, KeySpan chunk) {
  const Visible& v = w.visible;
  const std::ptrdiff_t rows = min(Lanes::tile_rows, w.rows - r);
  const bool accumulate = !w.keys.packed;  // packed: the chunk is the whole block
  KeySpan common = chunk;  // the keys that all rows see
  std::ptrdiff_t first = chunk.end;
  for (std::ptrdiff_t i = r; i < r + rows; ++i) {
    common = {max(common.begin, v.begin[i]), min(common.end, v.end[i])};
    first = min(first, v.begin[i]);
  }
  // A row may see both keys of a pair that others see one of.
  if (w.keys.bf16_weights) common = {round_up(common.begin, 2), common.end / 2 * 2};
  if (common.begin >= common.end) common = {chunk.end, chunk.end};  // none: each row alone
  const bool edges = max(first, chunk.begin) < common.begin || common.begin == common.end;
  for (std::ptrdiff_t i = r; edges && i < r + rows; ++i) {
    const std::ptrdiff_t from = max(chunk.begin, v.begin[i]);
    multiply_values<Lanes>(w, e, i, 1, {w.keys, w.paging, {from, max(from, min(common.begin, v.end[i]))}}, accumulate);
  }
  if (common.begin < common.end) multiply_values<Lanes>(w, e, r, rows, {w.keys, w.paging, common}, edges || accumulate);
  for (std::ptrdiff_t i = r; i < r + rows; ++i)
    if (common.end < min(chunk.end, v.end[i]))
      multiply_values<Lanes>(w, e, i, 1, {w.keys, w.paging, {common.end, min(chunk.end, v.end[i])}}, true);
}

// Where all rows see the same keys, or each its own.
template <class Lanes>
void weigh_common_values(const Weighting& w, KeySpan seen, std::ptrdiff_t chunk) {
  const std::ptrdiff_t together = w.keys.own_keys ? 1 : Lanes::tile_rows;
  const std::ptrdiff_t pass = w.keys.own_keys ? 1 : w.rows;  // rows whose values are read together
  const std::ptrdiff_t begin = seen.begin / 2 * 2;  // so that a chunk ends with a whole pair
  for (std::ptrdiff_t first = 0; first < w.rows; first += pass)
    for (std::ptrdiff_t key = begin; key < seen.end; key += chunk) {
      const ValueRows values(w.keys, w.paging, {max(key, seen.begin), min(key + chunk, seen.end)});
      for (std::ptrdiff_t e = 0; e < w.keys.value_dim; e += w.strip)
        for (std::ptrdiff_t r = first; r < first + pass; r += together)
          multiply_values<Lanes>(w, e, r, min(together, w.rows - r), values, key > begin);
    }
}

// Under a mask only values that are known to be finite are multiplied by the weight 0 of an excluded key: that adds
// exactly 0.
template <class Lanes>
void weigh_values(
    std::ptrdiff_t rows, const float* weights, const KeyBlock& k, const Visible& v, float* output,
    std::ptrdiff_t output_stride) {
  const Weighting w{
      rows,
      weights,
      k,
      v,
      output,
      output_stride,
      strip_columns<Lanes>(k, k.own_keys ? 1 : rows),
      Paging(k, k.value_pages, k.value_type, k.value_stride)};
  if (w.visible.allowed && !(k.packed && k.values_finite)) return weigh_values_masked<Lanes>(w);
  // Packed, a strip streams from L2 once for each tile of rows: cutting it to fit L1 was 3 % slower. In place, some
  // whole rows of values at a time, as they stand in memory, and the next ones are fetched meanwhile.
  std::ptrdiff_t chunk = key_block;
  if (!k.packed) chunk = cached_rows;
  if (k.fetch_ahead) chunk = with_type(k.values, k.value_type, [](const auto* p) { return value_rows(p); });
  const KeySpan seen = visible_keys(w.visible, w.rows);
  if (all_see(w.visible, w.rows, seen)) return weigh_common_values<Lanes>(w, seen, chunk);
  if (!k.packed || seen.begin >= seen.end) clear(w);
  for (std::ptrdiff_t key = seen.begin / chunk * chunk; key < seen.end; key += chunk)
    for (std::ptrdiff_t e = 0; e < k.value_dim; e += w.strip)
      for (std::ptrdiff_t r = 0; r < w.rows; r += Lanes::tile_rows) weigh_chunk<Lanes>(w, e, r, {key, key + chunk});
}

}  // namespace
}  // namespace attn::simd
