// Sixteen float lanes as plain C++: the definition that every other lanes_*.hpp must equal bit for bit.
// Needs no instruction set; __builtin_fmaf is the C library's fmaf, one rounding, where the CPU has no FMA.
#pragma once

#include <cstddef>
#include <cstdint>

#include "bytes.hpp"
#include "halves.hpp"

namespace attn::simd {
namespace {

struct ScalarLanes {
  // A tile of the streaming path has tile_rows rows and 16 * tile_vectors columns; any shape gives the same bits.
  static constexpr int tile_rows = 2;
  static constexpr int tile_vectors = 1;
  // Products with keys in place: score_rows query rows by at most most_vectors vectors of `width` keys, of which
  // step_lanes 32-bit lanes are transposed at a time; accumulators: vectors that are summed at once.
  static constexpr int score_rows = 1;
  static constexpr int step_lanes = 4;
  static constexpr int width = 16;
  static constexpr int accumulators = 1;
  static constexpr int most_vectors = 1;
  using Keys = ScalarLanes;
  // Measured on Zen 3, where each fma is a call of the C library.
  static constexpr double in_place_flop_per_ns = 0.5, packed_flop_per_ns = 0.5;
  // Vectors in memory: unrolled loops over them gain nothing, and were a sixth of the archive.
  static constexpr bool in_registers = false;
  static constexpr bool masked_loads_are_fast = true;
  static constexpr int exp_vectors = 1;

  static ScalarLanes set1(float s) {
    ScalarLanes x;
    for (float& lane : x.v) lane = s;
    return x;
  }
  static ScalarLanes zero() { return set1(0.0f); }
  static ScalarLanes load(const float* p) {
    ScalarLanes x;
    for (int i = 0; i < 16; ++i) x.v[i] = p[i];
    return x;
  }
  // Lanes from n on are 0 and their memory is not touched; 0 <= n <= 16. Likewise store_first.
  static ScalarLanes load_first(const float* p, std::ptrdiff_t n) {
    ScalarLanes x;
    for (int i = 0; i < 16; ++i) x.v[i] = i < n ? p[i] : 0.0f;
    return x;
  }
  void store(float* p) const {
    for (int i = 0; i < 16; ++i) p[i] = v[i];
  }
  void store_first(float* p, std::ptrdiff_t n) const {
    for (std::ptrdiff_t i = 0; i < n; ++i) p[i] = v[i];
  }

  // Halves, widened; and the first and the second half of every 32-bit lane, widened. (2 bytes each, little-endian.)
  [[gnu::noinline]] static ScalarLanes load_f16(const std::uint16_t* p) {
    ScalarLanes x;
    for (int i = 0; i < 16; ++i) x.v[i] = from_f16(p[i]);
    return x;
  }
  static ScalarLanes of_f16(const Halves& h) {
    std::uint16_t x[16];
    __builtin_memcpy(x, h.word, sizeof x);
    return load_f16(x);
  }
  static ScalarLanes of_bf16(const Halves& h) {
    std::uint16_t x[16];
    __builtin_memcpy(x, h.word, sizeof x);
    return load_bf16(x);
  }
  [[gnu::noinline]] static ScalarLanes load_bf16(const std::uint16_t* p) {
    ScalarLanes x;
    for (int i = 0; i < 16; ++i) x.v[i] = from_bits(static_cast<std::uint32_t>(p[i]) << 16);
    return x;
  }
  [[gnu::noinline]] ScalarLanes low_f16() const {
    ScalarLanes x;
    for (int i = 0; i < 16; ++i) x.v[i] = from_f16(to_bits(v[i]) & 0xffff);
    return x;
  }
  [[gnu::noinline]] ScalarLanes high_f16() const {
    ScalarLanes x;
    for (int i = 0; i < 16; ++i) x.v[i] = from_f16(to_bits(v[i]) >> 16);
    return x;
  }
  [[gnu::noinline]] ScalarLanes low_bf16() const {
    ScalarLanes x;
    for (int i = 0; i < 16; ++i) x.v[i] = from_bits(to_bits(v[i]) << 16);
    return x;
  }
  [[gnu::noinline]] ScalarLanes high_bf16() const {
    ScalarLanes x;
    for (int i = 0; i < 16; ++i) x.v[i] = from_bits(to_bits(v[i]) & 0xffff0000u);
    return x;
  }
  // Int8 as float; and the byte I of every 32-bit lane.
  [[gnu::noinline]] static ScalarLanes load_i8(const std::int8_t* p) {
    ScalarLanes x;
    for (int i = 0; i < 16; ++i) x.v[i] = static_cast<float>(p[i]);
    return x;
  }
  static ScalarLanes of_i8(const Bytes& b) {
    std::int8_t x[16];
    __builtin_memcpy(x, b.word, sizeof x);
    return load_i8(x);
  }
  template <int I>
  [[gnu::noinline]] ScalarLanes byte() const {
    ScalarLanes x;
    for (int i = 0; i < 16; ++i) x.v[i] = static_cast<float>(static_cast<std::int8_t>(to_bits(v[i]) >> 8 * I));
    return x;
  }
  // To nearest, ties to even; beyond 65504 infinity.
  void store_f16(std::uint16_t* p) const {
    for (int i = 0; i < 16; ++i) p[i] = to_f16(v[i]);
  }

  static std::uint32_t to_bits(float x) {
    std::uint32_t u;
    __builtin_memcpy(&u, &x, 4);
    return u;
  }
  static float from_bits(std::uint32_t u) {
    float x;
    __builtin_memcpy(&x, &u, 4);
    return x;
  }
  __attribute__((noinline)) static float from_f16(std::uint32_t h) {
    const std::uint32_t sign = (h & 0x8000u) << 16, rest = h & 0x7fffu;
    if (rest > 0x7c00u) return from_bits(sign | 0x7fc00000u | rest << 13);  // NaN, made quiet as CPUs do
    if (rest == 0x7c00u) return from_bits(sign | 0x7f800000u);
    if (rest < 0x0400u) {  // subnormal, or 0: rest * 2^-24, exact
      const float x = static_cast<float>(rest) * 0x1p-24f;
      return sign ? -x : x;
    }
    return from_bits(sign | ((rest << 13) + 0x38000000u));  // the exponent's bias is 127, not 15
  }
  static std::uint16_t to_f16(float x) {
    const std::uint32_t u = to_bits(x), sign = u >> 16 & 0x8000u, rest = u & 0x7fffffffu;
    if (rest > 0x7f800000u) return static_cast<std::uint16_t>(sign | 0x7e00u | (rest >> 13 & 0x3ffu));
    if (rest >= 0x477ff000u) return static_cast<std::uint16_t>(sign | 0x7c00u);  // from 65520 on
    if (rest < 0x38800000u) {  // below 2^-14: subnormal. Adding 2^-1 leaves units of 2^-24, rounded, in the low bits.
      return static_cast<std::uint16_t>(sign | (to_bits(from_bits(rest) + 0.5f) - 0x3f000000u));
    }
    const std::uint32_t rebased = rest - 0x38000000u;
    return static_cast<std::uint16_t>(sign | ((rebased + 0xfffu + (rebased >> 13 & 1u)) >> 13));
  }
  // Bit i set where p[i] is not 0.
  static std::uint32_t nonzero(const std::uint8_t* p) {
    std::uint32_t bits = 0;
    for (int i = 0; i < 16; ++i) bits |= static_cast<std::uint32_t>(p[i] != 0) << i;
    return bits;
  }

  float v[16];
};

// x, which a compiler should hold in a register. Only where there are registers enough for the constants of exp.
inline ScalarLanes in_register(ScalarLanes x) { return x; }

inline ScalarLanes operator+(ScalarLanes a, ScalarLanes b) {
  for (int i = 0; i < 16; ++i) a.v[i] = a.v[i] + b.v[i];
  return a;
}
inline ScalarLanes operator-(ScalarLanes a, ScalarLanes b) {
  for (int i = 0; i < 16; ++i) a.v[i] = a.v[i] - b.v[i];
  return a;
}
inline ScalarLanes operator*(ScalarLanes a, ScalarLanes b) {
  for (int i = 0; i < 16; ++i) a.v[i] = a.v[i] * b.v[i];
  return a;
}
// a * b + c with one rounding.
inline ScalarLanes fma(ScalarLanes a, ScalarLanes b, ScalarLanes c) {
  for (int i = 0; i < 16; ++i) c.v[i] = __builtin_fmaf(a.v[i], b.v[i], c.v[i]);
  return c;
}
// a * b - c with one rounding.
inline ScalarLanes fms(ScalarLanes a, ScalarLanes b, ScalarLanes c) {
  for (int i = 0; i < 16; ++i) c.v[i] = __builtin_fmaf(a.v[i], b.v[i], -c.v[i]);
  return c;
}
inline ScalarLanes operator/(ScalarLanes a, ScalarLanes b) {
  for (int i = 0; i < 16; ++i) a.v[i] = a.v[i] / b.v[i];
  return a;
}
// b where a is NaN: with the running maximum as b, it never becomes NaN. (A NaN score is not lost: its
// exponential is NaN, and so is the sum.)
inline ScalarLanes max(ScalarLanes a, ScalarLanes b) {
  for (int i = 0; i < 16; ++i) b.v[i] = a.v[i] > b.v[i] ? a.v[i] : b.v[i];
  return b;
}

// 0 where t < bound, x elsewhere; where t is NaN x stays.
inline ScalarLanes zero_where_less(ScalarLanes x, ScalarLanes t, ScalarLanes bound) {
  for (int i = 0; i < 16; ++i) x.v[i] = t.v[i] < bound.v[i] ? 0.0f : x.v[i];
  return x;
}
// a where t < bound, b elsewhere and where t is NaN.
inline ScalarLanes select_less(ScalarLanes t, ScalarLanes bound, ScalarLanes a, ScalarLanes b) {
  for (int i = 0; i < 16; ++i) b.v[i] = t.v[i] < bound.v[i] ? a.v[i] : b.v[i];
  return b;
}
// x in lanes whose bit is set, fill elsewhere; lane 0 is bit 0.
inline ScalarLanes keep_bits(ScalarLanes x, std::uint32_t bits, ScalarLanes fill) {
  for (int i = 0; i < 16; ++i) x.v[i] = bits >> i & 1 ? x.v[i] : fill.v[i];
  return x;
}
// Bit i set where lane i of both is equal: nowhere where one is NaN.
inline std::uint32_t equal_bits(ScalarLanes a, ScalarLanes b) {
  std::uint32_t bits = 0;
  for (int i = 0; i < 16; ++i) bits |= static_cast<std::uint32_t>(a.v[i] == b.v[i]) << i;
  return bits;
}
// x in lanes [begin, end), fill elsewhere; 0 <= begin, end <= 16.
inline ScalarLanes keep_range(ScalarLanes x, std::ptrdiff_t begin, std::ptrdiff_t end, ScalarLanes fill) {
  for (int i = 0; i < 16; ++i) x.v[i] = i >= begin && i < end ? x.v[i] : fill.v[i];
  return x;
}
// Every NaN becomes 0x7fc00000: CPUs differ in the sign and payload of the NaN that they make.
inline ScalarLanes canonical_nan(ScalarLanes x) {
  for (float& lane : x.v) lane = lane == lane ? lane : __builtin_nanf("");
  return x;
}
// x rounded to bf16, to nearest, ties to even; every NaN becomes 0x7fc00000.
inline ScalarLanes round_to_bf16(ScalarLanes x) {
  for (float& lane : x.v) lane = ScalarLanes::from_bits(static_cast<std::uint32_t>(to_bf16(lane)) << 16);
  return x;
}
// x * 2^n for a whole n in [-126, 0]. Instruction sets take n or `shifted`, whose low bits hold n as an integer
// (exp.hpp).
// A product, because adding n to the bits of x could lose a NaN.
inline ScalarLanes scale_by_power(ScalarLanes x, ScalarLanes, ScalarLanes shifted) {
  for (int i = 0; i < 16; ++i) {
    std::uint32_t bits;
    float power;
    __builtin_memcpy(&bits, &shifted.v[i], 4);
    bits = (bits << 23) + 0x3f800000u;  // the exponent field of 2^n
    __builtin_memcpy(&power, &bits, 4);
    x.v[i] = x.v[i] * power;
  }
  return x;
}

// Is any lane NaN?
inline bool any_nan(ScalarLanes x) {
  bool any = false;
  for (int i = 0; i < 16; ++i) any |= x.v[i] != x.v[i];
  return any;
}

// The fixed tree: lanes 8 apart, then 4, 2, 1.
inline float reduce_add(ScalarLanes x) {
  for (int half = 8; half > 0; half /= 2)
    for (int i = 0; i < half; ++i) x.v[i] = x.v[i] + x.v[i + half];
  return x.v[0];
}
inline float reduce_max(ScalarLanes x) {
  for (int half = 8; half > 0; half /= 2)
    for (int i = 0; i < half; ++i) x.v[i] = x.v[i] > x.v[i + half] ? x.v[i] : x.v[i + half];
  return x.v[0];
}

// Sixteen rows, `step` bytes apart, at any alignment: x[i] = their 32-bit lane i. Four lanes, or as many as step_lanes.
inline void transpose_rows(const char* rows, std::ptrdiff_t step, ScalarLanes (&x)[4]) {
  for (int j = 0; j < 16; ++j) {
    float lanes[4];
    __builtin_memcpy(lanes, rows + j * step, sizeof lanes);
    for (int i = 0; i < 4; ++i) x[i].v[j] = lanes[i];
  }
}

}  // namespace
}  // namespace attn::simd
