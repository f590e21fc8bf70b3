// Keys turned so that lanes are keys, in registers or packed into panels, and values packed into strips.
#pragma once

#include <cstddef>

#include "product.hpp"

namespace attn::simd {
namespace {

// While columns [d, d + 16) of sixteen keys are turned: that share of the keys rows_ahead behind, row after row,
// because a CPU's own prefetcher follows what is read in order.
inline void prefetch_keys(const float* keys, std::ptrdiff_t stride, std::ptrdiff_t d, std::ptrdiff_t head_dim) {
  const std::ptrdiff_t first = 16 * d / head_dim, last = least(16, 16 * (d + 16) / head_dim);
  for (std::ptrdiff_t i = first; i < last; ++i)
    for (std::ptrdiff_t e = 0; e < head_dim; e += 16) __builtin_prefetch(keys + (rows_ahead + i) * stride + e, 0, 2);
}

// x[d] = keys[0..16)[d] for sixteen d: a block of keys turned so that lanes are keys. Keys outside [begin, end) and
// columns from `columns` on are 0 and not read.
template <class Lanes>
inline void turn_keys(const float* keys, std::ptrdiff_t stride, std::ptrdiff_t begin, std::ptrdiff_t end,
                      std::ptrdiff_t columns, Lanes (&x)[16]) {
  if (begin <= 0 && end >= 16 && columns >= 16) {
    for (int i = 0; i < 16; ++i) x[i] = Lanes::load(keys + i * stride);
  } else {
    for (int i = 0; i < 16; ++i)
      x[i] = i >= begin && i < end ? Lanes::load_first(keys + i * stride, least(16, columns)) : Lanes::zero();
  }
  transpose(x);
}

template <class Lanes>
void pack_keys(const float* keys, std::ptrdiff_t stride, std::ptrdiff_t count, std::ptrdiff_t head_dim, float* packed) {
  constexpr std::ptrdiff_t width = 16 * Lanes::tile_vectors;
  for (std::ptrdiff_t j = 0; j < round_up(count, width); j += 16)
    for (std::ptrdiff_t d = 0; d < head_dim; d += 16) {
      Lanes x[16];
      prefetch_keys(keys + j * stride, stride, d, head_dim);
      turn_keys(keys + j * stride + d, stride, 0, count - j, head_dim - d, x);
      float* panel = packed + j / width * width * head_dim + j % width;
      for (std::ptrdiff_t i = 0; i < least(16, head_dim - d); ++i) x[i].store(panel + (d + i) * width);
    }
}

template <class Lanes>
bool pack_values(const float* values, std::ptrdiff_t stride, std::ptrdiff_t count, std::ptrdiff_t value_dim,
                 float* packed) {
  constexpr std::ptrdiff_t width = 16 * Lanes::tile_vectors;
  Lanes zeros = Lanes::zero();  // 0 * x is 0 for every finite x, and NaN for the others
  for (std::ptrdiff_t e = 0; e < value_dim; e += width) {
    const std::ptrdiff_t columns = least(width, value_dim - e);
    for (std::ptrdiff_t j = 0; j < count; ++j)
      for (std::ptrdiff_t x = 0; x < columns; x += 16, packed += 16) {
        const Lanes value = Lanes::load_first(values + j * stride + e + x, least(16, columns - x));
        zeros = fma(value, Lanes::zero(), zeros);
        value.store(packed);
      }
  }
  return reduce_add(zeros) == 0.0f;
}

}  // namespace
}  // namespace attn::simd
