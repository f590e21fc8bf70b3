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

// The address of a row of any type; row_of is for those that are known to be float.
inline const char* address_of(const Tensor& t, std::int64_t batch, std::int64_t head, std::int64_t row) noexcept {
  return static_cast<const char*>(t.data) +
         size_of(t.dtype) * (batch * t.batch_stride + head * t.head_stride + row * t.row_stride);
}
inline char* address_of(const Output& t, std::int64_t batch, std::int64_t head, std::int64_t row) noexcept {
  return static_cast<char*>(t.data) +
         size_of(t.dtype) * (batch * t.batch_stride + head * t.head_stride + row * t.row_stride);
}

inline const float* row_of(const Tensor& t, std::int64_t batch, std::int64_t head, std::int64_t row) noexcept {
  return static_cast<const float*>(t.data) + batch * t.batch_stride + head * t.head_stride + row * t.row_stride;
}
inline float* row_of(const Output& t, std::int64_t batch, std::int64_t head, std::int64_t row) noexcept {
  return static_cast<float*>(t.data) + batch * t.batch_stride + head * t.head_stride + row * t.row_stride;
}

}  // namespace attn
