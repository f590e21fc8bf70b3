// Projections y = x W + b by the BLAS, and the memory of their results.
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

// to[i][j] = W[i][j] for W[in, out], stored in `layout`; the rows of `to` are `stride` floats apart.
void copy_weights(
    const float* w, WeightLayout layout, std::int64_t in, std::int64_t out, float* to, std::int64_t stride);

// W[in, out] and b[out], which may be empty.
struct Linear {
  std::int64_t in, out;
  const std::vector<float>& w;
  const std::vector<float>& b;
};

// y[rows, out] = x[rows, in] W + b.
void project(const Linear& linear, const float* x, std::int64_t rows, float* y);

}  // namespace attn
