// Projection::tiles: weights packed for the library's own kernels, and their product spread over the caller's threads.
#pragma once

#include <cstddef>
#include <cstdint>

#include "attn/layers.hpp"
#include "layers/projection.hpp"

namespace attn::tiles {

// Columns as they are packed: whole panels.
std::int64_t packed_columns(std::int64_t columns) noexcept;

// Columns first .. first + count of packed weights are w[in, count], stored in `layout`. Any first.
void pack(
    const float* w, WeightLayout layout, std::int64_t in, std::int64_t first, std::int64_t count,
    float* packed) noexcept;

// Columns of packed weights, from a whole panel on.
struct Panels {
  const float* w;  // [packed columns / column_step, in, column_step]
  const float* bias;  // [packed columns]
  std::int64_t in;
  std::int64_t columns;
};

// y[r][n] = x[r] W[:, n] + bias[n] for n in [0, columns). No bit depends on `parallel`, which may be null.
void multiply(const Panels& panels, const Rows& rows, const Parallel* parallel);

}  // namespace attn::tiles
