#include "reading.hpp"

#include <cstdint>
#include <cstring>

#include "attn/isa.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace bench {
namespace {

// Eight independent chains of a bitwise or, which takes one cycle: the loads are the limit.
constexpr std::size_t chains = 8;

std::uint64_t or_of(const void* vector, std::size_t bytes) {
  std::uint64_t result = 0;
  for (std::size_t at = 0; at < bytes; at += sizeof result) {
    std::uint64_t word;
    std::memcpy(&word, static_cast<const char*>(vector) + at, sizeof word);
    result |= word;
  }
  return result;
}

#if defined(__x86_64__)

__attribute__((target("avx2"))) std::uint64_t avx2(const char* data, std::size_t bytes, std::int64_t times) {
  __m256i x[chains];
  for (__m256i& vector : x) vector = _mm256_setzero_si256();
  for (std::int64_t n = 0; n < times; ++n)
    for (std::size_t at = 0; at < bytes; at += chains * sizeof x[0])
#pragma GCC unroll 8
      for (std::size_t i = 0; i < chains; ++i)
        x[i] = _mm256_or_si256(x[i], _mm256_loadu_si256(reinterpret_cast<const __m256i*>(data + at) + i));
  for (std::size_t i = 1; i < chains; ++i) x[0] = _mm256_or_si256(x[0], x[i]);
  return or_of(&x[0], sizeof x[0]);
}

__attribute__((target("avx512f"))) std::uint64_t avx512(const char* data, std::size_t bytes, std::int64_t times) {
  __m512i x[chains];
  for (__m512i& vector : x) vector = _mm512_setzero_si512();
  for (std::int64_t n = 0; n < times; ++n)
    for (std::size_t at = 0; at < bytes; at += chains * sizeof x[0])
#pragma GCC unroll 8
      for (std::size_t i = 0; i < chains; ++i) x[i] = _mm512_or_si512(x[i], _mm512_loadu_si512(data + at + i * 64));
  for (std::size_t i = 1; i < chains; ++i) x[0] = _mm512_or_si512(x[0], x[i]);
  return or_of(&x[0], sizeof x[0]);
}

#elif defined(__aarch64__)

std::uint64_t neon(const char* data, std::size_t bytes, std::int64_t times) {
  uint8x16_t x[chains];
  for (uint8x16_t& vector : x) vector = vdupq_n_u8(0);
  for (std::int64_t n = 0; n < times; ++n)
    for (std::size_t at = 0; at < bytes; at += chains * sizeof x[0])
#pragma GCC unroll 8
      for (std::size_t i = 0; i < chains; ++i)
        x[i] = vorrq_u8(x[i], vld1q_u8(reinterpret_cast<const std::uint8_t*>(data) + at + i * 16));
  for (std::size_t i = 1; i < chains; ++i) x[0] = vorrq_u8(x[0], x[i]);
  return or_of(&x[0], sizeof x[0]);
}

#endif

std::uint64_t words(const char* data, std::size_t bytes, std::int64_t times) {
  std::uint64_t x[chains] = {};
  for (std::int64_t n = 0; n < times; ++n)
    for (std::size_t at = 0; at < bytes; at += sizeof x)
      for (std::size_t i = 0; i < chains; ++i) x[i] |= or_of(data + at + i * sizeof x[0], sizeof x[0]);
  for (std::size_t i = 1; i < chains; ++i) x[0] |= x[i];
  return x[0];
}

std::uint64_t (*best())(const char*, std::size_t, std::int64_t) {
  for (std::size_t i = 0; i < attn::isa_count(); ++i) {
    const attn::Isa isa = attn::isa(i);
    if (!isa.runnable) continue;
#if defined(__x86_64__)
    if (std::strcmp(isa.name, "avx512bf16") == 0) return avx512;
    if (std::strcmp(isa.name, "avx512") == 0) return avx512;
    if (std::strcmp(isa.name, "avx2") == 0) return avx2;
#elif defined(__aarch64__)
    if (std::strcmp(isa.name, "neonbf16") == 0) return neon;
    if (std::strcmp(isa.name, "neon") == 0) return neon;
#endif
  }
  return words;
}

}  // namespace

std::uint64_t read(const void* data, std::size_t bytes, std::int64_t times) {
  static std::uint64_t (*const loop)(const char*, std::size_t, std::int64_t) = best();
  return loop(static_cast<const char*>(data), bytes, times);
}

}  // namespace bench
