// Sixteen float lanes in two ymm registers (AVX2 + FMA); lanes_scalar.hpp says what each operation means.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace attn::simd {
namespace {

// All ones in the first n of eight lanes (n may be below 0 or above 8).
inline __m256i first8(std::ptrdiff_t n) {
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), lane);
}

// clang-format off
// The low halves of eight 32-bit lanes, widened.
inline __m256 low_f16_8(__m256i x) {
  const __m256i low = _mm256_and_si256(x, _mm256_set1_epi32(0xffff));
  const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(low, low), 0x08);
  return _mm256_cvtph_ps(_mm256_castsi256_si128(packed));
}
inline __m256 high_f16_8(__m256i x) { return low_f16_8(_mm256_srli_epi32(x, 16)); }
inline __m256 low_bf16_8(__m256i x) { return _mm256_castsi256_ps(_mm256_slli_epi32(x, 16)); }
inline __m256 high_bf16_8(__m256i x) {
  return _mm256_castsi256_ps(_mm256_and_si256(x, _mm256_set1_epi32(-65536)));
}

struct Avx2Lanes {
  // Tile shape, 6 rows x 16 columns: 12 accumulators, 2 column registers and 1 broadcast of the 16 registers.
  static constexpr int tile_rows = 6;
  static constexpr int tile_vectors = 1;
  static constexpr int score_rows = 4;
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

  static Avx2Lanes load_bytes(const void* p) {
    const __m256i* const q = static_cast<const __m256i*>(p);
    return {_mm256_castsi256_ps(_mm256_loadu_si256(q)), _mm256_castsi256_ps(_mm256_loadu_si256(q + 1))};
  }
  static Avx2Lanes load_f16(const std::uint16_t* p) {
    const __m128i* const q = reinterpret_cast<const __m128i*>(p);
    return {_mm256_cvtph_ps(_mm_loadu_si128(q)), _mm256_cvtph_ps(_mm_loadu_si128(q + 1))};
  }
  static Avx2Lanes load_bf16(const std::uint16_t* p) {
    const __m128i* const q = reinterpret_cast<const __m128i*>(p);
    return {low_bf16_8(_mm256_cvtepu16_epi32(_mm_loadu_si128(q))),
            low_bf16_8(_mm256_cvtepu16_epi32(_mm_loadu_si128(q + 1)))};
  }
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

inline __m256 scale_by_power8(__m256 x, __m256 shifted) {
  const __m256i exponent = _mm256_slli_epi32(_mm256_castps_si256(shifted), 23);
  return _mm256_mul_ps(x, _mm256_castsi256_ps(_mm256_add_epi32(exponent, _mm256_set1_epi32(0x3f800000))));
}
inline Avx2Lanes scale_by_power(Avx2Lanes x, Avx2Lanes, Avx2Lanes shifted) {
  return {scale_by_power8(x.lo, shifted.lo), scale_by_power8(x.hi, shifted.hi)};
}

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

// The 8x8 transpose of one half of x[0..8): 2x2, then 4x4 inside 128-bit halves, then those.
inline void transpose8(Avx2Lanes* x, __m256 Avx2Lanes::*half) {
  const __m256 a0 = _mm256_unpacklo_ps(x[0].*half, x[1].*half), a1 = _mm256_unpackhi_ps(x[0].*half, x[1].*half);
  const __m256 a2 = _mm256_unpacklo_ps(x[2].*half, x[3].*half), a3 = _mm256_unpackhi_ps(x[2].*half, x[3].*half);
  const __m256 a4 = _mm256_unpacklo_ps(x[4].*half, x[5].*half), a5 = _mm256_unpackhi_ps(x[4].*half, x[5].*half);
  const __m256 a6 = _mm256_unpacklo_ps(x[6].*half, x[7].*half), a7 = _mm256_unpackhi_ps(x[6].*half, x[7].*half);
  const __m256 b0 = _mm256_shuffle_ps(a0, a2, 0x44), b1 = _mm256_shuffle_ps(a0, a2, 0xee);
  const __m256 b2 = _mm256_shuffle_ps(a1, a3, 0x44), b3 = _mm256_shuffle_ps(a1, a3, 0xee);
  const __m256 b4 = _mm256_shuffle_ps(a4, a6, 0x44), b5 = _mm256_shuffle_ps(a4, a6, 0xee);
  const __m256 b6 = _mm256_shuffle_ps(a5, a7, 0x44), b7 = _mm256_shuffle_ps(a5, a7, 0xee);
  x[0].*half = _mm256_permute2f128_ps(b0, b4, 0x20);
  x[1].*half = _mm256_permute2f128_ps(b1, b5, 0x20);
  x[2].*half = _mm256_permute2f128_ps(b2, b6, 0x20);
  x[3].*half = _mm256_permute2f128_ps(b3, b7, 0x20);
  x[4].*half = _mm256_permute2f128_ps(b0, b4, 0x31);
  x[5].*half = _mm256_permute2f128_ps(b1, b5, 0x31);
  x[6].*half = _mm256_permute2f128_ps(b2, b6, 0x31);
  x[7].*half = _mm256_permute2f128_ps(b3, b7, 0x31);
}

// Four 8x8 transposes; the two off the diagonal change places.
inline void transpose(Avx2Lanes (&x)[16]) {
  transpose8(x, &Avx2Lanes::lo);
  transpose8(x + 8, &Avx2Lanes::hi);
  transpose8(x, &Avx2Lanes::hi);
  transpose8(x + 8, &Avx2Lanes::lo);
  for (int i = 0; i < 8; ++i) {
    const __m256 t = x[i].hi;
    x[i].hi = x[i + 8].lo;
    x[i + 8].lo = t;
  }
}

}  // namespace
}  // namespace attn::simd
