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

// Does one of the rows r .. r + rows see a key of the span? Of a causal tile not all do.
inline bool any_sees(const Visible& v, std::ptrdiff_t r, std::ptrdiff_t rows, KeySpan span) {
  bool any = false;
  for (std::ptrdiff_t i = r; i < r + rows; ++i) any |= max(span.begin, v.begin[i]) < min(span.end, v.end[i]);
  return any;
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

// The elements of a word of bits: where they stand, or, where only [begin, end) may be read, in `edge` with zeros.
template <class T>
inline const T* whole_word(const T* x, std::ptrdiff_t begin, std::ptrdiff_t end, T (&edge)[64]) {
  if (begin <= 0 && end >= 64) return x;
  for (T& element : edge) element = 0;
  for (std::ptrdiff_t i = max(begin, 0); i < min(end, 64); ++i) edge[i] = x[i];
  return edge;
}

// allowed[0, key_block / 64): bit j set where begin <= j < end and mask[j] is not 0. Reads mask[begin, end) only.
template <class Lanes>
void mask_to_bits(const std::uint8_t* mask, std::ptrdiff_t begin, std::ptrdiff_t end, std::uint64_t* allowed) {
  for (std::ptrdiff_t w = 0; w < key_block / 64; ++w) {
    allowed[w] = 0;
    if (end <= 64 * w || begin >= 64 * w + 64) continue;
    std::uint8_t edge[64];
    const std::uint8_t* const x = whole_word(mask + 64 * w, begin - 64 * w, end - 64 * w, edge);
    for (int part = 0; part < 64; part += 16) allowed[w] |= std::uint64_t{Lanes::nonzero(x + part)} << part;
  }
}

// Clears the bits whose bias is -inf. Is every bias 0 of the bits that stay? No bit is set outside [begin, end).
template <class Lanes>
bool bias_to_bits(const float* bias, std::ptrdiff_t begin, std::ptrdiff_t end, std::uint64_t* allowed) {
  const Lanes infinite = Lanes::set1(-infinity), zero = Lanes::zero();
  std::uint64_t others = 0;  // neither 0 nor -inf
  for (std::ptrdiff_t w = begin / 64; 64 * w < end; ++w) {
    float edge[64];
    const float* const x = whole_word(bias + 64 * w, begin - 64 * w, end - 64 * w, edge);
    std::uint64_t out = 0, zeros = 0;
    for (int part = 0; part < 64; part += 16) {
      const Lanes lanes = Lanes::load(x + part);
      out |= std::uint64_t{equal_bits(lanes, infinite)} << part;
      zeros |= std::uint64_t{equal_bits(lanes, zero)} << part;
    }
    others |= allowed[w] & ~out & ~zeros;
    allowed[w] &= ~out;
  }
  return others == 0;
}

}  // namespace
}  // namespace attn::simd
