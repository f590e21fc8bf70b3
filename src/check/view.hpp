// A tensor argument with its name: does it fit memory, do its elements share addresses, does it overlap another?
#pragma once

#include <cstddef>
#include <cstdint>

#include "attn/attention.hpp"
#include "attn/status.hpp"
#include "call/addresses.hpp"

namespace attn::check {

inline constexpr std::int64_t max_elements = std::int64_t{1} << 60;  // of 4 bytes: what an address can hold

// "<name> <rule>, got <value>".
Status bad(const char* name, std::int64_t value, const char* rule) noexcept;

// A [batch, heads, rows, columns] view with its name and where its elements stand.
struct View {
  const char* name;
  const char* data;
  std::int64_t size[4];  // batch, heads, rows, columns
  std::int64_t stride[4];  // elements; of the columns 1 but in masks and biases
  std::int64_t element_bytes = 4;
  std::uintptr_t begin = 0, end = 0;  // addresses of the first element and past the last; 0 and 0 if there are none

  // Not given, and nothing of it is wanted: most of what a call may take.
  bool absent() const noexcept { return !data && size[3] == 0; }
  bool empty() const noexcept { return size[0] == 0 || size[1] == 0 || size[2] == 0 || size[3] == 0; }
};

// Fills begin and end; the element count and every offset must fit.
Status measure(View& v) noexcept;
// Elements of a result must not share an address. Of measured views.
Status distinct_elements(const View& v) noexcept;
// Of measured views: a result may lie between another argument's elements, but not share a byte (refused where
// StridedSum cannot tell). `disjoint` is inline, because a call asks it of fifty pairs: 0.8 us of the 8 that 64 x 64 x
// 32 takes.
Status overlap(const View& result, const View& other) noexcept;
inline Status disjoint(const View& result, const View& other) noexcept {
  return result.end <= other.begin || other.end <= result.begin ? Status() : overlap(result, other);
}

// Measures all views of a call. No result may share a byte with an input, another result or itself.
template <std::size_t Inputs, std::size_t Results>
Status all_apart(View (&inputs)[Inputs], View (&results)[Results]) noexcept {
  for (View& v : inputs)
    if (v.absent())
      continue;
    else if (Status s = measure(v); !s.ok())
      return s;
  for (View& v : results) {
    if (v.absent()) continue;
    if (Status s = measure(v); !s.ok()) return s;
    if (Status s = distinct_elements(v); !s.ok()) return s;
    for (const View& input : inputs)
      if (Status s = disjoint(v, input); !s.ok()) return s;
    for (const View* earlier = results; earlier < &v; ++earlier)
      if (Status s = disjoint(v, *earlier); !s.ok()) return s;
  }
  return {};
}

// An Output converts to a Tensor. Of q8_0 the elements are blocks.
inline View view(
    const char* name, const Tensor& t, std::int64_t b, std::int64_t h, std::int64_t r, std::int64_t c) noexcept {
  const std::int64_t n = t.dtype == DType::q8_0 ? q8_0_block : 1;
  return {
      name,
      static_cast<const char*>(t.data),
      {b, h, r, c / n},
      {t.batch_stride / n, t.head_stride / n, t.row_stride / n, 1},
      bytes_of(t.dtype, n)};
}
// Of scales: one column.
inline View view(const char* name, const Scales& s, std::int64_t b, std::int64_t h, std::int64_t r) noexcept {
  return {
      name,
      reinterpret_cast<const char*>(s.data),
      {b, h, r, s.data ? 1 : 0},
      {s.batch_stride, s.head_stride, s.row_stride, 1}};
}
// A mask or a bias of that many columns, of elements of that size; none has no elements.
template <class Quad>
inline View view(
    const char* name, const Quad& x, std::int64_t element_bytes, const AttentionArgs& a,
    std::int64_t columns) noexcept {
  return {
      name,
      static_cast<const char*>(static_cast<const void*>(x.data)),
      {a.batch, a.query_heads, a.query_length, x.data ? columns : 0},
      {x.batch_stride, x.head_stride, x.row_stride, x.column_stride},
      element_bytes};
}
// A table of rows, `stride` elements apart, or none.
template <class T>
inline View view(
    const char* name, const T* data, std::int64_t rows, std::int64_t stride, std::int64_t columns) noexcept {
  return {name, reinterpret_cast<const char*>(data), {1, 1, rows, data ? columns : 0}, {0, 0, stride, 1}, sizeof *data};
}
// An array, or none.
template <class T>
inline View view(const char* name, const T* data, std::int64_t count) noexcept {
  return {name, reinterpret_cast<const char*>(data), {1, 1, 1, data ? count : 0}, {0, 0, 0, 1}, sizeof *data};
}

}  // namespace attn::check
