// Keys and values of int8 with a scale for each key: of all columns (i8), or of each group of 32 (q8_0). The integers
// are multiplied as they are:
//   s[j] = (q . k[j] of the first group) * scale[0][j],  then  s[j] <- fma(q . k[j] of group g, scale[g][j], s[j])
//   w[g][j] = p[j] * scale[g][j]                          what multiplies the columns of group g of value j
#pragma once

#include <cstddef>
#include <cstdint>

#include "elements.hpp"
#include "kernels.hpp"
#include "numbers.hpp"

namespace attn::simd {
namespace {

// Bytes of a block of q8_0, its numbers, and the bytes before them.
inline constexpr std::ptrdiff_t q8_0_bytes = sizeof(q8_0), q8_0_columns = 32, q8_0_head = sizeof(f16);

// Rows of int8: `stride` bytes from row to row.
struct Int8Rows {
  const std::int8_t* first;
  std::ptrdiff_t stride;
};

// Columns 32 g .. of rows of q8_0 whose stride counts numbers.
inline Int8Rows group_of_blocks(const void* rows, std::ptrdiff_t stride, std::ptrdiff_t g) {
  return {static_cast<const std::int8_t*>(rows) + g * q8_0_bytes + q8_0_head, stride / q8_0_columns * q8_0_bytes};
}

// Group g of the keys of a block in place, with so many columns, as keys of their own without scales.
inline KeyBlock group_of_keys(const KeyBlock& k, std::ptrdiff_t g) {
  KeyBlock group = k;
  group.key_scales = nullptr;
  if (k.key_type != DType::q8_0) return group;
  const Int8Rows rows = group_of_blocks(k.keys, k.key_stride, g);
  group.keys = rows.first;
  group.page_offset = g * q8_0_bytes + q8_0_head;
  group.key_stride = rows.stride;
  group.key_type = DType::i8;
  return group;
}

// The same of its values. Packed, the groups stand one after the other.
inline KeyBlock group_of_values(const KeyBlock& k, std::ptrdiff_t g) {
  KeyBlock group = k;
  group.value_scales = nullptr;
  group.value_dim = k.value_group;
  if (k.packed) {
    group.values = static_cast<const float*>(k.values) + g * k.value_group * k.count;
  } else if (k.value_type == DType::q8_0) {
    const Int8Rows rows = group_of_blocks(k.values, k.value_stride, g);
    group.values = rows.first;
    group.page_offset = g * q8_0_bytes + q8_0_head;
    group.value_stride = rows.stride;
    group.value_type = DType::i8;
  }
  return group;
}

// s[j] <- product[j] * scale[j] for n keys, or with the groups before it in s: fma(product[j], scale[j], s[j]). In
// place if it is the first group.
template <class Lanes>
inline void scale_products(const float* product, const float* scale, std::ptrdiff_t n, bool first, float* s) {
  std::ptrdiff_t j = 0;
  for (; j + 16 <= n; j += 16) {
    const Lanes x = Lanes::load(product + j), factor = Lanes::load(scale + j);
    (first ? x * factor : fma(x, factor, Lanes::load(s + j))).store(s + j);
  }
  if (j == n) return;
  const Lanes x = Lanes::load_first(product + j, n - j), factor = Lanes::load_first(scale + j, n - j);
  (first ? x * factor : fma(x, factor, Lanes::load_first(s + j, n - j))).store_first(s + j, n - j);
}

}  // namespace
}  // namespace attn::simd
