// Sixteen float lanes in one zmm register (AVX-512 F + DQ).
// Every lanes_*.hpp offers the same operations; lanes_scalar.hpp says what each one means.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "bytes.hpp"
#include "halves.hpp"

namespace attn::simd {
namespace {

// The first n lanes; 0 <= n <= 16.
inline __mmask16 first(std::ptrdiff_t n) { return static_cast<__mmask16>((1u << n) - 1u); }

inline __m256i load16(const std::uint16_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
inline __m256i sixteen(const Halves& x) {
  long long word[4];
  for (int i = 0; i < 4; ++i) word[i] = static_cast<long long>(x.word[i]);
  return _mm256_set_epi64x(word[3], word[2], word[1], word[0]);
}

// clang-format off
struct Avx512Lanes {
  // Tile shape, 6 rows x 64 columns: 24 accumulators, 4 column registers and 1 broadcast of the 32 registers.
  static constexpr int tile_rows = 6;
  static constexpr int tile_vectors = 4;
  static constexpr int score_rows = 4;
  static constexpr int step_lanes = 16;
  static constexpr int width = 16;
  static constexpr int accumulators = 4;
  static constexpr int most_vectors = 1;
  using Keys = Avx512Lanes;
  // In round numbers, from races on Zen 4 and 5.
  static constexpr double in_place_flop_per_ns = 70, packed_flop_per_ns = 150;
  static constexpr bool in_registers = true;
  static constexpr bool masked_loads_are_fast = true;
  static constexpr int exp_vectors = 4;

  static Avx512Lanes zero() { return {_mm512_setzero_ps()}; }
  static Avx512Lanes set1(float s) { return {_mm512_set1_ps(s)}; }
  static Avx512Lanes load(const float* p) { return {_mm512_loadu_ps(p)}; }
  static Avx512Lanes load_first(const float* p, std::ptrdiff_t n) { return {_mm512_maskz_loadu_ps(first(n), p)}; }
  void store(float* p) const { _mm512_storeu_ps(p, v); }
  void store_first(float* p, std::ptrdiff_t n) const { _mm512_mask_storeu_ps(p, first(n), v); }

  static Avx512Lanes of_f16(__m256i x) { return {_mm512_cvtph_ps(x)}; }
  static Avx512Lanes of_bf16(__m256i x) {
    return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(x), 16))};
  }
  static Avx512Lanes load_f16(const std::uint16_t* p) { return of_f16(load16(p)); }
  static Avx512Lanes load_bf16(const std::uint16_t* p) { return of_bf16(load16(p)); }
  static Avx512Lanes of_f16(const Halves& x) { return of_f16(sixteen(x)); }
  static Avx512Lanes of_bf16(const Halves& x) { return of_bf16(sixteen(x)); }
  static Avx512Lanes of_i8(__m128i x) { return {_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(x))}; }
  static Avx512Lanes load_i8(const std::int8_t* p) {
    return of_i8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static Avx512Lanes of_i8(const Bytes& x) {
    return of_i8(_mm_set_epi64x(static_cast<long long>(x.word[1]), static_cast<long long>(x.word[0])));
  }
  template <int I>
  Avx512Lanes byte() const {
    const __m512i top = _mm512_slli_epi32(_mm512_castps_si512(v), 24 - 8 * I);
    return {_mm512_cvtepi32_ps(_mm512_srai_epi32(top, 24))};
  }
  void store_f16(std::uint16_t* p) const {
    const __m256i halves = _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), halves);
  }
  Avx512Lanes low_f16() const { return {_mm512_cvtph_ps(_mm512_cvtepi32_epi16(_mm512_castps_si512(v)))}; }
  Avx512Lanes high_f16() const {
    return {_mm512_cvtph_ps(_mm512_cvtepi32_epi16(_mm512_srli_epi32(_mm512_castps_si512(v), 16)))};
  }
  Avx512Lanes low_bf16() const { return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(v), 16))}; }
  Avx512Lanes high_bf16() const {
    return {_mm512_castsi512_ps(_mm512_and_si512(_mm512_castps_si512(v), _mm512_set1_epi32(-65536)))};
  }
  static std::uint32_t nonzero(const std::uint8_t* p) {
    const __m128i zero = _mm_cmpeq_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)), _mm_setzero_si128());
    return static_cast<std::uint32_t>(_mm_movemask_epi8(zero)) ^ 0xffffu;
  }

  __m512 v;
};

// Hides where x came from: gcc would load a constant from memory at every use. Softmax of 512 columns gains 3 %.
inline Avx512Lanes in_register(Avx512Lanes x) { __asm__("" : "+v"(x.v)); return x; }

inline Avx512Lanes operator+(Avx512Lanes a, Avx512Lanes b) { return {_mm512_add_ps(a.v, b.v)}; }
inline Avx512Lanes operator-(Avx512Lanes a, Avx512Lanes b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline Avx512Lanes operator*(Avx512Lanes a, Avx512Lanes b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline Avx512Lanes operator/(Avx512Lanes a, Avx512Lanes b) { return {_mm512_div_ps(a.v, b.v)}; }
inline Avx512Lanes fma(Avx512Lanes a, Avx512Lanes b, Avx512Lanes c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
inline Avx512Lanes fms(Avx512Lanes a, Avx512Lanes b, Avx512Lanes c) { return {_mm512_fmsub_ps(a.v, b.v, c.v)}; }
inline Avx512Lanes max(Avx512Lanes a, Avx512Lanes b) { return {_mm512_max_ps(a.v, b.v)}; }
// clang-format on

inline Avx512Lanes zero_where_less(Avx512Lanes x, Avx512Lanes t, Avx512Lanes bound) {
  return {_mm512_maskz_mov_ps(_mm512_cmp_ps_mask(t.v, bound.v, _CMP_NLT_UQ), x.v)};
}

inline Avx512Lanes select_less(Avx512Lanes t, Avx512Lanes bound, Avx512Lanes a, Avx512Lanes b) {
  return {_mm512_mask_mov_ps(b.v, _mm512_cmp_ps_mask(t.v, bound.v, _CMP_LT_OQ), a.v)};
}

inline Avx512Lanes keep_bits(Avx512Lanes x, std::uint32_t bits, Avx512Lanes fill) {
  return {_mm512_mask_mov_ps(fill.v, static_cast<__mmask16>(bits), x.v)};
}

inline std::uint32_t equal_bits(Avx512Lanes a, Avx512Lanes b) { return _mm512_cmp_ps_mask(a.v, b.v, _CMP_EQ_OQ); }

inline Avx512Lanes keep_range(Avx512Lanes x, std::ptrdiff_t begin, std::ptrdiff_t end, Avx512Lanes fill) {
  return {_mm512_mask_mov_ps(fill.v, static_cast<__mmask16>(first(end) & ~first(begin)), x.v)};
}

inline Avx512Lanes canonical_nan(Avx512Lanes x) {
  const __mmask16 nan = _mm512_cmp_ps_mask(x.v, x.v, _CMP_UNORD_Q);
  return {_mm512_castsi512_ps(_mm512_mask_set1_epi32(_mm512_castps_si512(x.v), nan, 0x7fc00000))};
}

inline Avx512Lanes round_to_bf16(Avx512Lanes x) {
  const __m512i u = _mm512_castps_si512(x.v), odd = _mm512_and_si512(_mm512_srli_epi32(u, 16), _mm512_set1_epi32(1));
  const __m512i up = _mm512_add_epi32(u, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
  const __m512i rounded = _mm512_and_si512(up, _mm512_set1_epi32(-65536));
  const __mmask16 nan = _mm512_cmp_ps_mask(x.v, x.v, _CMP_UNORD_Q);
  return {_mm512_castsi512_ps(_mm512_mask_set1_epi32(rounded, nan, 0x7fc00000))};
}

inline Avx512Lanes scale_by_power(Avx512Lanes x, Avx512Lanes n, Avx512Lanes) { return {_mm512_scalef_ps(x.v, n.v)}; }

inline bool any_nan(Avx512Lanes x) { return _mm512_cmp_ps_mask(x.v, x.v, _CMP_UNORD_Q) != 0; }

inline float reduce_add(Avx512Lanes x) {
  const __m256 a = _mm256_add_ps(_mm512_castps512_ps256(x.v), _mm512_extractf32x8_ps(x.v, 1));
  const __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  const __m128 c = _mm_add_ps(b, _mm_movehl_ps(b, b));
  return _mm_cvtss_f32(_mm_add_ss(c, _mm_movehdup_ps(c)));
}

inline float reduce_max(Avx512Lanes x) {
  const __m256 a = _mm256_max_ps(_mm512_castps512_ps256(x.v), _mm512_extractf32x8_ps(x.v, 1));
  const __m128 b = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  const __m128 c = _mm_max_ps(b, _mm_movehl_ps(b, b));
  return _mm_cvtss_f32(_mm_max_ss(c, _mm_movehdup_ps(c)));
}

// 4x4 inside 128-bit parts.
inline void transpose4(const __m512 (&r)[4], __m512 (&x)[4]) {
  const __m512 a = _mm512_unpacklo_ps(r[0], r[1]), b = _mm512_unpackhi_ps(r[0], r[1]);
  const __m512 c = _mm512_unpacklo_ps(r[2], r[3]), d = _mm512_unpackhi_ps(r[2], r[3]);
  x[0] = _mm512_shuffle_ps(a, c, 0x44);
  x[1] = _mm512_shuffle_ps(a, c, 0xee);
  x[2] = _mm512_shuffle_ps(b, d, 0x44);
  x[3] = _mm512_shuffle_ps(b, d, 0xee);
}

inline void transpose_rows(const char* rows, std::ptrdiff_t step, Avx512Lanes (&x)[4]) {
  const auto part = [&](std::ptrdiff_t i) { return _mm_loadu_ps(reinterpret_cast<const float*>(rows + i * step)); };
  __m512 r[4], t[4];
  for (int i = 0; i < 4; ++i) {
    r[i] = _mm512_insertf32x4(_mm512_castps128_ps512(part(i)), part(i + 4), 1);
    r[i] = _mm512_insertf32x4(_mm512_insertf32x4(r[i], part(i + 8), 2), part(i + 12), 3);
  }
  transpose4(r, t);
  for (int i = 0; i < 4; ++i) x[i].v = t[i];
}

// 4x4 inside 128-bit parts, then the parts themselves. Four calls of the above have half the shuffles, gained nothing
// in the caches and lost from memory.
inline void transpose_rows(const char* rows, std::ptrdiff_t step, Avx512Lanes (&x)[16]) {
  __m512 t[4][4];
  for (int i = 0; i < 4; ++i) {
    __m512 r[4];
    for (int k = 0; k < 4; ++k) r[k] = _mm512_loadu_ps(rows + (4 * i + k) * step);
    transpose4(r, t[i]);
  }
  for (int i = 0; i < 4; ++i) {
    const __m512 a = _mm512_shuffle_f32x4(t[0][i], t[1][i], 0x88), b = _mm512_shuffle_f32x4(t[2][i], t[3][i], 0x88);
    const __m512 c = _mm512_shuffle_f32x4(t[0][i], t[1][i], 0xdd), d = _mm512_shuffle_f32x4(t[2][i], t[3][i], 0xdd);
    x[i + 0].v = _mm512_shuffle_f32x4(a, b, 0x88);
    x[i + 4].v = _mm512_shuffle_f32x4(c, d, 0x88);
    x[i + 8].v = _mm512_shuffle_f32x4(a, b, 0xdd);
    x[i + 12].v = _mm512_shuffle_f32x4(c, d, 0xdd);
  }
}

}  // namespace
}  // namespace attn::simd
