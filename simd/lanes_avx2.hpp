// Sixteen float lanes in two ymm registers (AVX2 + FMA); lanes_scalar.hpp says what each operation means.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "bytes.hpp"
#include "halves.hpp"

namespace attn::simd {
namespace {

// All ones in the first n of eight lanes (n may be below 0 or above 8).
inline __m256i first8(std::ptrdiff_t n) {
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), lane);
}

inline __m128i load8(const std::uint16_t* p) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); }
inline __m128i eight(const Halves& x, int word) {
  return _mm_set_epi64x(static_cast<long long>(x.word[word + 1]), static_cast<long long>(x.word[word]));
}

// clang-format off
// The low halves of eight 32-bit lanes, then the high ones.
inline __m256i low_then_high(__m256i x) {
  const __m128i order = _mm_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15);
  return _mm256_permute4x64_epi64(_mm256_shuffle_epi8(x, _mm256_broadcastsi128_si256(order)), 0xd8);
}
inline __m256 low_f16_8(__m256i x) { return _mm256_cvtph_ps(_mm256_castsi256_si128(low_then_high(x))); }
inline __m256 high_f16_8(__m256i x) { return _mm256_cvtph_ps(_mm256_extracti128_si256(low_then_high(x), 1)); }
inline __m256 low_bf16_8(__m256i x) { return _mm256_castsi256_ps(_mm256_slli_epi32(x, 16)); }
inline __m256 high_bf16_8(__m256i x) {
  return _mm256_castsi256_ps(_mm256_and_si256(x, _mm256_set1_epi32(-65536)));
}
inline __m256 i8_8(__m128i x) { return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(x)); }
// Byte I of eight 32-bit lanes: to the top, and down again with its sign.
template <int I>
inline __m256 byte_8(__m256 x) {
  const __m256i top = _mm256_slli_epi32(_mm256_castps_si256(x), 24 - 8 * I);
  return _mm256_cvtepi32_ps(_mm256_srai_epi32(top, 24));
}

// Eight keys in one register: with sixteen, a product with keys in place would not fit into the registers.
struct Avx2Keys {
  static constexpr int width = 8;
  static constexpr int step_lanes = 4;
  // Accumulators under way: 4 query rows x 2 vectors of keys, or 2 x 4, or 1 x 4.
  static constexpr int accumulators = 8;
  static constexpr int most_vectors = 4;
  static constexpr bool in_registers = true;

  static Avx2Keys zero() { return {_mm256_setzero_ps()}; }
  static Avx2Keys set1(float s) { return {_mm256_set1_ps(s)}; }
  void store(float* p) const { _mm256_storeu_ps(p, v); }
  Avx2Keys low_f16() const { return {low_f16_8(_mm256_castps_si256(v))}; }
  Avx2Keys high_f16() const { return {high_f16_8(_mm256_castps_si256(v))}; }
  Avx2Keys low_bf16() const { return {low_bf16_8(_mm256_castps_si256(v))}; }
  Avx2Keys high_bf16() const { return {high_bf16_8(_mm256_castps_si256(v))}; }
  template <int I>
  Avx2Keys byte() const { return {byte_8<I>(v)}; }

  __m256 v;
};

inline Avx2Keys fma(Avx2Keys a, Avx2Keys b, Avx2Keys c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }

// 4x4 inside 128-bit halves. The upper halves come from memory: two thirds of the shuffles of whole registers.
inline void transpose_rows(const char* rows, std::ptrdiff_t step, Avx2Keys (&x)[4]) {
  __asm__("" : "+r"(rows));  // gcc would keep an address for each row, in memory
  const char* const upper = rows + 4 * step;
  const auto load = [&](std::ptrdiff_t i) {
    const __m128 low = _mm_loadu_ps(reinterpret_cast<const float*>(rows + i * step));
    const __m128 high = _mm_loadu_ps(reinterpret_cast<const float*>(upper + i * step));
    return _mm256_insertf128_ps(_mm256_castps128_ps256(low), high, 1);
  };
  const __m256 r0 = load(0), r1 = load(1), r2 = load(2), r3 = load(3);
  const __m256 a = _mm256_unpacklo_ps(r0, r1), b = _mm256_unpackhi_ps(r0, r1);
  const __m256 c = _mm256_unpacklo_ps(r2, r3), d = _mm256_unpackhi_ps(r2, r3);
  x[0] = {_mm256_shuffle_ps(a, c, 0x44)};
  x[1] = {_mm256_shuffle_ps(a, c, 0xee)};
  x[2] = {_mm256_shuffle_ps(b, d, 0x44)};
  x[3] = {_mm256_shuffle_ps(b, d, 0xee)};
}

struct Avx2Lanes {
  using Keys = Avx2Keys;
  // Tile shape, 6 rows x 16 columns: 12 accumulators, 2 column registers and 1 broadcast of the 16 registers.
  static constexpr int tile_rows = 6;
  static constexpr int tile_vectors = 1;
  static constexpr int score_rows = 4;
  // Zen 3 reached 15 to 40 and 50 to 70, newer ones reach more.
  static constexpr double in_place_flop_per_ns = 40, packed_flop_per_ns = 80;
  static constexpr bool in_registers = true;
  static constexpr bool masked_loads_are_fast = false;
  static constexpr int exp_vectors = 1;

  static Avx2Lanes zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
  static Avx2Lanes set1(float s) { return {_mm256_set1_ps(s), _mm256_set1_ps(s)}; }
  static Avx2Lanes load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
  static Avx2Lanes load_first(const float* p, std::ptrdiff_t n) {
    return {_mm256_maskload_ps(p, first8(n)), n > 8 ? _mm256_maskload_ps(p + 8, first8(n - 8)) : _mm256_setzero_ps()};
  }
  void store(float* p) const { _mm256_storeu_ps(p, lo); _mm256_storeu_ps(p + 8, hi); }
  void store_first(float* p, std::ptrdiff_t n) const {
    _mm256_maskstore_ps(p, first8(n), lo);
    if (n > 8) _mm256_maskstore_ps(p + 8, first8(n - 8), hi);
  }

  static Avx2Lanes of_f16(__m128i a, __m128i b) { return {_mm256_cvtph_ps(a), _mm256_cvtph_ps(b)}; }
  static Avx2Lanes of_bf16(__m128i a, __m128i b) {
    return {low_bf16_8(_mm256_cvtepu16_epi32(a)), low_bf16_8(_mm256_cvtepu16_epi32(b))};
  }
  static Avx2Lanes load_f16(const std::uint16_t* p) { return of_f16(load8(p), load8(p + 8)); }
  static Avx2Lanes load_bf16(const std::uint16_t* p) { return of_bf16(load8(p), load8(p + 8)); }
  static Avx2Lanes of_f16(const Halves& x) { return of_f16(eight(x, 0), eight(x, 2)); }
  static Avx2Lanes of_bf16(const Halves& x) { return of_bf16(eight(x, 0), eight(x, 2)); }
  static Avx2Lanes load_i8(const std::int8_t* p) {
    return {
        i8_8(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))),
        i8_8(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p + 8)))};
  }
  static Avx2Lanes of_i8(const Bytes& x) {
    return {
        i8_8(_mm_cvtsi64_si128(static_cast<long long>(x.word[0]))),
        i8_8(_mm_cvtsi64_si128(static_cast<long long>(x.word[1])))};
  }
  template <int I>
  Avx2Lanes byte() const { return {byte_8<I>(lo), byte_8<I>(hi)}; }
  void store_f16(std::uint16_t* p) const {
    __m128i* const q = reinterpret_cast<__m128i*>(p);
    _mm_storeu_si128(q, _mm256_cvtps_ph(lo, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
    _mm_storeu_si128(q + 1, _mm256_cvtps_ph(hi, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }
  Avx2Lanes low_f16() const { return {low_f16_8(_mm256_castps_si256(lo)), low_f16_8(_mm256_castps_si256(hi))}; }
  Avx2Lanes high_f16() const { return {high_f16_8(_mm256_castps_si256(lo)), high_f16_8(_mm256_castps_si256(hi))}; }
  Avx2Lanes low_bf16() const { return {low_bf16_8(_mm256_castps_si256(lo)), low_bf16_8(_mm256_castps_si256(hi))}; }
  Avx2Lanes high_bf16() const { return {high_bf16_8(_mm256_castps_si256(lo)), high_bf16_8(_mm256_castps_si256(hi))}; }
  static std::uint32_t nonzero(const std::uint8_t* p) {
    const __m128i zero = _mm_cmpeq_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)), _mm_setzero_si128());
    return static_cast<std::uint32_t>(_mm_movemask_epi8(zero)) ^ 0xffffu;
  }

  __m256 lo, hi;
};

inline Avx2Lanes in_register(Avx2Lanes x) { return x; }

inline Avx2Lanes operator+(Avx2Lanes a, Avx2Lanes b) { return {_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)}; }
inline Avx2Lanes operator-(Avx2Lanes a, Avx2Lanes b) { return {_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi)}; }
inline Avx2Lanes operator*(Avx2Lanes a, Avx2Lanes b) { return {_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)}; }
inline Avx2Lanes operator/(Avx2Lanes a, Avx2Lanes b) { return {_mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi)}; }
inline Avx2Lanes fma(Avx2Lanes a, Avx2Lanes b, Avx2Lanes c) {
  return {_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)};
}
inline Avx2Lanes fms(Avx2Lanes a, Avx2Lanes b, Avx2Lanes c) {
  return {_mm256_fmsub_ps(a.lo, b.lo, c.lo), _mm256_fmsub_ps(a.hi, b.hi, c.hi)};
}
inline Avx2Lanes max(Avx2Lanes a, Avx2Lanes b) { return {_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi)}; }
// clang-format on

inline Avx2Lanes zero_where_less(Avx2Lanes x, Avx2Lanes t, Avx2Lanes bound) {
  return {
      _mm256_and_ps(x.lo, _mm256_cmp_ps(t.lo, bound.lo, _CMP_NLT_UQ)),
      _mm256_and_ps(x.hi, _mm256_cmp_ps(t.hi, bound.hi, _CMP_NLT_UQ))};
}

inline Avx2Lanes select_less(Avx2Lanes t, Avx2Lanes bound, Avx2Lanes a, Avx2Lanes b) {
  return {
      _mm256_blendv_ps(b.lo, a.lo, _mm256_cmp_ps(t.lo, bound.lo, _CMP_LT_OQ)),
      _mm256_blendv_ps(b.hi, a.hi, _mm256_cmp_ps(t.hi, bound.hi, _CMP_LT_OQ))};
}

inline Avx2Lanes keep_bits(Avx2Lanes x, std::uint32_t bits, Avx2Lanes fill) {
  const __m256i lane = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
  const __m256i lo = _mm256_and_si256(_mm256_set1_epi32(static_cast<int>(bits)), lane);
  const __m256i hi = _mm256_and_si256(_mm256_set1_epi32(static_cast<int>(bits >> 8)), lane);
  return {
      _mm256_blendv_ps(fill.lo, x.lo, _mm256_castsi256_ps(_mm256_cmpeq_epi32(lo, lane))),
      _mm256_blendv_ps(fill.hi, x.hi, _mm256_castsi256_ps(_mm256_cmpeq_epi32(hi, lane)))};
}

inline std::uint32_t equal_bits(Avx2Lanes a, Avx2Lanes b) {
  const int lo = _mm256_movemask_ps(_mm256_cmp_ps(a.lo, b.lo, _CMP_EQ_OQ));
  const int hi = _mm256_movemask_ps(_mm256_cmp_ps(a.hi, b.hi, _CMP_EQ_OQ));
  return static_cast<std::uint32_t>(lo | hi << 8);
}

inline Avx2Lanes keep_range(Avx2Lanes x, std::ptrdiff_t begin, std::ptrdiff_t end, Avx2Lanes fill) {
  const __m256i lo = _mm256_andnot_si256(first8(begin), first8(end));
  const __m256i hi = _mm256_andnot_si256(first8(begin - 8), first8(end - 8));
  return {
      _mm256_blendv_ps(fill.lo, x.lo, _mm256_castsi256_ps(lo)),
      _mm256_blendv_ps(fill.hi, x.hi, _mm256_castsi256_ps(hi))};
}

inline __m256 canonical_nan8(__m256 x) {
  const __m256 nan = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fc00000));
  return _mm256_blendv_ps(x, nan, _mm256_cmp_ps(x, x, _CMP_UNORD_Q));
}
inline Avx2Lanes canonical_nan(Avx2Lanes x) { return {canonical_nan8(x.lo), canonical_nan8(x.hi)}; }

inline __m256 round_to_bf16_8(__m256 x) {
  const __m256i u = _mm256_castps_si256(x), odd = _mm256_and_si256(_mm256_srli_epi32(u, 16), _mm256_set1_epi32(1));
  const __m256i up = _mm256_add_epi32(u, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
  const __m256 rounded = _mm256_castsi256_ps(_mm256_and_si256(up, _mm256_set1_epi32(-65536)));
  const __m256 nan = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fc00000));
  return _mm256_blendv_ps(rounded, nan, _mm256_cmp_ps(x, x, _CMP_UNORD_Q));
}
inline Avx2Lanes round_to_bf16(Avx2Lanes x) { return {round_to_bf16_8(x.lo), round_to_bf16_8(x.hi)}; }

inline __m256 scale_by_power8(__m256 x, __m256 shifted) {
  const __m256i exponent = _mm256_slli_epi32(_mm256_castps_si256(shifted), 23);
  return _mm256_mul_ps(x, _mm256_castsi256_ps(_mm256_add_epi32(exponent, _mm256_set1_epi32(0x3f800000))));
}
inline Avx2Lanes scale_by_power(Avx2Lanes x, Avx2Lanes, Avx2Lanes shifted) {
  return {scale_by_power8(x.lo, shifted.lo), scale_by_power8(x.hi, shifted.hi)};
}

inline bool any_nan(Avx2Lanes x) { return _mm256_movemask_ps(_mm256_cmp_ps(x.lo, x.hi, _CMP_UNORD_Q)) != 0; }

inline float reduce_add(Avx2Lanes x) {
  const __m256 a = _mm256_add_ps(x.lo, x.hi);
  const __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  const __m128 c = _mm_add_ps(b, _mm_movehl_ps(b, b));
  return _mm_cvtss_f32(_mm_add_ss(c, _mm_movehdup_ps(c)));
}

inline float reduce_max(Avx2Lanes x) {
  const __m256 a = _mm256_max_ps(x.lo, x.hi);
  const __m128 b = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  const __m128 c = _mm_max_ps(b, _mm_movehl_ps(b, b));
  return _mm_cvtss_f32(_mm_max_ss(c, _mm_movehdup_ps(c)));
}

inline void transpose_rows(const char* rows, std::ptrdiff_t step, Avx2Lanes (&x)[4]) {
  Avx2Keys lo[4], hi[4];
  transpose_rows(rows, step, lo);
  transpose_rows(rows + 8 * step, step, hi);
  for (int i = 0; i < 4; ++i) x[i] = {lo[i].v, hi[i].v};
}

}  // namespace
}  // namespace attn::simd
