// Needs nothing but a compiler: bench/peers/ builds this file on its own.
#include "peak.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace {

// A chain waits for its own fma: about 4 cycles. Two to four fma units need 8 to 16 chains; 12 fit 16 registers beside
// the two factors, which is what AVX2 has, and keep the two units of x86 busy.
constexpr long steps = 20000;  // about 50 us: longer than the clock's grain, shorter than a scheduler's slice

#if defined(__x86_64__)

constexpr int chains = 12;

__attribute__((target("avx2,fma"))) double avx2(float factor) {
  const __m256 a = _mm256_set1_ps(factor), b = _mm256_set1_ps(1.0f - factor);
  __m256 x[chains];
  for (int i = 0; i < chains; ++i) x[i] = _mm256_set1_ps(static_cast<float>(i));
  for (long n = 0; n < steps; ++n) {
#pragma GCC unroll 12
    for (int i = 0; i < chains; ++i) x[i] = _mm256_fmadd_ps(x[i], a, b);
  }
  for (int i = 1; i < chains; ++i) x[0] = _mm256_add_ps(x[0], x[i]);
  return static_cast<double>(_mm256_cvtss_f32(x[0]));
}

__attribute__((target("avx512f"))) double avx512(float factor) {
  const __m512 a = _mm512_set1_ps(factor), b = _mm512_set1_ps(1.0f - factor);
  __m512 x[chains];
  for (int i = 0; i < chains; ++i) x[i] = _mm512_set1_ps(static_cast<float>(i));
  for (long n = 0; n < steps; ++n) {
#pragma GCC unroll 12
    for (int i = 0; i < chains; ++i) x[i] = _mm512_fmadd_ps(x[i], a, b);
  }
  for (int i = 1; i < chains; ++i) x[0] = _mm512_add_ps(x[0], x[i]);
  return static_cast<double>(_mm512_cvtss_f32(x[0]));
}

#elif defined(__aarch64__)

constexpr int chains = 24;  // of 32 registers; four units need 16

double neon(float factor) {
  const float32x4_t a = vdupq_n_f32(factor);
  float32x4_t x[chains];
  for (int i = 0; i < chains; ++i) x[i] = vdupq_n_f32(static_cast<float>(i));
  for (long n = 0; n < steps; ++n) {
#pragma GCC unroll 24
    for (int i = 0; i < chains; ++i) x[i] = vfmaq_f32(x[i], a, a);
  }
  for (int i = 1; i < chains; ++i) x[0] = vaddq_f32(x[0], x[i]);
  return static_cast<double>(vgetq_lane_f32(x[0], 0));
}

#endif

// Sixteen lanes of the C library's fused multiply-add, as the scalar kernels have them, and as the build compiles them:
// a call for each on x86-64.
constexpr int lanes = 16;
constexpr long scalar_steps = 2000;

double scalar(float factor) {
  const float a = factor, b = 1.0f - factor;
  float x[lanes];
  for (int i = 0; i < lanes; ++i) x[i] = static_cast<float>(i);
  for (long n = 0; n < scalar_steps; ++n)
    for (int i = 0; i < lanes; ++i) x[i] = std::fma(x[i], a, b);
  for (int i = 1; i < lanes; ++i) x[0] += x[i];
  return static_cast<double>(x[0]);
}

struct Loop {
  const char* isa;
  double (*run)(float factor);
  long flop;
};

constexpr long flop_of(int floats, int chains) { return 2 * floats * chains * steps; }

constexpr Loop loops[] = {
#if defined(__x86_64__)
    {"avx512", avx512, flop_of(16, chains)},
    {"avx512bf16", avx512, flop_of(16, chains)},  // of float32, likewise below
    {"avx2", avx2, flop_of(8, chains)},
#elif defined(__aarch64__)
    {"neon", neon, flop_of(4, chains)},
    {"neonbf16", neon, flop_of(4, chains)},
#endif
    {"scalar", scalar, 2 * lanes* scalar_steps}};

volatile float factor = 0.5f;  // unknown to the compiler, and far from subnormal numbers
thread_local volatile double sink;

const Loop* find(const char* isa) {
  for (const Loop& loop : loops)
    if (std::strcmp(isa, loop.isa) == 0) return &loop;
  return nullptr;
}

}  // namespace

double attn_peak_run(const char* isa) {
  const Loop* const loop = find(isa);
  if (!loop) return 0;
  sink = loop->run(factor);
  return static_cast<double>(loop->flop);
}

double attn_peak_gflops(const char* isa, double seconds) {
  using clock = std::chrono::steady_clock;
  if (!find(isa)) return 0;
  std::vector<double> rates;
  const auto limit = clock::now() + std::chrono::duration<double>(seconds);
  do {
    const auto start = clock::now();
    const double flop = attn_peak_run(isa);
    const std::chrono::duration<double, std::nano> time = clock::now() - start;
    rates.push_back(flop / time.count());
  } while (clock::now() < limit);
  std::nth_element(rates.begin(), rates.begin() + static_cast<std::ptrdiff_t>(rates.size() / 2), rates.end());
  return rates[rates.size() / 2];
}
