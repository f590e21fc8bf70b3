// Sixteen keys transposed in registers, so that lanes are keys.
#pragma once

#include <cstddef>

#include "elements.hpp"
#include "numbers.hpp"
#include "visible.hpp"

namespace attn::simd {
namespace {

// What a vector takes of a key: sixteen 32-bit lanes, each with one column or more.
inline constexpr std::ptrdiff_t vector_bytes = 64;

template <int Size>
inline void copy_ends(const char* from, std::ptrdiff_t bytes, char* to) {
  __builtin_memcpy(to, from, Size);
  __builtin_memcpy(to + bytes - Size, from + bytes - Size, Size);
}
// to[0, bytes) = from[0, bytes), 0 < bytes < vector_bytes: two copies of a fixed size, which overlap inside the row.
inline void copy_part(const char* from, std::ptrdiff_t bytes, char* to) {
  if (bytes >= 32) return copy_ends<32>(from, bytes, to);
  if (bytes >= 16) return copy_ends<16>(from, bytes, to);
  if (bytes >= 8) return copy_ends<8>(from, bytes, to);
  if (bytes >= 4) return copy_ends<4>(from, bytes, to);
  if (bytes >= 2) return copy_ends<2>(from, bytes, to);
  *to = *from;
}

// Sixteen rows of vector_bytes: `bytes` of each of the keys [keys.begin, keys.end), which stand `stride` bytes apart;
// all else is 0 and not read. Not inlined, as it is rare: sixteen copies in each product made the archive 40 % larger.
template <class Lanes>
[[gnu::noinline]] void copy_edge(
    const char* from, std::ptrdiff_t stride, KeySpan keys, std::ptrdiff_t bytes, float* edge) {
  const std::ptrdiff_t begin = min(max(keys.begin, 0), 16), end = max(min(keys.end, 16), begin);
  for (std::ptrdiff_t i = 0; i < begin; ++i) Lanes::zero().store(edge + 16 * i);
  for (std::ptrdiff_t i = begin; i < end; ++i) {
    if (bytes >= vector_bytes) {
      Lanes::load_bytes(from + i * stride).store(edge + 16 * i);
    } else {
      Lanes::zero().store(edge + 16 * i);
      copy_part(from + i * stride, bytes, reinterpret_cast<char*>(edge + 16 * i));
    }
  }
  for (std::ptrdiff_t i = end; i < 16; ++i) Lanes::zero().store(edge + 16 * i);
}

// x[i] = the i-th 32-bit lane of each of keys[0..16): column i of floats; columns 2i and 2i + 1 of halves, for half the
// shuffles. Keys outside `seen` and columns from `columns` on are 0 and not read.
template <class Lanes, class T>
inline void transpose_keys(const T* keys, std::ptrdiff_t stride, KeySpan seen, std::ptrdiff_t columns, Lanes (&x)[16]) {
  constexpr std::ptrdiff_t size = sizeof(T);
  const char* rows = reinterpret_cast<const char*>(keys);
  std::ptrdiff_t step = stride * size;
  alignas(vector_bytes) float edge[16 * 16];
  if (seen.begin > 0 || seen.end < 16 || columns * size < vector_bytes) {
    copy_edge<Lanes>(rows, step, seen, columns * size, edge);
    rows = reinterpret_cast<const char*>(edge);
    step = vector_bytes;
  }
  for (int i = 0; i < 16; ++i) x[i] = Lanes::load_bytes(rows + i * step);
  transpose(x);
}

}  // namespace
}  // namespace attn::simd
