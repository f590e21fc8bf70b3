// Sums and products that stop at the largest number and do not wrap around. For sizes of memory (SIZE_MAX, which no
// allocation can serve), positions among keys, counts.
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

// The same for counts of int64. Factors are not negative.
template <class... Factor>
std::int64_t saturating_count(Factor... factor) noexcept {
  const std::size_t product = saturating_product(factor...);
  constexpr std::size_t largest = std::numeric_limits<std::int64_t>::max();
  return static_cast<std::int64_t>(product < largest ? product : largest);
}

inline std::int64_t saturating_add(std::int64_t a, std::int64_t b) noexcept {
  std::int64_t c;
  if (!__builtin_add_overflow(a, b, &c)) return c;
  return a < 0 ? std::numeric_limits<std::int64_t>::min() : std::numeric_limits<std::int64_t>::max();
}

constexpr std::int64_t round_up(std::int64_t n, std::int64_t step) noexcept { return (n + step - 1) / step * step; }
// n / step, rounded up; without the sum that could overflow.
constexpr std::int64_t ceil_divide(std::int64_t n, std::int64_t step) noexcept { return n / step + (n % step != 0); }

}  // namespace attn
