// The fused scale - max - exp - normalize softmax on its own.
#pragma once

#include "attn/macros_off.h"
// No macro has a name that stands below, until macros_on.h.
#include <cstdint>

#include "attn/status.hpp"

namespace attn {

// y[r][j] = exp(scale * x[r][j]) / sum_j exp(scale * x[r][j]), computed with the row's maximum taken off first.
//
// x, y: [rows, columns] float32, rows x_row_stride and y_row_stride floats apart (each at least columns in absolute
// value if rows > 1), any alignment. y may be x with the same stride; any other overlap is an error.
// rows or columns of 0: nothing to do. scale: from -2^126 to 2^126; 1 if not given.
// A difference x - maximum that float32 cannot hold counts as -inf, whatever the scale.
// A row of only -inf (every key excluded) is 0. A row with a NaN, or with +inf, is NaN throughout.
// A row's sum is right to within (columns / 16 + 6) * 2^-24 of itself, and so is the sum of its results to 1.
// The same bits on every CPU. No allocation, no lock.
[[nodiscard]] Status softmax(
    const float* x, float* y, std::int64_t rows, std::int64_t columns, std::int64_t x_row_stride,
    std::int64_t y_row_stride, float scale = 1) noexcept;

}  // namespace attn

#include "attn/macros_on.h"
