// Which keys of a block each row of a tile sees, as ranges, as bits, and all rows together.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels.hpp"
#include "numbers.hpp"

namespace attn::simd {
namespace {

struct KeySpan {
  std::ptrdiff_t begin, end;
};

// The keys that any row sees.
inline KeySpan visible_keys(const Visible& v, std::ptrdiff_t rows) {
  KeySpan all{key_block, 0};
  for (std::ptrdiff_t r = 0; r < rows; ++r)
    if (v.begin[r] < v.end[r]) all = {min(all.begin, v.begin[r]), max(all.end, v.end[r])};
  return all;
}

// Does every row see exactly these keys, of which there are some?
inline bool all_see(const Visible& v, std::ptrdiff_t rows, KeySpan seen) {
  bool all = seen.begin < seen.end;
  for (std::ptrdiff_t r = 0; r < rows; ++r) all &= v.begin[r] == seen.begin && v.end[r] == seen.end;
  return all;
}

// Does a mask take keys out of row r's range?
inline bool masked(const Visible& v, std::ptrdiff_t r) { return v.allowed && v.allowed[r]; }

// The keys of `words` (bit j: key j) that stand in the vector at j.
inline std::uint32_t bits_at(const std::uint64_t* words, std::ptrdiff_t j) {
  return static_cast<std::uint32_t>(words[j / 64] >> (j % 64)) & 0xffffu;
}

// Which of the sixteen keys from j on row r sees.
inline std::uint32_t visible_bits(const Visible& v, std::ptrdiff_t r, std::ptrdiff_t j) {
  const std::ptrdiff_t begin = max(0, min(16, v.begin[r] - j)), end = max(begin, min(16, v.end[r] - j));
  const std::uint32_t range = (1u << end) - (1u << begin);
  return masked(v, r) ? range & bits_at(v.allowed[r], j) : range;
}

// Calls run(begin, end) for every run of ones in the low sixteen bits.
template <class Run>
inline void for_each_run(std::uint32_t bits, const Run& run) {
  while (bits != 0) {
    const int begin = __builtin_ctz(bits), length = __builtin_ctz(~(bits >> begin));
    run(begin, begin + length);
    bits &= ~0u << (begin + length);
  }
}

// s[j] <- -inf where bit j is not set, in the vectors of [first, end).
template <class Lanes>
inline void exclude_keys(float* s, const std::uint64_t* allowed, std::ptrdiff_t first, std::ptrdiff_t end) {
  for (std::ptrdiff_t j = first; j < end; j += 16)
    keep_bits(Lanes::load(s + j), bits_at(allowed, j), Lanes::set1(-infinity)).store(s + j);
}

// allowed[0, key_block / 64): bit j set where begin <= j < end and mask[j] is not 0. Reads mask[begin, end) only.
template <class Lanes>
void mask_to_bits(const std::uint8_t* mask, std::ptrdiff_t begin, std::ptrdiff_t end, std::uint64_t* allowed) {
  for (std::ptrdiff_t j = 0; j < key_block / 64; ++j) allowed[j] = 0;
  for (std::ptrdiff_t j = begin / 16 * 16; j < end; j += 16) {
    std::uint64_t bits;
    if (begin <= j && j + 16 <= end) {
      bits = Lanes::nonzero(mask + j);
    } else {
      std::uint8_t edge[16] = {};
      for (std::ptrdiff_t i = 0; i < 16; ++i)
        if (begin <= j + i && j + i < end) edge[i] = mask[j + i];
      bits = Lanes::nonzero(edge);
    }
    allowed[j / 64] |= bits << (j % 64);
  }
}

}  // namespace
}  // namespace attn::simd
