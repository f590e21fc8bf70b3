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
#include "prefetch.hpp"

namespace attn::simd {
namespace {

struct Product {
  const float* a;
  std::ptrdiff_t a_stride;
  const void* b;  // of what T says
  std::ptrdiff_t b_stride;
  std::ptrdiff_t depth;
  float* c;
  std::ptrdiff_t c_stride;
  bool accumulate;  // start from c and not from 0
  bool fetch_ahead;  // rows of b, which come from memory
  std::ptrdiff_t tail;  // columns in the last vector of b, 16 if it is whole; c is padded and takes whole vectors
  const float* last;  // halves in place: the last vector, widened, [depth, 16]; null if it is whole
};

enum class Source { packed, in_place, in_place_tail };  // tail: the last vector may be partial

// The last vector of columns of row k of b, `tail` of them; of halves, where there is a tail, from `last`.
template <class Lanes>
inline Lanes load_tail(const Product& p, const float* column, std::ptrdiff_t) {
  return load_first<Lanes>(column, p.tail);
}
template <class Lanes, class Half>
inline Lanes load_tail(const Product& p, const Half* column, std::ptrdiff_t k) {
  return p.last ? Lanes::load(p.last + 16 * k) : load<Lanes>(column);
}

template <class Lanes, int Rows, int Vectors, Source From, class T>
void multiply_tile(const Product& p) {
  // Copies, because a store through a vector type may alias p.
  const float* a = p.a;
  const T* b = static_cast<const T*>(p.b);
  float* const c = p.c;
  const bool fetch_ahead = p.fetch_ahead;
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
  const auto add = [&](const float* weight, const T* from, std::ptrdiff_t k) {
    Lanes column[Vectors];
    if (From != Source::packed && fetch_ahead) prefetch_row(from, b_stride, 16 * Vectors);
#pragma GCC unroll 8
    for (int v = 0; v < Vectors; ++v)
      column[v] = From == Source::in_place_tail && v == Vectors - 1 ? load_tail<Lanes>(p, from + 16 * v, k)
                                                                    : load<Lanes>(from + 16 * v);
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
      const Lanes row = Lanes::set1(weight[r * a_stride]);
#pragma GCC unroll 8
      for (int v = 0; v < Vectors; ++v) acc[r][v] = fma(row, column[v], acc[r][v]);
    }
  };
  std::ptrdiff_t k = 0;
  for (; is_paired<T> && k + 2 <= p.depth; k += 2, a += 2, b += 2 * b_stride) {
    add(a + 1, b + b_stride, k + 1);
    add(a, b, k);
  }
  for (; k < p.depth; ++k, ++a, b += b_stride) add(a, b, k);
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
