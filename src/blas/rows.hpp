// A block of query rows of one head on the BLAS path, and the steps that it goes through.
#pragma once

#include <cstdint>

#include "blas/blas.hpp"
#include "call/problem.hpp"
#include "simd/kernels.hpp"

namespace attn::blas_path {

// Query rows of one pair of products. Under causal, keys that no row of the block sees are not multiplied.
inline constexpr std::int64_t row_block = 256;

using blas::Matrix;

// Query rows first .. first + count of one head. Keys and values are counted from the sequence's first.
struct Rows {
  const Problem& problem;
  const simd::Kernels& kernels;
  Sequence sequence;
  std::int64_t head, first, count;
  Matrix<const float> query, key, value;
  Matrix<float> weights, output;  // weights: products, then scores, then weights
  KeyRange range[row_block] = {};
  KeyRange all{}, common{};  // the keys that some row sees, that every row sees (masks left aside)
  bool biased[row_block] = {};  // a bias changes the row's scores

  Row row(std::int64_t r) const noexcept { return {problem, kernels, sequence, head, first + r, biased[r]}; }
  bool unmasked(std::int64_t r, std::int64_t j) const noexcept {
    return problem.visibility.unmasked(sequence, head, first + r, j);
  }
};

// What the softmax of each row gave, in the units of the exponent's scale.
struct Softmax {
  double scale;
  float max[row_block], sum[row_block];
};

// output = softmax(query key^T * scale) value, and what else is asked for, for one block of rows. Adds each key's
// weights to key_sums[key_length] where sums are asked for.
void attend(Rows& rows, float* key_sums) noexcept;

// Makes scores of the products in rows.weights, by the steps and the mask, and copies them where scores are asked for.
void step_scores(const Rows& rows) noexcept;

// output = weights value, over the keys that each row sees.
void multiply_values(const Rows& rows) noexcept;

}  // namespace attn::blas_path
