// Sizes of memory that stop at SIZE_MAX (which no allocation can serve) and do not wrap around.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

namespace attn {

inline std::size_t saturating_sum(std::size_t a, std::size_t b) noexcept {
  std::size_t sum;
  return __builtin_add_overflow(a, b, &sum) ? std::numeric_limits<std::size_t>::max() : sum;
}

// Factors are not negative.
template <class... Factor>
std::size_t saturating_product(Factor... factor) noexcept {
  std::size_t product = 1;
  bool over = false;
  ((over |= __builtin_mul_overflow(product, static_cast<std::size_t>(factor), &product)), ...);
  const bool zero = ((factor == 0) || ...);
  return zero ? 0 : over ? std::numeric_limits<std::size_t>::max() : product;
}

}  // namespace attn
