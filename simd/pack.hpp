// Keys packed into panels, transposed, and values packed into strips: what register tiles read one line after the
// other.
#pragma once

#include <cstddef>

#include "elements.hpp"
#include "numbers.hpp"
#include "pieces.hpp"
#include "prefetch.hpp"
#include "scales.hpp"
#include "transpose.hpp"

namespace attn::simd {
namespace {

// The first `count` of sixteen keys into a panel whose rows are panel_keys floats apart: [head_dim, 16], or of pairs in
// half as many rows. Keys from `count` on are 0 and not read.
template <class Lanes, class T>
void transpose_into_panel(
    KeyRows<T> keys, const T* ahead, std::ptrdiff_t count, std::ptrdiff_t head_dim, float* panel) {
  using Keys = typename Lanes::Keys;
  constexpr std::ptrdiff_t width = 16 * Lanes::tile_vectors;
  constexpr std::ptrdiff_t columns = columns_of<T, 4>, in_row = is_multiplied_in_pairs<T> ? 2 : 1;
  std::ptrdiff_t d = 0, fetched = 0;
  for (; count >= 16 && d + columns <= head_dim; d += columns) {
    for (; fetched * head_dim < 16 * (d + columns); ++fetched)
      prefetch_row(moved(ahead, fetched * keys.stride), head_dim);
    for (std::ptrdiff_t j = 0; j < 16; j += Keys::width) {
      Keys x[4];
      transpose_rows(keys.at(j * keys.stride + d), keys.step(), x);
      for_each_column<T>(x, d, [&](std::ptrdiff_t e, Keys key) { key.store(panel + e / in_row * width + j); });
    }
  }
  if (d < head_dim)
    for_each_column_of_part<Lanes>(
        keys, count, d, head_dim, [&](std::ptrdiff_t e, Lanes key) { key.store(panel + e / in_row * width); });
}

// Some columns of keys into the rows of panels [head_dim, panel_keys] from `block` on.
template <class Lanes, class T>
void pack_columns(const T* rows, const PackedRows& keys, std::ptrdiff_t head_dim, float* block) {
  constexpr std::ptrdiff_t width = 16 * Lanes::tile_vectors;
  const std::ptrdiff_t end = keys.first + keys.count;
  const std::ptrdiff_t panels_end = round_up(end, end == keys.block_count ? width : 16);
  const T* ahead = keys.ahead ? as_type_of(rows, keys.ahead) : moved(rows, rows_ahead_of(sizeof(T)) * keys.stride);
  for (std::ptrdiff_t j = keys.first; j < panels_end; j += 16) {
    transpose_into_panel<Lanes>(
        KeyRows{rows, keys.stride}, ahead, end - j, keys.columns, block + j / width * width * head_dim + j % width);
    rows = moved(rows, 16 * keys.stride);
    ahead = moved(ahead, 16 * keys.stride);
  }
}

// Of the pairs of each panel that these keys stand in: the least exponent of those that are packed by now.
template <class Lanes>
void keep_exponents(const PackedRows& keys, float* block) {
  constexpr std::ptrdiff_t width = 16 * Lanes::tile_vectors;
  const std::ptrdiff_t end = round_up(keys.first + keys.count, 16);
  for (std::ptrdiff_t j = keys.first; j < end; j = (j / width + 1) * width) {
    float* const panel = block + j / width * width * keys.columns;
    float* const kept = panel + (keys.columns - 1) * width;
    LeastExponent<Lanes> least;
    for (std::ptrdiff_t d = 0; d < (keys.columns + 1) / 2; ++d)
      for (std::ptrdiff_t x = j % width; x < min(width, end - j / width * width); x += 16)
        least.take(Lanes::load(panel + d * width + x));
    const bool begins = keys.begins || j % width == 0;
    put_bits(begins ? least.value() : least_bits(least.value(), bits_of(kept)), kept);
  }
}

template <class Lanes>
void pack_key_pairs(const PackedRows& keys, float* block) {
  if constexpr (PairProduct<Lanes>::exists) {
    pack_columns<Lanes>(static_cast<const bf16_in_pair*>(keys.rows), keys, keys.columns, block);
    if (panels_hold_exponent(keys.columns)) keep_exponents<Lanes>(keys, block);
  } else {
    pack_columns<Lanes>(static_cast<const paired_bf16*>(keys.rows), keys, keys.columns, block);
  }
}

// to[0, n) = a row of bf16 queries as keys in pairs are multiplied: 1, 0, 3, 2, ...
template <class Lanes>
void copy_query_pairs(const void* query, std::ptrdiff_t n, bool negate, float* to) {
  widen<Lanes>(query, DType::bf16, n, to);
  order_columns<paired_bf16>(to, n);
  for (std::ptrdiff_t d = 0; negate && d < n; ++d) to[d] = -to[d];
  if constexpr (PairProduct<Lanes>::exists) {
    // A last column stands beside -0: that times the key's 0 is -0, which changes no sum, be it 0 of either sign.
    for (std::ptrdiff_t d = 0; d < n; d += 2) {
      const bool alone = d + 1 == n;
      const std::uint32_t high = alone ? 0x80000000u : bits_of(to + d), low = bits_of(alone ? to + d : to + d + 1);
      put_bits(high | low >> 16, to + query_pairs(n) + d / 2);
    }
    put_bits(least_exponent<Lanes>(to + query_pairs(n), (n + 1) / 2), to + query_exponent(n));
  }
}

// Group g of the columns of q8_0, as rows of int8.
inline PackedRows group_of_rows(const PackedRows& blocks, std::ptrdiff_t g) {
  const Int8Rows rows = group_of_blocks(blocks.rows, blocks.stride, g);
  PackedRows group = blocks;
  group.rows = rows.first;
  group.type = DType::i8;
  group.stride = rows.stride;
  group.columns = q8_0_columns;
  if (blocks.ahead) group.ahead = group_of_blocks(blocks.ahead, blocks.stride, g).first;
  return group;
}

// Blocks of q8_0 by groups, as integers.
template <class Lanes>
void pack_keys(const PackedRows& keys, float* block) {
  const auto pack = [&](const PackedRows& some, float* to) {
    with_type(some.rows, some.type, [&](const auto* rows) { pack_columns<Lanes>(rows, some, keys.columns, to); });
  };
  if (keys.type != DType::q8_0) return pack(keys, block);
  for (std::ptrdiff_t d = 0; d < keys.columns; d += q8_0_columns)
    pack(group_of_rows(keys, d / q8_0_columns), block + d * 16 * Lanes::tile_vectors);
}

// Blocks of q8_0 by groups, one after the other, as if each were values of 32 columns.
template <class Lanes>
bool pack_values(const PackedRows& values, float* block) {
  constexpr std::ptrdiff_t width = 16 * Lanes::tile_vectors;
  if (values.type == DType::q8_0) {
    for (std::ptrdiff_t e = 0; e < values.columns; e += q8_0_columns)
      pack_values<Lanes>(group_of_rows(values, e / q8_0_columns), block + e * values.block_count);
    return true;
  }
  Lanes zeros = Lanes::zero();  // see finite.hpp
  with_type(values.rows, values.type, [&](const auto* p) {
    for (std::ptrdiff_t e = 0; e < values.columns; e += width) {
      const std::ptrdiff_t columns = min(width, values.columns - e);
      float* packed = block + e * values.block_count + values.first * round_up(columns, 16);
      for (std::ptrdiff_t j = 0; j < values.count; ++j)
        for (std::ptrdiff_t x = 0; x < columns; x += 16, packed += 16) {
          const Lanes value = load_first<Lanes>(p + j * values.stride + e + x, min(16, columns - x));
          zeros = fma(value, Lanes::zero(), zeros);
          value.store(packed);
        }
    }
  });
  return !any_nan(zeros);
}

// One strip of pairs of keys [(count + 1) / 2, columns rounded up to 16]; adds 0 for each value that is finite.
template <class Lanes>
Lanes pack_strip_of_pairs(
    const bf16* values, std::ptrdiff_t stride, std::ptrdiff_t count, std::ptrdiff_t columns, float* packed) {
  Lanes zeros = Lanes::zero();  // see finite.hpp
  for (std::ptrdiff_t j = 0; j < count; j += 2)
    for (std::ptrdiff_t x = 0; x < columns; x += 16, packed += 16) {
      const bf16* const value = values + j * stride + x;
      const std::ptrdiff_t some = min(16, columns - x);
      const Lanes low = load_first<Lanes>(value, some);
      const Lanes high = j + 1 < count ? load_first<Lanes>(value + stride, some) : Lanes::zero();
      zeros = fma(high, Lanes::zero(), fma(low, Lanes::zero(), zeros));
      PairProduct<Lanes>::join(low, high).store(packed);
    }
  return zeros;
}

// Without the instruction, or of a block of one value, as pack_values.
template <class Lanes>
bool pack_value_pairs(const PackedRows& values, float* block) {
  if constexpr (PairProduct<Lanes>::exists) {
    constexpr std::ptrdiff_t width = 16 * Lanes::tile_vectors;
    if (values.block_count == 1) return pack_values<Lanes>(values, block);
    Lanes zeros = Lanes::zero();
    for (std::ptrdiff_t e = 0; e < values.columns; e += width) {
      const std::ptrdiff_t columns = min(width, values.columns - e), padded = round_up(columns, 16);
      float* const strip = block + e * values.block_count;
      float* const packed = strip + values.first / 2 * padded;
      float* const kept = strip + (values.block_count - 1) * padded;
      const bf16* const from = static_cast<const bf16*>(values.rows) + e;
      zeros = zeros + pack_strip_of_pairs<Lanes>(from, values.stride, values.count, columns, packed);
      const std::uint32_t least = least_exponent<Lanes>(packed, (values.count + 1) / 2 * padded);
      put_bits(values.begins ? least : least_bits(least, bits_of(kept)), kept);
    }
    return !any_nan(zeros);
  }
  return pack_values<Lanes>(values, block);
}

}  // namespace
}  // namespace attn::simd
