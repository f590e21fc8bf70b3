// Infinity, min, max and rounding up, as no library header may be included.
#pragma once

#include <cstddef>

namespace attn::simd {
namespace {

inline constexpr float infinity = __builtin_inff();

constexpr std::ptrdiff_t min(std::ptrdiff_t a, std::ptrdiff_t b) { return a < b ? a : b; }
constexpr std::ptrdiff_t max(std::ptrdiff_t a, std::ptrdiff_t b) { return a > b ? a : b; }
constexpr std::ptrdiff_t round_up(std::ptrdiff_t n, std::ptrdiff_t step) { return (n + step - 1) / step * step; }

}  // namespace
}  // namespace attn::simd
