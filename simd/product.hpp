// The one product of the streaming path, once, over lanes: a tile
//
//   c[r][x] (+)= sum_k a[r][k] * b[k][x],   one fma chain over k = 0, 1, 2, ... per element,
//
// with a = query rows and b = a panel of keys [head_dim, keys] for the scores,
//      a = weights    and b = a strip of values [keys, columns] for the output.
// For weights and values in bf16 the chain goes k = 1, 0, 3, 2, ...; a last k without a partner comes alone.
// A tile's shape, the packing and the order of the tiles change no chain, so they change no bit.
#pragma once

#include <cstddef>

#include "elements.hpp"
#include "numbers.hpp"
#include "pairs.hpp"
#include "pieces.hpp"
#include "prefetch.hpp"

namespace attn::simd {
namespace {

struct Product {
  const float* a;
  std::ptrdiff_t a_stride;
  const void* b;  // packed: floats; in place: ValuePiece one after the other, of `depth` rows together
  std::ptrdiff_t b_stride;
  std::ptrdiff_t depth;
  float* c;
  std::ptrdiff_t c_stride;
  bool accumulate = false;  // start from c and not from 0
  bool fetch_ahead = false;  // rows of b, which come from memory
  std::ptrdiff_t tail = 16;  // columns in the last vector of b, 16 if it is whole; c is padded and takes whole vectors
  std::ptrdiff_t b_offset = 0;  // in place: elements from a piece's rows to the tile's first column
  const float* last = nullptr;  // halves in place: the last vector, widened, [depth, 16]; null if it is whole
};

enum class Source { packed, in_place, in_place_tail };  // tail: the last vector may be partial

// The last vector of columns of a row of b, `tail` of them; of halves, where there is a tail, from `last`.
template <class Lanes>
inline Lanes load_tail(const Product& p, const float* column, const float*) {
  return load_first<Lanes>(column, p.tail);
}
template <class Lanes, class Half>
inline Lanes load_tail(const Product&, const Half* column, const float* last) {
  return last ? Lanes::load(last) : load<Lanes>(column);
}

template <class Lanes, int Rows, int Vectors, Source From, class T>
void multiply_tile(const Product& p) {
  // Copies, because a store through a vector type may alias p.
  const float* a = p.a;
  float* const c = p.c;
  const std::ptrdiff_t a_stride = p.a_stride, b_stride = p.b_stride, c_stride = p.c_stride;

  Lanes acc[Rows][Vectors];
  if (p.accumulate) {
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 8
      for (int v = 0; v < Vectors; ++v) acc[r][v] = Lanes::load(c + r * c_stride + 16 * v);
  } else {
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 8
      for (int v = 0; v < Vectors; ++v) acc[r][v] = Lanes::zero();
  }
  // One row of b, with its weight of each row of a.
  const auto add = [&](const float* weight, const T* row_of_b, const float* last) {
    Lanes column[Vectors];
#pragma GCC unroll 8
    for (int v = 0; v < Vectors; ++v)
      column[v] = From == Source::in_place_tail && v == Vectors - 1 ? load_tail<Lanes>(p, row_of_b + 16 * v, last)
                                                                    : load<Lanes>(row_of_b + 16 * v);
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
      const Lanes row = Lanes::set1(weight[r * a_stride]);
#pragma GCC unroll 8
      for (int v = 0; v < Vectors; ++v) acc[r][v] = add_product<T>(row, column[v], acc[r][v]);
    }
  };
  const bool fetch_ahead = From != Source::packed && p.fetch_ahead;
  const float* last = p.last;
  const std::ptrdiff_t last_stride = last ? 16 : 0;
  // Rows of b that stand one after the other; of pairs the second comes first.
  const auto add_rows = [&](const T* b, const T* ahead, std::ptrdiff_t count) {
    const auto fetch = [&] {
      if (!fetch_ahead) return;
      prefetch_row(ahead, 16 * Vectors);
      ahead = moved(ahead, b_stride);
    };
    const float* const end = a + count;
    for (; is_paired<T> && end - a >= 2; a += 2, b += 2 * b_stride, last += 2 * last_stride) {
      fetch();
      fetch();
      add(a + 1, b + b_stride, last + last_stride);
      add(a, b, last);
    }
    for (; a != end; ++a, b += b_stride, last += last_stride) {
      fetch();
      add(a, b, last);
    }
  };
  if constexpr (From == Source::packed) {
    add_rows(static_cast<const T*>(p.b), nullptr, p.depth);
  } else {
    const float* const end = a + p.depth;
    const auto* piece = static_cast<const ValuePiece*>(p.b);
    // Of int8, whose strips are at most a line, the lines that begin in the strip.
    const std::ptrdiff_t ahead_offset = sizeof(T) == 1 ? round_up(p.b_offset, 64) : p.b_offset;
    while (a != end) {
      const T* const rows = static_cast<const T*>(piece->rows) + p.b_offset;
      add_rows(rows, moved(static_cast<const T*>(piece->ahead), ahead_offset), piece->count);
      ++piece;
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 8
    for (int v = 0; v < Vectors; ++v) acc[r][v].store(c + r * c_stride + 16 * v);
}

// The tile of rows x 16 * vectors, 1 <= rows <= tile_rows, 1 <= vectors <= tile_vectors.
template <class Lanes, Source From, class T = float, int Rows = Lanes::tile_rows, int Vectors = Lanes::tile_vectors>
void multiply(std::ptrdiff_t rows, std::ptrdiff_t vectors, const Product& p) {
  if constexpr (Rows > 1)
    if (rows < Rows) return multiply<Lanes, From, T, Rows - 1, Vectors>(rows, vectors, p);
  if constexpr (Vectors > 1)
    if (vectors < Vectors) return multiply<Lanes, From, T, Rows, Vectors - 1>(rows, vectors, p);
  multiply_tile<Lanes, Rows, Vectors, From, T>(p);
}

}  // namespace
}  // namespace attn::simd
