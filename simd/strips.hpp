// Weights times one strip of values: sixteen columns or some times as many, of some rows and a span of keys. Strips are
// packed, or read in place from pieces of memory.
#pragma once

#include <cstddef>

#include "elements.hpp"
#include "kernels.hpp"
#include "product.hpp"
#include "visible.hpp"

namespace attn::simd {
namespace {

// Rows of values in place that are multiplied at a time, if they are in a cache: 64 were 5 to 15 % faster than 16.
inline constexpr std::ptrdiff_t cached_rows = 64;

// output[r][e] = sum over the visible keys j, in order, of weights[r][j] * v[j][e]. bf16 weights: in pairs of keys, of
// which the second comes first; a key whose partner is not visible stands alone.
struct Weighting {
  std::ptrdiff_t rows;
  const float* weights;  // [rows, score_stride]
  const KeyBlock& keys;
  const Visible& visible;
  float* output;  // [rows, output_stride]
  std::ptrdiff_t output_stride;
  std::ptrdiff_t strip;  // columns
  Paging paging;  // of the values
};

// Vectors of a strip of values that are read in place, for so many rows: as many as keep four chains or more under way.
template <class Lanes>
constexpr std::ptrdiff_t in_place_vectors(std::ptrdiff_t rows) {
  if (!Lanes::in_registers) return Lanes::tile_vectors;
  return max(Lanes::tile_vectors, rows == 1 ? 4 : rows == 2 ? 2 : 1);
}

// More vectors than a tile has there are only for one or two rows.
template <class Lanes, Source From, class T>
void multiply_strip(std::ptrdiff_t rows, std::ptrdiff_t vectors, const Product& p) {
  if (vectors <= Lanes::tile_vectors) return multiply<Lanes, From, T>(rows, vectors, p);
  if (rows == 1) return multiply<Lanes, From, T, 1, in_place_vectors<Lanes>(1)>(rows, vectors, p);
  multiply<Lanes, From, T, 2, in_place_vectors<Lanes>(2)>(rows, vectors, p);
}

// p.b: pieces of floats in place.
template <class Lanes>
void multiply_in_place(const float*, std::ptrdiff_t rows, std::ptrdiff_t vectors, bool, const Product& p) {
  if constexpr (!Lanes::masked_loads_are_fast)
    if (p.tail == 16) return multiply_strip<Lanes, Source::in_place, float>(rows, vectors, p);
  multiply_strip<Lanes, Source::in_place_tail, float>(rows, vectors, p);
}

// The last columns of some rows of halves, `tail` of them, widened to sixteen floats a row; lanes from `tail` on are
// not used. Where the row has sixteen columns up to its end, all sixteen are read and stored so that the tail stands
// first: what comes before it falls into the unused lanes of the row above.
template <class Lanes, class Half>
[[gnu::noinline]] void widen_tails(
    const Half* tails, std::ptrdiff_t stride, std::ptrdiff_t rows, std::ptrdiff_t tail, bool sixteen, float* wide) {
  const std::ptrdiff_t before = 16 - tail;
  for (std::ptrdiff_t i = 0; i < rows; ++i, tails += stride, wide += 16)
    sixteen ? load<Lanes>(tails - before).store(wide - before) : load_first<Lanes>(tails, tail).store(wide);
}

// The same of halves, at most cached_rows rows. A last vector that is not whole is widened first.
template <class Lanes, class Half>
void multiply_in_place(const Half* type, std::ptrdiff_t rows, std::ptrdiff_t vectors, bool sixteen, const Product& p) {
  if (p.tail == 16) return multiply_strip<Lanes, Source::in_place_tail, Half>(rows, vectors, p);
  static_assert(Element<Half>::value_rows <= cached_rows, "that many are multiplied at a time");
  float memory[(cached_rows + 1) * 16];
  Product some = p;
  some.last = memory + 16;
  const ValuePiece* piece = static_cast<const ValuePiece*>(p.b);
  for (std::ptrdiff_t k = 0; k < p.depth; k += piece++->count)
    widen_tails<Lanes>(
        as_type_of(type, piece->rows) + p.b_offset + 16 * (vectors - 1), p.b_stride, piece->count, p.tail, sixteen,
        memory + 16 * (k + 1));
  multiply_strip<Lanes, Source::in_place_tail, Half>(rows, vectors, some);
}

// Columns of a strip. In place, they are shared out evenly: a strip of one vector would take as long as one of four.
template <class Lanes>
std::ptrdiff_t strip_columns(const KeyBlock& k, std::ptrdiff_t rows) {
  if (k.packed) return 16 * Lanes::tile_vectors;
  const auto shared = [&](std::ptrdiff_t most) {
    const std::ptrdiff_t vectors = max(1, (k.value_dim + 15) / 16), strips = (vectors + most - 1) / most;
    return strips == 1 ? 16 * vectors : 16 * ((vectors + strips - 1) / strips);
  };
  // Constants, as a division takes as long as a row of values.
  return rows == 1 ? shared(in_place_vectors<Lanes>(1))
      : rows == 2  ? shared(in_place_vectors<Lanes>(2))
                   : shared(in_place_vectors<Lanes>(3));
}

// p over the pairs that hold a key of a span, of the strip that begins at b: a key beside the span weighs 0. By the
// instruction where no sum can be subnormal.
template <class Lanes>
void multiply_strip_pairs(std::ptrdiff_t rows, std::ptrdiff_t vectors, std::ptrdiff_t count, KeySpan span, Product p) {
  if constexpr (PairProduct<Lanes>::exists) {
    const float* const strip = static_cast<const float*>(p.b);
    const float* const weights = p.a - span.begin;
    p.b_stride = 16 * vectors;
    const bool may = may_multiply_pairs<Lanes>(
        weights + weight_exponent, p.a_stride, rows, bits_of(strip + (count - 1) * p.b_stride));
    p.a = weights + span.begin / 2;
    p.b = strip + span.begin / 2 * p.b_stride;
    p.depth = span.begin < span.end ? (span.end + 1) / 2 - span.begin / 2 : 0;
    may ? multiply<Lanes, Source::packed, bf16_pair>(rows, vectors, p)
        : multiply<Lanes, Source::packed, bf16_pair_in_turn>(rows, vectors, p);
  }
}

// The columns of one strip from e on (+)= the sum over the keys of a span, for rows r .. r + rows. In pairs it begins
// with a whole one.
template <class Lanes>
void multiply_span(
    const Weighting& w, std::ptrdiff_t e, std::ptrdiff_t r, std::ptrdiff_t rows, const ValueRows& values,
    bool accumulate) {
  const KeyBlock& k = w.keys;
  const KeySpan span = values.keys;
  const std::ptrdiff_t columns = min(w.strip, k.value_dim - e), vectors = (columns + 15) / 16;
  Product p{
      w.weights + r * score_stride + span.begin,
      score_stride,
      nullptr,
      k.value_stride,
      span.end - span.begin,
      w.output + r * w.output_stride + e,
      w.output_stride,
      accumulate,
      k.fetch_ahead && (r == 0 || k.own_keys),  // once for all rows
      columns - 16 * (vectors - 1),
      r * k.next_values + e,
      nullptr};
  if (strips_hold_pairs<Lanes>(k)) {
    p.b = static_cast<const float*>(k.values) + e * k.count;
    return multiply_strip_pairs<Lanes>(rows, vectors, k.count, span, p);
  }
  if (k.packed) {
    p.b_stride = 16 * vectors;
    p.b = static_cast<const float*>(k.values) + e * k.count + span.begin * p.b_stride;
    if (k.bf16_weights) return multiply<Lanes, Source::packed, paired_float>(rows, vectors, p);
    return multiply<Lanes, Source::packed>(rows, vectors, p);
  }
  p.b = values.pieces;
  with_paired_type(k.values, k.value_type, k.bf16_weights, [&](const auto* type) {
    // A line of int8 is fetched by the strip in which it begins.
    if (sizeof *type == 1) p.fetch_ahead = p.fetch_ahead && round_up(e, 64) < e + columns;
    multiply_in_place<Lanes>(type, rows, vectors, e + columns >= 16, p);
  });
}

// The same of any span.
template <class Lanes>
void multiply_values(
    const Weighting& w, std::ptrdiff_t e, std::ptrdiff_t r, std::ptrdiff_t rows, const ValueRows& values,
    bool accumulate) {
  const KeySpan span = values.keys;
  const bool alone = w.keys.bf16_weights && !strips_hold_pairs<Lanes>(w.keys) && span.begin % 2 != 0;
  if (!alone || span.begin >= span.end) return multiply_span<Lanes>(w, e, r, rows, values, accumulate);
  multiply_span<Lanes>(w, e, r, rows, {w.keys, w.paging, {span.begin, span.begin + 1}}, accumulate);
  if (span.begin + 1 < span.end)
    multiply_span<Lanes>(w, e, r, rows, {w.keys, w.paging, {span.begin + 1, span.end}}, true);
}

}  // namespace
}  // namespace attn::simd
