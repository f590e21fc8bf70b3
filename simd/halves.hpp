// Floats as bf16; the end of a row of halves, read without touching what stands behind it: no instruction set here has
// a masked load of 16 bits, and on the way over the stack every load waits for the stores before it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace attn::simd {
namespace {

// Nearest, ties to even; a NaN becomes 0x7fc0.
inline std::uint16_t to_bf16(float x) {
  std::uint32_t u;
  __builtin_memcpy(&u, &x, 4);
  if (x != x) return 0x7fc0;
  return static_cast<std::uint16_t>((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

// Sixteen halves, four in a word, the first in its lowest bits.
struct Halves {
  std::uint64_t word[4];
};

// The first n of four halves, n at least 1; the others are 0.
inline std::uint64_t first_of_four(const std::uint16_t* p, std::ptrdiff_t n) {
  std::uint64_t word = p[0];
  if (n >= 4) {
    __builtin_memcpy(&word, p, sizeof word);
    return word;
  }
  if (n > 1) word |= static_cast<std::uint64_t>(p[1]) << 16;
  if (n > 2) word |= static_cast<std::uint64_t>(p[2]) << 32;
  return word;
}

// The first n of sixteen halves, 1 <= n <= 16; the others are 0. A word that is not whole is read from the row's end
// back.
inline Halves first_halves(const std::uint16_t* p, std::ptrdiff_t n) {
  Halves x{};
  x.word[0] = first_of_four(p, n);
#pragma GCC unroll 4
  for (int i = 1; i < 4; ++i) {
    const std::ptrdiff_t left = n - 4 * i;
    if (left <= 0) break;
    __builtin_memcpy(&x.word[i], left >= 4 ? p + 4 * i : p + n - 4, sizeof x.word[i]);
    if (left < 4) x.word[i] >>= 16 * (4 - left);
  }
  return x;
}

}  // namespace
}  // namespace attn::simd
