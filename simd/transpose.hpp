// Keys transposed in registers, so that lanes are keys.
#pragma once

#include <cstddef>

#include "elements.hpp"
#include "numbers.hpp"
#include "pairs.hpp"
#include "visible.hpp"

namespace attn::simd {
namespace {

// Bytes of a key that are copied at a time where they cannot be read in whole steps.
inline constexpr std::ptrdiff_t vector_bytes = 64;

// Keys of a type, `stride` elements apart.
template <class T>
struct KeyRows {
  const T* first;
  std::ptrdiff_t stride;

  const char* at(std::ptrdiff_t d) const { return reinterpret_cast<const char*>(first + d); }
  std::ptrdiff_t step() const { return stride * static_cast<std::ptrdiff_t>(sizeof(T)); }
};
template <class T>
KeyRows(const T*, std::ptrdiff_t) -> KeyRows<T>;

// Columns of each key in `Count` 32-bit lanes: of floats one each, of halves two, for half the shuffles, of int8
// four.
template <class T, int Count>
inline constexpr std::ptrdiff_t columns_of = Count* Element<T>::columns;

// Calls add(d, column d) for the columns from d on that x holds, if they are in [from, end). Of pairs column d + 1
// comes as d, and d as d + 1, a last one alone as itself; pairs for an instruction come as add(d, both).
template <class T, int I = 0, class Lanes, class Add>
inline void for_each_column_of_lane(
    Lanes x, std::ptrdiff_t d, std::ptrdiff_t from, std::ptrdiff_t end, const Add& add) {
  if constexpr (is_multiplied_in_pairs<T>) {
    if (from <= d && d < end) add(d, x);
  } else {
    if constexpr (is_paired<T> && I == 0)
      if (from <= d && d + 1 == end) return add(d, Element<T>::template column<1>(x));
    if (from <= d + I && d + I < end) add(d + I, Element<T>::template column<I>(x));
    if constexpr (I + 1 < Element<T>::columns) for_each_column_of_lane<T, I + 1>(x, d, from, end, add);
  }
}
// The same for all columns of `Count` lanes from d on.
template <class T, class Lanes, int Count, class Add>
inline void for_each_column(const Lanes (&x)[Count], std::ptrdiff_t d, const Add& add) {
  const auto add_lane = [&](int i) {
    for_each_column_of_lane<T>(x[i], d + columns_of<T, 1> * i, d, d + columns_of<T, Count>, add);
  };
  if constexpr (Lanes::in_registers) {
#pragma GCC unroll 16
    for (int i = 0; i < Count; ++i) add_lane(i);
  } else {
    for (int i = 0; i < Count; ++i) add_lane(i);
  }
}

template <int Size>
inline void copy_ends(const char* from, std::ptrdiff_t bytes, char* to) {
  __builtin_memcpy(to, from, Size);
  __builtin_memcpy(to + bytes - Size, from + bytes - Size, Size);
}
// to[0, bytes) = from[0, bytes), 0 < bytes <= vector_bytes: two copies of a fixed size, which overlap inside the row.
inline void copy_part(const char* from, std::ptrdiff_t bytes, char* to) {
  if (bytes >= 32) return copy_ends<32>(from, bytes, to);
  if (bytes >= 16) return copy_ends<16>(from, bytes, to);
  if (bytes >= 8) return copy_ends<8>(from, bytes, to);
  if (bytes >= 4) return copy_ends<4>(from, bytes, to);
  if (bytes >= 2) return copy_ends<2>(from, bytes, to);
  *to = *from;
}

// Sixteen rows of vector_bytes: `bytes` of each of the first `count` rows, `step` bytes apart; all else is 0 and not
// read.
[[gnu::noinline]] void copy_edge(
    const char* rows, std::ptrdiff_t step, std::ptrdiff_t count, std::ptrdiff_t bytes, char* edge) {
  __builtin_memset(edge, 0, 16 * vector_bytes);
#pragma GCC unroll 1
  for (std::ptrdiff_t i = 0; i < count; ++i) copy_part(rows + i * step, bytes, edge + i * vector_bytes);
}

// Calls add(d, column d) for the columns [from, head_dim) of the first `count` of sixteen keys, in order. Missing keys
// are 0 and not read. For what fills no whole step: small, and not fast.
template <class Lanes, class T, class Add>
inline void for_each_column_of_part(
    KeyRows<T> keys, std::ptrdiff_t count, std::ptrdiff_t from, std::ptrdiff_t head_dim, const Add& add) {
  constexpr std::ptrdiff_t size = sizeof(T), wide = columns_of<T, 16>, narrow = columns_of<T, 4>;
  constexpr bool in_pairs = is_paired<T> || is_multiplied_in_pairs<T>;
  const bool splits_pairs = in_pairs && head_dim % 2 != 0;  // if the last step began where it ends with the row
  const bool in_place = count >= 16 && head_dim >= narrow && !splits_pairs;
  alignas(vector_bytes) char edge[16 * vector_bytes];
  for (std::ptrdiff_t d = from; d < head_dim; d += narrow) {
    // In place, the last step begins where it ends with the row.
    const std::ptrdiff_t start = in_place ? min(d, head_dim - narrow) : d, copied = (d - from) % wide;
    if (!in_place && copied == 0)
      copy_edge(keys.at(d), keys.step(), min(count, 16), min(wide, head_dim - d) * size, edge);
    Lanes x[4];
    transpose_rows(in_place ? keys.at(start) : edge + copied * size, in_place ? keys.step() : vector_bytes, x);
#pragma GCC unroll 1
    for (int i = 0; i < 4; ++i) for_each_column_of_lane<T>(x[i], start + columns_of<T, 1> * i, d, head_dim, add);
  }
}

}  // namespace
}  // namespace attn::simd
