// Keys turned so that lanes are keys, in registers or packed into panels, and values packed into strips.
#pragma once

#include <cstddef>

#include "half.hpp"
#include "product.hpp"

namespace attn::simd {
namespace {

// While columns [d, d + step) of sixteen keys are turned: that share of the keys rows_ahead behind, row after row,
// because a CPU's own prefetcher follows what is read in order.
template <class T>
inline void prefetch_keys(const T* keys, std::ptrdiff_t stride, std::ptrdiff_t d, std::ptrdiff_t head_dim) {
  constexpr std::ptrdiff_t line = 64 / sizeof(T), step = 16 * sizeof(float) / sizeof(T);
  const std::ptrdiff_t first = 16 * d / head_dim, last = least(16, 16 * (d + step) / head_dim);
  for (std::ptrdiff_t i = first; i < last; ++i)
    for (std::ptrdiff_t e = 0; e < head_dim; e += line)
      __builtin_prefetch(keys + (rows_ahead * (step / 16) + i) * stride + e, 0, 2);
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

// Sixteen keys [16, head_dim] into a panel [head_dim, 16], whose rows are `width` floats apart; keys outside
// [begin, end) are 0 and not read.
template <class Lanes>
void turn_into_panel(const float* keys, std::ptrdiff_t stride, std::ptrdiff_t begin, std::ptrdiff_t end,
                     std::ptrdiff_t head_dim, float* panel, std::ptrdiff_t width) {
  for (std::ptrdiff_t d = 0; d < head_dim; d += 16) {
    Lanes x[16];
    prefetch_keys(keys, stride, d, head_dim);
    turn_keys(keys + d, stride, begin, end, head_dim - d, x);
    for (std::ptrdiff_t i = 0; i < least(16, head_dim - d); ++i) x[i].store(panel + (d + i) * width);
  }
}

// Of halves: x[i] holds columns 2i and 2i + 1 of sixteen keys as one 32-bit lane. Half the shuffles of floats.
template <class Lanes, class Half>
inline void turn_pairs(const Half* keys, std::ptrdiff_t stride, std::ptrdiff_t begin, std::ptrdiff_t end,
                       std::ptrdiff_t columns, Lanes (&x)[16]) {
  if (begin <= 0 && end >= 16 && columns >= 32) {
    for (int i = 0; i < 16; ++i) x[i] = Lanes::load_bytes(keys + i * stride);
  } else {
    for (int i = 0; i < 16; ++i) {
      Half pairs[32] = {};
      if (i >= begin && i < end)
        __builtin_memcpy(pairs, keys + i * stride, static_cast<std::size_t>(least(32, columns)) * sizeof(Half));
      x[i] = Lanes::load_bytes(pairs);
    }
  }
  transpose(x);
}

template <class Lanes, class Half>
void turn_into_panel(const Half* keys, std::ptrdiff_t stride, std::ptrdiff_t begin, std::ptrdiff_t end,
                     std::ptrdiff_t head_dim, float* panel, std::ptrdiff_t width) {
  for (std::ptrdiff_t d = 0; d < head_dim; d += 32) {
    Lanes x[16];
    prefetch_keys(keys, stride, d, head_dim);
    turn_pairs(keys + d, stride, begin, end, head_dim - d, x);
    for (std::ptrdiff_t i = 0; i < 16 && d + 2 * i < head_dim; ++i) {
      float* row = panel + (d + 2 * i) * width;
      first_of_pairs(x[i], keys).store(row);
      if (d + 2 * i + 1 < head_dim) second_of_pairs(x[i], keys).store(row + width);
    }
  }
}

template <class Lanes>
void pack_keys(const void* keys, Storage storage, std::ptrdiff_t stride, std::ptrdiff_t count, std::ptrdiff_t head_dim,
               float* packed) {
  constexpr std::ptrdiff_t width = 16 * Lanes::tile_vectors;
  with_type(keys, storage, [&](const auto* p) {
    for (std::ptrdiff_t j = 0; j < round_up(count, width); j += 16)
      turn_into_panel<Lanes>(p + j * stride, stride, 0, count - j, head_dim,
                             packed + j / width * width * head_dim + j % width, width);
  });
}

template <class Lanes>
bool pack_values(const void* values, Storage storage, std::ptrdiff_t stride, std::ptrdiff_t count,
                 std::ptrdiff_t value_dim, float* packed) {
  constexpr std::ptrdiff_t width = 16 * Lanes::tile_vectors;
  Lanes zeros = Lanes::zero();  // 0 * x is 0 for every finite x, and NaN for the others
  with_type(values, storage, [&](const auto* p) {
    for (std::ptrdiff_t e = 0; e < value_dim; e += width) {
      const std::ptrdiff_t columns = least(width, value_dim - e);
      for (std::ptrdiff_t j = 0; j < count; ++j)
        for (std::ptrdiff_t x = 0; x < columns; x += 16, packed += 16) {
          const Lanes value = load_first<Lanes>(p + j * stride + e + x, least(16, columns - x));
          zeros = fma(value, Lanes::zero(), zeros);
          value.store(packed);
        }
    }
  });
  return reduce_add(zeros) == 0.0f;
}

}  // namespace
}  // namespace attn::simd
