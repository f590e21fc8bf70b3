// The product of a query row and a key row in double, where neither a product nor a sum of floats can overflow. Also
// the float32 product, to see whether it overflows.
#pragma once

#include <cstdint>

#include "call/cache_row.hpp"
#include "call/problem.hpp"

namespace attn::wide_row {

// The cache that a query row reads.
inline CacheHead cache_of(const Row& row) noexcept {
  return {row.problem, row.kernels, row.sequence, row.problem.kv_head_of(row.head)};
}

// q . k of key j in double.
double exact_product(const Row& row, std::int64_t j) noexcept;

// q . k by the float32 chains of the kernels.
float float_product(const Row& row, std::int64_t j) noexcept;

// max |q|, and max |k| of key j; not finite if an element is not.
double largest_of_query(const Row& row) noexcept;
double largest_of_key(const Row& row, std::int64_t j) noexcept;

}  // namespace attn::wide_row
