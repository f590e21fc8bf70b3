// The end of a row of int8, read without touching what stands behind it: as in halves.hpp, in general registers.
#pragma once

#include <cstddef>
#include <cstdint>

namespace attn::simd {
namespace {

// Sixteen bytes, the first in the lowest bits of word[0].
struct Bytes {
  std::uint64_t word[2];
};

// The first n of eight bytes, n at least 1; the others are 0.
inline std::uint64_t first_of_eight(const std::uint8_t* p, std::ptrdiff_t n) {
  if (n >= 8) {
    std::uint64_t word;
    __builtin_memcpy(&word, p, sizeof word);
    return word;
  }
  if (n >= 4) {  // the second half from the end back
    std::uint32_t first, last;
    __builtin_memcpy(&first, p, sizeof first);
    __builtin_memcpy(&last, p + n - 4, sizeof last);
    return first | static_cast<std::uint64_t>(last) << 8 * (n - 4);
  }
  // One, two or three: some of them twice.
  return p[0] | static_cast<std::uint64_t>(p[n / 2]) << 8 * (n / 2) |
      static_cast<std::uint64_t>(p[n - 1]) << 8 * (n - 1);
}

// The first n of sixteen bytes, 1 <= n <= 16; the others are 0.
inline Bytes first_bytes(const std::int8_t* signed_bytes, std::ptrdiff_t n) {
  const std::uint8_t* const p = reinterpret_cast<const std::uint8_t*>(signed_bytes);
  Bytes x{{first_of_eight(p, n), 0}};
  if (n > 8) {
    __builtin_memcpy(&x.word[1], p + n - 8, sizeof x.word[1]);
    x.word[1] >>= 8 * (16 - n);
  }
  return x;
}

}  // namespace
}  // namespace attn::simd
