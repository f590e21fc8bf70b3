// Projections y = x W + b over some columns of a Linear, and the memory of their results.
//
// Linear::w_ is, for
//   Projection::blas:  W[in, out], row-major
//   Projection::tiles: panels of column_step columns, [out / column_step rounded up][in][column_step], and b_ is as
//   long
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "attn/layers.hpp"

namespace attn {

// Zeros, on huge pages where the system gives them.
std::vector<float> result_floats(std::size_t count);
// Not initialised, likewise.
std::unique_ptr<float[]> scratch_floats(std::size_t count);
// Zeros, likewise, 64-byte aligned.
std::shared_ptr<float> weight_floats(std::size_t count);

// Where a range of columns that is multiplied on its own may begin: at multiples of it.
inline constexpr std::int64_t column_step = 16;

// Rows of x, dense, and where their products go: rows of y are `stride` floats apart.
struct Rows {
  const float* x;
  std::int64_t count;
  float* y;
  std::int64_t stride;
};

// Columns [first, first + count) of a Linear.
struct Columns {
  std::int64_t first, count;

  // W[in_dim, out_dim] = 0, without bias.
  static Linear zeros(std::int64_t in_dim, std::int64_t out_dim, Projection projection);

  // These columns of W are w[in_dim, count], stored in `layout`, and of the bias b[count], which may be null. Any
  // first.
  void set(Linear& linear, const float* w, const float* b, WeightLayout layout) const;

  // y[r][n] = x[r] W[:, first + n] + b[first + n] for n in [0, count). first is a multiple of column_step.
  void multiply(const Linear& linear, const Rows& rows, const Parallel* parallel) const;
};

}  // namespace attn
