// Products of pairs of bf16 by VDPBF16PS, over the lanes of AVX-512. It rounds to nearest even and takes subnormal
// factors and sums for 0, whatever the thread's control register says.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "lanes_avx512.hpp"
#include "pairs.hpp"

namespace attn::simd {
namespace {

template <>
struct PairProduct<Avx512Lanes> {
  static constexpr bool exists = true, flushes = true;

  static Avx512Lanes multiply_add(Avx512Lanes a, Avx512Lanes b, Avx512Lanes c) {
    return {_mm512_dpbf16_ps(c.v, reinterpret_cast<__m512bh>(a.v), reinterpret_cast<__m512bh>(b.v))};
  }
  static Avx512Lanes join(Avx512Lanes low, Avx512Lanes high) {
    const __m512i shifted = _mm512_srli_epi32(_mm512_castps_si512(low.v), 16);
    return {_mm512_castsi512_ps(_mm512_or_si512(shifted, _mm512_castps_si512(high.v)))};
  }
  static void store_bf16(Avx512Lanes x, std::uint16_t* p) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(x.v)));
  }

  static Avx512Lanes none() { return {_mm512_castsi512_ps(_mm512_set1_epi32(-1))}; }
  static Avx512Lanes least(Avx512Lanes x, Avx512Lanes m) {
    const __m512i size = _mm512_and_si512(_mm512_castps_si512(x.v), _mm512_set1_epi32(0x7fff7fff));
    const __m512i less = _mm512_add_epi16(size, _mm512_set1_epi32(-1));
    return {_mm512_castsi512_ps(_mm512_min_epu16(less, _mm512_castps_si512(m.v)))};
  }
  static std::uint32_t least_of(Avx512Lanes m) {
    const __m512i all = _mm512_castps_si512(m.v);
    const __m256i half = _mm256_min_epu16(_mm512_castsi512_si256(all), _mm512_extracti64x4_epi64(all, 1));
    const __m128i quarter = _mm_min_epu16(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
    return static_cast<std::uint32_t>(_mm_cvtsi128_si32(_mm_minpos_epu16(quarter))) & 0xffffu;
  }
};

}  // namespace
}  // namespace attn::simd
