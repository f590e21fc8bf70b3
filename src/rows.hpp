// Where the rows of a [batch, heads, rows, columns] tensor stand.
#pragma once

#include <cstdint>

#include "attn/tensor.hpp"

namespace attn {

inline const float* row_of(const Tensor& t, std::int64_t batch, std::int64_t head, std::int64_t row) noexcept {
  return static_cast<const float*>(t.data) + batch * t.batch_stride + head * t.head_stride + row * t.row_stride;
}
inline float* row_of(const Output& t, std::int64_t batch, std::int64_t head, std::int64_t row) noexcept {
  return static_cast<float*>(t.data) + batch * t.batch_stride + head * t.head_stride + row * t.row_stride;
}

}  // namespace attn
