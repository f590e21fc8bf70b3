// Keys packed into panels, transposed, and values packed into strips: what register tiles read one line after the
// other.
#pragma once

#include <cstddef>

#include "elements.hpp"
#include "few.hpp"
#include "numbers.hpp"
#include "prefetch.hpp"
#include "scales.hpp"
#include "transpose.hpp"

namespace attn::simd {
namespace {

// The first `count` of sixteen keys [16, head_dim] into a panel [head_dim, 16], whose rows are `width` floats apart;
// keys from `count` on are 0 and not read.
template <class Lanes, class T>
void transpose_into_panel(
    KeyRows<T> keys, std::ptrdiff_t count, std::ptrdiff_t head_dim, float* panel, std::ptrdiff_t width) {
  using Keys = typename Lanes::Keys;
  constexpr std::ptrdiff_t columns = columns_of<T, 4>;
  std::ptrdiff_t d = 0, fetched = 0;
  for (; count >= 16 && d + columns <= head_dim; d += columns) {
    for (; fetched * head_dim < 16 * (d + columns); ++fetched)
      prefetch_row(keys.first + fetched * keys.stride, keys.stride, head_dim);
    for (std::ptrdiff_t j = 0; j < 16; j += Keys::width) {
      Keys x[4];
      transpose_rows(keys.at(j * keys.stride + d), keys.step(), x);
      for_each_column<T>(x, d, [&](std::ptrdiff_t e, Keys key) { key.store(panel + e * width + j); });
    }
  }
  if (d < head_dim)
    for_each_column_of_part<Lanes>(
        keys, count, d, head_dim, [&](std::ptrdiff_t e, Lanes key) { key.store(panel + e * width); });
}

// Some columns of keys into the rows of panels [head_dim, width] from `packed` on.
template <class Lanes, class T>
void pack_columns(
    KeyRows<T> keys, std::ptrdiff_t count, std::ptrdiff_t columns, std::ptrdiff_t head_dim, float* packed) {
  constexpr std::ptrdiff_t width = 16 * Lanes::tile_vectors;
  for (std::ptrdiff_t j = 0; j < round_up(count, width); j += 16)
    transpose_into_panel<Lanes>(
        KeyRows{keys.first + j * keys.stride, keys.stride}, count - j, columns,
        packed + j / width * width * head_dim + j % width, width);
}

template <class Lanes>
void pack_key_pairs(
    const void* keys, std::ptrdiff_t stride, std::ptrdiff_t count, std::ptrdiff_t head_dim, float* packed) {
  pack_columns<Lanes>(KeyRows{static_cast<const paired_bf16*>(keys), stride}, count, head_dim, head_dim, packed);
}

// to[0, n) = a row of bf16 queries as keys in pairs are multiplied: 1, 0, 3, 2, ...
template <class Lanes>
void copy_query_pairs(const void* query, std::ptrdiff_t n, bool negate, float* to) {
  widen<Lanes>(query, DType::bf16, n, to);
  order_columns<paired_bf16>(to, n);
  for (std::ptrdiff_t d = 0; negate && d < n; ++d) to[d] = -to[d];
}

// Blocks of q8_0 by groups, as integers.
template <class Lanes>
void pack_keys(
    const void* keys, DType type, std::ptrdiff_t stride, std::ptrdiff_t count, std::ptrdiff_t head_dim, float* packed) {
  if (type != DType::q8_0)
    return with_type(keys, type, [&](const auto* p) {
      pack_columns<Lanes>(KeyRows{p, stride}, count, head_dim, head_dim, packed);
    });
  for (std::ptrdiff_t d = 0; d < head_dim; d += q8_0_columns) {
    const Int8Rows rows = group_of_blocks(keys, stride, d / q8_0_columns);
    pack_columns<Lanes>(
        KeyRows{rows.first, rows.stride}, count, q8_0_columns, head_dim, packed + d * 16 * Lanes::tile_vectors);
  }
}

// Blocks of q8_0 by groups, one after the other, as if each were values of 32 columns.
template <class Lanes>
bool pack_values(
    const void* values, DType type, std::ptrdiff_t stride, std::ptrdiff_t count, std::ptrdiff_t value_dim,
    float* packed) {
  constexpr std::ptrdiff_t width = 16 * Lanes::tile_vectors;
  for (std::ptrdiff_t e = 0; type == DType::q8_0 && e < value_dim; e += q8_0_columns) {
    const Int8Rows rows = group_of_blocks(values, stride, e / q8_0_columns);
    pack_values<Lanes>(rows.first, DType::i8, rows.stride, count, q8_0_columns, packed + e * count);
  }
  if (type == DType::q8_0) return true;
  Lanes zeros = Lanes::zero();  // see finite.hpp
  with_type(values, type, [&](const auto* p) {
    for (std::ptrdiff_t e = 0; e < value_dim; e += width) {
      const std::ptrdiff_t columns = min(width, value_dim - e);
      for (std::ptrdiff_t j = 0; j < count; ++j)
        for (std::ptrdiff_t x = 0; x < columns; x += 16, packed += 16) {
          const Lanes value = load_first<Lanes>(p + j * stride + e + x, min(16, columns - x));
          zeros = fma(value, Lanes::zero(), zeros);
          value.store(packed);
        }
    }
  });
  return !any_nan(zeros);
}

}  // namespace
}  // namespace attn::simd
