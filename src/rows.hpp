// Where the rows of a [batch, heads, rows, columns] tensor stand.
#pragma once

#include <cstdint>

#include "attn/tensor.hpp"
#include "simd/kernels.hpp"

namespace attn {

constexpr std::int64_t size_of(DType type) noexcept { return type == DType::f32 ? 4 : 2; }

constexpr simd::Storage storage_of(DType type) noexcept { return static_cast<simd::Storage>(type); }
static_assert(storage_of(DType::f32) == simd::Storage::f32 && storage_of(DType::f16) == simd::Storage::f16 &&
              storage_of(DType::bf16) == simd::Storage::bf16);

// The address of a row of any type; row_of is for those that are known to be float. As numbers, because a tensor
// without elements may be null, and null plus an offset is undefined.
inline std::uintptr_t row_address(const void* data, std::int64_t element, DType type) noexcept {
  return reinterpret_cast<std::uintptr_t>(data) + static_cast<std::uintptr_t>(element * size_of(type));
}
inline const char* address_of(const Tensor& t, std::int64_t batch, std::int64_t head, std::int64_t row) noexcept {
  const std::int64_t element = batch * t.batch_stride + head * t.head_stride + row * t.row_stride;
  return reinterpret_cast<const char*>(row_address(t.data, element, t.dtype));
}
inline char* address_of(const Output& t, std::int64_t batch, std::int64_t head, std::int64_t row) noexcept {
  const std::int64_t element = batch * t.batch_stride + head * t.head_stride + row * t.row_stride;
  return reinterpret_cast<char*>(row_address(t.data, element, t.dtype));
}

inline const float* row_of(const Tensor& t, std::int64_t batch, std::int64_t head, std::int64_t row) noexcept {
  return reinterpret_cast<const float*>(address_of(t, batch, head, row));
}
inline float* row_of(const Output& t, std::int64_t batch, std::int64_t head, std::int64_t row) noexcept {
  return reinterpret_cast<float*>(address_of(t, batch, head, row));
}

}  // namespace attn
