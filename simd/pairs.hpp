// Products of pairs of bf16 in 32 bits, where an instruction set has an instruction for them: the chain 1, 0, 3, 2, ...
// two columns (of values: two keys) at a time, to the bit.
#pragma once

#include <cstddef>
#include <cstdint>

#include "elements.hpp"
#include "kernels.hpp"

namespace attn::simd {
namespace {

// Of lanes whose set has the instruction, in its own lanes_*.hpp:
//   multiply_add(a, b, c)     of each lane: c + a1 b1, rounded, then + a0 b0, rounded; a0, b0 in the low halves
//   join(low, high)           pairs of two vectors of widened bf16
//   store_bf16(x, p)          sixteen floats that are 0, normal or NaN, rounded to bf16
//   flushes                   subnormal factors and sums are taken for 0
// and with flushes:
//   none()                    what least() begins with
//   least(x, m)               of 16 bits each: min of m and the bits of |x|, less 1, so that a 0 is the largest
//   least_of(m)               the least of all
template <class Lanes>
struct PairProduct {
  static constexpr bool exists = false;
};

// Elements for the instruction: keys in place, and packed pairs; the last for where it may not be used.
struct bf16_in_pair {
  std::uint16_t bits;
};
struct bf16_pair {
  float both;
};
struct bf16_pair_in_turn {
  float both;
};
template <>
struct Element<bf16_in_pair> {
  static constexpr int columns = 2;
};
template <>
struct Element<bf16_pair> {
  template <class Lanes>
  static Lanes load(const bf16_pair* p) {
    return Lanes::load(&p->both);
  }
};
template <>
struct Element<bf16_pair_in_turn> {
  template <class Lanes>
  static Lanes load(const bf16_pair_in_turn* p) {
    return Lanes::load(&p->both);
  }
};
template <class T>
inline constexpr bool is_multiplied_in_turn = false;
template <>
inline constexpr bool is_multiplied_in_turn<bf16_pair_in_turn> = true;
template <class T>
inline constexpr bool is_multiplied_in_pairs = false;
template <>
inline constexpr bool is_multiplied_in_pairs<bf16_in_pair> = true;
template <>
inline constexpr bool is_multiplied_in_pairs<bf16_pair> = true;

// acc + row * column: of floats, or of pairs.
template <class T, class Lanes>
inline Lanes add_product(Lanes row, Lanes column, Lanes acc) {
  if constexpr (is_multiplied_in_pairs<T>)
    return PairProduct<Lanes>::multiply_add(row, column, acc);
  else if constexpr (is_multiplied_in_turn<T>)
    return fma(row.low_bf16(), column.low_bf16(), fma(row.high_bf16(), column.high_bf16(), acc));
  else
    return fma(row, column, acc);
}

// Least exponents, as least_of() gives them, of a row's and of keys' elements that are not 0: is every factor and every
// sum of their products 0 or at least 2^-126? Those are multiples of u = 2^(e - 7 + f - 7), e and f the exponents.
// Biased exponents 1 to 254 are of normal numbers; u >= 2^-126 is e + f >= -112, biased 142.
inline bool never_subnormal(std::uint32_t row, std::uint32_t keys) {
  const std::uint32_t e = (row + 1) >> 7, f = (keys + 1) >> 7;
  return e > 0 && f > 0 && e + f >= 142;
}

// The lesser of two that least_of() gave.
inline std::uint32_t least_bits(std::uint32_t a, std::uint32_t b) { return a < b ? a : b; }

// A number that stands between floats.
inline void put_bits(std::uint32_t bits, float* to) { __builtin_memcpy(to, &bits, sizeof bits); }
inline std::uint32_t bits_of(const float* from) {
  std::uint32_t bits;
  __builtin_memcpy(&bits, from, sizeof bits);
  return bits;
}

// The least exponent of vectors of pairs that are taken one after the other.
template <class Lanes, bool Exists = PairProduct<Lanes>::exists>
struct LeastExponent {};
template <class Lanes>
struct LeastExponent<Lanes, true> {
  using Pairs = PairProduct<Lanes>;
  void take(Lanes pairs) {
    if constexpr (Pairs::flushes) least = Pairs::least(pairs, least);
  }
  std::uint32_t value() const {
    if constexpr (Pairs::flushes) return Pairs::least_of(least);
    return 0;
  }
  Lanes least = first();

 private:
  static Lanes first() {
    if constexpr (Pairs::flushes) return Pairs::none();
    return Lanes::zero();
  }
};

// Of n pairs.
template <class Lanes>
std::uint32_t least_exponent(const float* pairs, std::ptrdiff_t n) {
  LeastExponent<Lanes> least;
  for (std::ptrdiff_t i = 0; PairProduct<Lanes>::flushes && i < n; i += 16)
    least.take(Lanes::load_first(pairs + i, min(16, n - i)));
  return least.value();
}

// May a tile use the instruction? Of pairs in place or packed; `row` of each of `rows` rows, `stride` floats apart.
template <class Lanes>
bool may_multiply_pairs(const float* row, std::ptrdiff_t stride, std::ptrdiff_t rows, std::uint32_t keys) {
  if constexpr (!PairProduct<Lanes>::flushes) return true;
  for (std::ptrdiff_t r = 0; r < rows; ++r)
    if (!never_subnormal(bits_of(row + r * stride), keys)) return false;
  return true;
}

// ---- Where they stand ----

// A copied query: its columns as floats, exchanged in pairs; then its pairs, and their least exponent.
inline std::ptrdiff_t query_pairs(std::ptrdiff_t head_dim) { return head_dim; }
inline std::ptrdiff_t query_exponent(std::ptrdiff_t head_dim) { return head_dim + (head_dim + 1) / 2; }

// A panel of keys: (head_dim + 1) / 2 rows of pairs in the room of head_dim; the last row begins with the least
// exponent. One column has no room for it, and needs no instruction.
constexpr bool panels_hold_exponent(std::ptrdiff_t head_dim) { return head_dim > 1; }

// A strip of values: (count + 1) / 2 rows of pairs of keys in the room of count rows, likewise. Where a value is not
// finite, an excluded key must not be multiplied, and the strips are floats.
template <class Lanes>
bool strips_hold_pairs(const KeyBlock& k) {
  return PairProduct<Lanes>::exists && k.packed && k.bf16_weights && k.values_finite && k.count > 1;
}

// Weights of a row: bf16 in the place of floats; their least exponent at the end.
inline constexpr std::ptrdiff_t weight_exponent = score_stride - 1;

}  // namespace
}  // namespace attn::simd
