// The product of a query row and a key row in double, where neither a product nor a sum of floats can overflow. Also
// the float32 product, to see whether it overflows.
#pragma once

#include <cstdint>

#include "call/problem.hpp"
#include "simd/kernels.hpp"

namespace attn::wide_row {

// Elements first .. first + count of a row x of `type` as float: where they stand, or widened into `wide`.
const float* as_float(
    const simd::Kernels& kernels, const char* x, DType type, std::int64_t first, std::int64_t count,
    float* wide) noexcept;

// A query row and a key row of head_dim elements.
struct Factors {
  const simd::Kernels& kernels;
  const char* query;
  const char* key;
  DType query_type, key_type;
  std::int64_t head_dim;
};

// q . k in double.
double exact_product(const Factors& f) noexcept;

// q . k by the float32 chain of the kernels.
float float_product(const Factors& f) noexcept;

// max |x|; not finite if an element is not.
float largest_of(const simd::Kernels& kernels, const char* x, DType type, std::int64_t count) noexcept;

}  // namespace attn::wide_row
