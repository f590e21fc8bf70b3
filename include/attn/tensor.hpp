// Tensors that are read and written in place. They own nothing.
#pragma once

#include <cstdint>

namespace attn {

// How query, key and value elements are stored. Arithmetic is always float32.
enum class DType : std::int32_t { f32 = 0, f16 = 1, bf16 = 2 };

// A [batch, heads, rows, columns] tensor. Strides are in elements; columns are contiguous.
// Element (b, h, r, c) is data[b * batch_stride + h * head_stride + r * row_stride + c].
// A stride of 0 broadcasts; the stride of a dimension of size 1 is never used. Any alignment that suits the element.
// data may be null where the tensor has no elements.
struct Tensor {
  const void* data = nullptr;
  DType dtype = DType::f32;
  std::int64_t batch_stride = 0, head_stride = 0, row_stride = 0;
};

// The same for results: float32, and elements must not overlap (so a stride of 0 is an error where the size is above
// 1).
struct Output {
  float* data = nullptr;
  std::int64_t batch_stride = 0, head_stride = 0, row_stride = 0;

  // What one call wrote is what the next one reads; and bhtd() of a non-const float* serves as an input too.
  operator Tensor() const noexcept { return {data, DType::f32, batch_stride, head_stride, row_stride}; }
};

// Dense [batch, heads, rows, columns].
inline Tensor bhtd(const float* data, std::int64_t heads, std::int64_t rows, std::int64_t columns) noexcept {
  return {data, DType::f32, heads * rows * columns, rows * columns, columns};
}
inline Output bhtd(float* data, std::int64_t heads, std::int64_t rows, std::int64_t columns) noexcept {
  return {data, heads * rows * columns, rows * columns, columns};
}

// Dense [batch, rows, heads, columns]: what a projection writes.
inline Tensor bthd(const float* data, std::int64_t heads, std::int64_t rows, std::int64_t columns) noexcept {
  return {data, DType::f32, rows * heads * columns, columns, heads * columns};
}
inline Output bthd(float* data, std::int64_t heads, std::int64_t rows, std::int64_t columns) noexcept {
  return {data, rows * heads * columns, columns, heads * columns};
}

// Boolean mask: 1 byte an element, non-zero = may attend (as PyTorch's and ONNX's bool masks; not "is masked").
// [batch, query_heads, query, key]; four strides in elements, 0 broadcasts; read in place. Null data: none.
struct Mask {
  const std::uint8_t* data = nullptr;
  std::int64_t batch_stride = 0, head_stride = 0, row_stride = 0, column_stride = 0;
};

// Additive bias, float32, on the scaled scores. Shape and strides as Mask. -inf excludes the key.
struct Bias {
  const float* data = nullptr;
  std::int64_t batch_stride = 0, head_stride = 0, row_stride = 0, column_stride = 0;
};

}  // namespace attn
