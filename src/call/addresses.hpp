// Element types, and where the rows of a [batch, heads, rows, columns] tensor stand.
#pragma once

#include <cstdint>
#include <cstring>

#include "attn/tensor.hpp"

namespace attn {

// Keys of a panel of a cache (KeyLayout::panels).
inline constexpr std::int64_t cache_panel = 16;
// Numbers in a block of q8_0.
inline constexpr std::int64_t q8_0_block = 32;
static_assert(panel_rows(1) == cache_panel && panel_rows(cache_panel) == cache_panel);
static_assert(sizeof(q8_0::values) == q8_0_block && sizeof(q8_0) == q8_0_block + sizeof(f16));

// Bytes of n elements, whole blocks of q8_0; 0 if `type` is no value of DType.
constexpr std::int64_t bytes_of(DType type, std::int64_t n) noexcept {
  switch (type) {
    case DType::f32:
      return 4 * n;
    case DType::f16:
    case DType::bf16:
      return 2 * n;
    case DType::i8:
      return n;
    case DType::q8_0:
      return n / q8_0_block * static_cast<std::int64_t>(sizeof(q8_0));
  }
  return 0;
}
constexpr bool is_dtype(DType type) noexcept { return bytes_of(type, q8_0_block) > 0; }
// f32, f16, bf16: what queries, results and biases may be.
constexpr bool is_floating(DType type) noexcept { return is_dtype(type) && type <= DType::bf16; }
// Bytes of one of these.
constexpr std::int64_t size_of(DType type) noexcept { return is_floating(type) ? bytes_of(type, 1) : 0; }

// Is the element of that type at x minus infinity?
inline bool is_minus_infinity(const void* x, DType type) noexcept {
  std::uint32_t bits = 0;
  std::memcpy(&bits, x, static_cast<std::size_t>(size_of(type)));
  return bits == (type == DType::f32 ? 0xff800000u : type == DType::f16 ? 0xfc00u : 0xff80u);
}

// Is a row of this type an array of float, which arithmetic and BLAS take as it stands? The others are widened first.
constexpr bool is_float(DType type) noexcept { return type == DType::f32; }

// The address of a row of any type; row_of is for those that are known to be float. As numbers, because a tensor
// without elements may be null, and null plus an offset is undefined.
inline std::uintptr_t row_address(const void* data, std::int64_t element, DType type) noexcept {
  return reinterpret_cast<std::uintptr_t>(data) + static_cast<std::uintptr_t>(bytes_of(type, element));
}
inline const char* address_of(const Tensor& t, std::int64_t batch, std::int64_t head, std::int64_t row) noexcept {
  const std::int64_t element = batch * t.batch_stride + head * t.head_stride + row * t.row_stride;
  return reinterpret_cast<const char*>(row_address(t.data, element, t.dtype));
}
inline char* address_of(const Output& t, std::int64_t batch, std::int64_t head, std::int64_t row) noexcept {
  const std::int64_t element = batch * t.batch_stride + head * t.head_stride + row * t.row_stride;
  return reinterpret_cast<char*>(row_address(t.data, element, t.dtype));
}

// The element of a mask, and of a bias.
inline const std::uint8_t* address_of(
    const Mask& x, std::int64_t item, std::int64_t head, std::int64_t query, std::int64_t key) noexcept {
  return x.data + item * x.batch_stride + head * x.head_stride + query * x.row_stride + key * x.column_stride;
}
inline const char* address_of(
    const Bias& x, std::int64_t item, std::int64_t head, std::int64_t query, std::int64_t key) noexcept {
  return static_cast<const char*>(x.data) +
      size_of(x.dtype) * (item * x.batch_stride + head * x.head_stride + query * x.row_stride + key * x.column_stride);
}

inline const float* row_of(const Tensor& t, std::int64_t batch, std::int64_t head, std::int64_t row) noexcept {
  return reinterpret_cast<const float*>(address_of(t, batch, head, row));
}
inline float* row_of(const Output& t, std::int64_t batch, std::int64_t head, std::int64_t row) noexcept {
  return reinterpret_cast<float*>(address_of(t, batch, head, row));
}

}  // namespace attn
