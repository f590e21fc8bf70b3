// Tensors that are read and written in place. They own nothing.
#pragma once

#include "attn/macros_off.h"
// No macro has a name that stands below, until macros_on.h.
#include <cstdint>

#include "attn/dtype.hpp"

namespace attn {

template <class T>
inline constexpr DType dtype_of = T::is_no_element_type;
template <>
inline constexpr DType dtype_of<float> = DType::f32;
template <>
inline constexpr DType dtype_of<f16> = DType::f16;
template <>
inline constexpr DType dtype_of<bf16> = DType::bf16;
template <>
inline constexpr DType dtype_of<std::int8_t> = DType::i8;
template <>
inline constexpr DType dtype_of<q8_0> = DType::q8_0;

// A [batch, heads, rows, columns] tensor. Strides are in elements; columns are contiguous. What stands transposed, as
// values do in ggml's caches without flash attention, is turned first (tests/examples/transposed_values.cpp).
// Element (b, h, r, c) is data[b * batch_stride + h * head_stride + r * row_stride + c].
// A stride of 0 broadcasts; the stride of a dimension of size 1 is never used. Any alignment that suits the element.
// data may be null where the tensor has no elements.
struct Tensor {
  const void* data = nullptr;
  DType dtype = DType::f32;
  std::int64_t batch_stride = 0;
  std::int64_t head_stride = 0;
  std::int64_t row_stride = 0;
};

// The same for results. No two elements may share an address, so a stride of 0 is an error where the size is above 1. A
// result may lie between the elements of another tensor. What is stored as f16 or bf16 is rounded once from the float32
// result, to nearest, ties to even.
struct Output {
  void* data = nullptr;
  DType dtype = DType::f32;
  std::int64_t batch_stride = 0;
  std::int64_t head_stride = 0;
  std::int64_t row_stride = 0;

  // What one call wrote is what the next one reads; and bhtd() of a non-const pointer serves as an input too.
  operator Tensor() const noexcept { return {data, dtype, batch_stride, head_stride, row_stride}; }
};

// A float for each row of an i8 tensor [batch, heads, rows, columns]. Element (b, h, r, c) stands for
//   the stored integer * data[b * batch_stride + h * head_stride + r * row_stride].
// Strides are in floats; 0 broadcasts, so dense scales of [heads, rows] are {data, heads * rows, rows, 1}. Any float; a
// NaN makes its row NaN. With pages, batch_stride is the distance from page to page, as in the tensor.
struct Scales {
  const float* data = nullptr;
  std::int64_t batch_stride = 0;
  std::int64_t head_stride = 0;
  std::int64_t row_stride = 0;
};

// The same for a result.
struct MutableScales {
  float* data = nullptr;
  std::int64_t batch_stride = 0;
  std::int64_t head_stride = 0;
  std::int64_t row_stride = 0;

  // What append() wrote is what attention() reads.
  operator Scales() const noexcept { return {data, batch_stride, head_stride, row_stride}; }
};

// How the keys of a cache stand in memory.
enum class KeyLayout : std::int32_t {
  rows = 0,  // [batch, kv_heads, key, head_dim]
  // [batch, kv_heads, key / 16, head_dim, 16]: sixteen keys side by side, as they are multiplied. row_stride is the
  // distance from panel to panel, in elements. The last panel is whole, too: a capacity is rounded up to 16 keys, and
  // what stands in place of keys that are not in use has no influence. Element (b, h, j, c) is
  //   data[b * batch_stride + h * head_stride + j / 16 * row_stride + c * 16 + j % 16]
  // so such tensors are made by key_panels(), not by bhtd(). Results have the bits of the same keys in rows.
  // It pays where one query after the other reads the cache: with one query head for each KV head, 64 keys or more and
  // all of it in the CPU's caches (f32, Zen 3, AVX2) a token took 0.7 to 0.9 of the time of rows. A prefill packs no
  // keys.
  panels = 1,
};

// The rows that a cache of keys in panels has room for: `capacity` rounded up to whole panels. It takes batch *
// kv_heads * panel_rows(capacity) * head_dim elements.
constexpr std::int64_t panel_rows(std::int64_t capacity) noexcept { return (capacity + 15) / 16 * 16; }

// Dense [batch, heads, rows, columns], of float, f16, bf16, int8_t or q8_0; sizes count numbers, of q8_0 too,
// which has 32 to a block.
template <class T>
inline Tensor bhtd(const T* data, std::int64_t heads, std::int64_t rows, std::int64_t columns) noexcept {
  return {data, dtype_of<T>, heads * rows * columns, rows * columns, columns};
}
template <class T>
inline Output bhtd(T* data, std::int64_t heads, std::int64_t rows, std::int64_t columns) noexcept {
  return {data, dtype_of<T>, heads * rows * columns, rows * columns, columns};
}

// Dense [batch, rows, heads, columns]: what a projection writes.
template <class T>
inline Tensor bthd(const T* data, std::int64_t heads, std::int64_t rows, std::int64_t columns) noexcept {
  return {data, dtype_of<T>, rows * heads * columns, columns, heads * columns};
}
template <class T>
inline Output bthd(T* data, std::int64_t heads, std::int64_t rows, std::int64_t columns) noexcept {
  return {data, dtype_of<T>, rows * heads * columns, columns, heads * columns};
}

// Dense keys in panels, [batch, heads, rows / 16 rounded up, columns, 16]: with KeyLayout::panels. In pages `rows` is
// page_length.
template <class T>
inline Tensor key_panels(const T* data, std::int64_t heads, std::int64_t rows, std::int64_t columns) noexcept {
  return {data, dtype_of<T>, heads * panel_rows(rows) * columns, panel_rows(rows) * columns, 16 * columns};
}
template <class T>
inline Output key_panels(T* data, std::int64_t heads, std::int64_t rows, std::int64_t columns) noexcept {
  return {data, dtype_of<T>, heads * panel_rows(rows) * columns, panel_rows(rows) * columns, 16 * columns};
}

// Boolean mask: 1 byte an element, non-zero = may attend (as PyTorch's and ONNX's bool masks; not "is masked").
// [batch, query_heads, query, key], or as many columns as mask_columns says; four strides in elements, 0 broadcasts;
// read in place. Null data: none.
struct Mask {
  const std::uint8_t* data = nullptr;
  std::int64_t batch_stride = 0;
  std::int64_t head_stride = 0;
  std::int64_t row_stride = 0;
  std::int64_t column_stride = 0;
};

// Additive bias on the scaled and capped scores: s <- s + head_factors[h] * bias, rounded once. Of f32, f16 or bf16.
// Shape and strides as Mask.
// -inf excludes the key as a mask does, whatever the factor. It has no influence, and costs what it costs under a mask.
// A row whose bias is 0 or -inf for all keys that it sees gives the bits of the boolean mask.
struct Bias {
  const void* data = nullptr;
  DType dtype = DType::f32;
  std::int64_t batch_stride = 0;
  std::int64_t head_stride = 0;
  std::int64_t row_stride = 0;
  std::int64_t column_stride = 0;
  // Optional: [query_heads], a slope for each head where one bias serves them all, as in ALiBi. Null: 1. Not read
  // without data, and without effect in a row of 0 and -inf.
  const float* head_factors = nullptr;
};

}  // namespace attn

#include "attn/macros_on.h"
