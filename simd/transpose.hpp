// Sixteen keys transposed in registers, so that lanes are keys.
#pragma once

#include <cstddef>

#include "elements.hpp"
#include "numbers.hpp"

namespace attn::simd {
namespace {

// x[i] = columns i of keys[0..16) for sixteen columns. Keys outside [begin, end) and columns from `columns` on are 0
// and not read.
template <class Lanes>
inline void transpose_keys(const float* keys, std::ptrdiff_t stride, std::ptrdiff_t begin, std::ptrdiff_t end,
                           std::ptrdiff_t columns, Lanes (&x)[16]) {
  if (begin <= 0 && end >= 16 && columns >= 16) {
    for (int i = 0; i < 16; ++i) x[i] = Lanes::load(keys + i * stride);
  } else {
    for (int i = 0; i < 16; ++i)
      x[i] = i >= begin && i < end ? Lanes::load_first(keys + i * stride, min(16, columns)) : Lanes::zero();
  }
  transpose(x);
}

// Of halves: x[i] holds columns 2i and 2i + 1 as one 32-bit lane. Half the shuffles of floats.
template <class Lanes, class Half>
inline void transpose_keys(const Half* keys, std::ptrdiff_t stride, std::ptrdiff_t begin, std::ptrdiff_t end,
                           std::ptrdiff_t columns, Lanes (&x)[16]) {
  if (begin <= 0 && end >= 16 && columns >= 32) {
    for (int i = 0; i < 16; ++i) x[i] = Lanes::load_bytes(keys + i * stride);
  } else {
    for (int i = 0; i < 16; ++i) {
      Half pairs[32] = {};
      if (i >= begin && i < end)
        __builtin_memcpy(pairs, keys + i * stride, static_cast<std::size_t>(min(32, columns)) * sizeof(Half));
      x[i] = Lanes::load_bytes(pairs);
    }
  }
  transpose(x);
}

}  // namespace
}  // namespace attn::simd
