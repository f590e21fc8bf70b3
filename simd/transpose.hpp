// Sixteen keys transposed in registers, so that lanes are keys.
#pragma once

#include <cstddef>

#include "elements.hpp"
#include "numbers.hpp"
#include "visible.hpp"

namespace attn::simd {
namespace {

// What a vector takes of a key: sixteen 32-bit lanes, each with one column or more.
inline constexpr std::ptrdiff_t row_bytes = 64;

template <int Size>
inline void copy_ends(const char* from, std::ptrdiff_t bytes, char* to) {
  __builtin_memcpy(to, from, Size);
  __builtin_memcpy(to + bytes - Size, from + bytes - Size, Size);
}
// to[0, bytes) = from[0, bytes), 0 < bytes < row_bytes: two copies of a fixed size, which overlap inside the row.
inline void copy_part(const char* from, std::ptrdiff_t bytes, char* to) {
  if (bytes >= 32) return copy_ends<32>(from, bytes, to);
  if (bytes >= 16) return copy_ends<16>(from, bytes, to);
  if (bytes >= 8) return copy_ends<8>(from, bytes, to);
  if (bytes >= 4) return copy_ends<4>(from, bytes, to);
  if (bytes >= 2) return copy_ends<2>(from, bytes, to);
  *to = *from;
}

// Sixteen rows of row_bytes: `bytes` of each of the keys [keys.begin, keys.end), which stand `stride` bytes apart; all
// else is 0 and not read. Not inlined, as it is rare: sixteen copies in each product made the archive 40 % larger.
[[gnu::noinline]] inline void copy_edge(
    const char* from, std::ptrdiff_t stride, KeySpan keys, std::ptrdiff_t bytes, char* edge) {
  for (std::ptrdiff_t i = 0; i < 16; ++i, from += stride, edge += row_bytes) {
    const bool seen = keys.begin <= i && i < keys.end;
    if (seen && bytes >= row_bytes) {
      __builtin_memcpy(edge, from, row_bytes);
    } else {
      __builtin_memset(edge, 0, row_bytes);
      if (seen) copy_part(from, bytes, edge);
    }
  }
}

// x[i] = the i-th 32-bit lane of each of keys[0..16): column i of floats; columns 2i and 2i + 1 of halves, for half the
// shuffles. Keys outside `seen` and columns from `columns` on are 0 and not read.
template <class Lanes, class T>
inline void transpose_keys(const T* keys, std::ptrdiff_t stride, KeySpan seen, std::ptrdiff_t columns, Lanes (&x)[16]) {
  constexpr std::ptrdiff_t size = sizeof(T);
  const char* rows = reinterpret_cast<const char*>(keys);
  std::ptrdiff_t step = stride * size;
  alignas(row_bytes) char edge[16 * row_bytes];
  if (seen.begin > 0 || seen.end < 16 || columns * size < row_bytes) {
    copy_edge(rows, step, seen, columns * size, edge);
    rows = edge;
    step = row_bytes;
  }
  for (int i = 0; i < 16; ++i) x[i] = Lanes::load_bytes(rows + i * step);
  transpose(x);
}

}  // namespace
}  // namespace attn::simd
