// The instructions that multiply pairs of bf16, against the rule that simd/ relies on, where this CPU has them; and, on
// every instruction set, numbers around the bound below which they may not be used.
#include <cmath>
#include <cstdint>
#include <vector>

#include "cpu.hpp"
#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/isas.hpp"
#include "support/random_problem.hpp"

#if defined(ATTN_HAVE_AVX512BF16)
#include <immintrin.h>
#elif defined(ATTN_HAVE_NEONBF16)
#include <arm_neon.h>
#endif

namespace {

using std::int64_t;
using test::Problem;

float widened(std::uint32_t half) { return test::from_bits(half << 16); }

constexpr int lanes = 16;

#if defined(ATTN_HAVE_AVX512BF16)

constexpr bool flushes = true;
bool can_run() { return (attn::cpu::detect() & attn::cpu::avx512_bf16) != 0; }
__attribute__((target("avx512f,avx512bf16"))) void multiply_add(
    const std::uint32_t* a, const std::uint32_t* b, float* c) {
  const __m512i x = _mm512_loadu_si512(a), y = _mm512_loadu_si512(b);
  const __m512 sum = _mm512_dpbf16_ps(_mm512_loadu_ps(c), reinterpret_cast<__m512bh>(x), reinterpret_cast<__m512bh>(y));
  _mm512_storeu_ps(c, sum);
}

#elif defined(ATTN_HAVE_NEONBF16)

constexpr bool flushes = false;
bool can_run() { return (attn::cpu::detect() & attn::cpu::neon_bf16) != 0; }
__attribute__((target("arch=armv8.2-a+bf16"))) void multiply_add(
    const std::uint32_t* a, const std::uint32_t* b, float* c) {
  for (int i = 0; i < lanes; i += 4) {
    const bfloat16x8_t x = vreinterpretq_bf16_u32(vld1q_u32(a + i)), y = vreinterpretq_bf16_u32(vld1q_u32(b + i));
    vst1q_f32(c + i, vbfmlalbq_f32(vbfmlaltq_f32(vld1q_f32(c + i), x, y), x, y));
  }
}

#else

constexpr bool flushes = false;
bool can_run() { return false; }
void multiply_add(const std::uint32_t*, const std::uint32_t*, float*) {}

#endif

float flushed(float x) { return flushes && std::fabs(x) < 0x1p-126f ? std::copysign(0.0f, x) : x; }

// c + the product of the high halves, rounded, then + that of the low halves, rounded.
float rule(std::uint32_t a, std::uint32_t b, float c) {
  const float high = flushed(std::fma(flushed(widened(a >> 16)), flushed(widened(b >> 16)), flushed(c)));
  return flushed(std::fma(flushed(widened(a & 0xffff)), flushed(widened(b & 0xffff)), high));
}

// Any bits, 0, near 1, subnormal, or as small as makes products subnormal.
std::uint32_t draw_half(test::Random& random) {
  const std::uint32_t any = static_cast<std::uint32_t>(random.next()) & 0xffff, sign = any & 0x8000;
  switch (random.integer(0, 5)) {
    case 0:
      return any;
    case 1:
      return sign | (any & 7 ? any & 0x7f : 0);
    case 2:
      return sign | (0x1800 + (any & 0xfff));
    default:
      return sign | (0x3e00 + (any & 0x1ff));
  }
}

std::uint32_t draw_halves(test::Random& random) {
  const std::uint32_t high = draw_half(random), low = draw_half(random);
  return high << 16 | low;
}

float draw_sum(test::Random& random) {
  const std::uint32_t any = static_cast<std::uint32_t>(random.next());
  return random.integer(0, 2) == 0 ? test::from_bits(any) : test::from_bits((any & 0x80ffffffu) + 0x3e000000u);
}

// Numbers with all exponents from `least` to some above it, and zeros.
std::vector<std::uint16_t> draw_near(test::Random& random, int64_t count, int64_t least) {
  std::vector<std::uint16_t> x(count);
  for (std::uint16_t& h : x) {
    const int64_t exponent = random.integer(least, least + 3), sign = random.integer(0, 1) << 15;
    h = static_cast<std::uint16_t>(sign | (random.integer(0, 9) == 0 ? 0 : exponent << 7 | random.integer(0, 127)));
  }
  return x;
}

float chain(const std::uint16_t* q, const std::uint16_t* k, int64_t dim) {
  float sum = 0;
  for (int64_t i = 0; i < dim; ++i) {
    const int64_t d = (i ^ 1) < dim ? i ^ 1 : i;
    sum = std::fma(widened(q[d]), widened(k[d]), sum);
  }
  return sum;
}

}  // namespace

TEST_CASE("bf16: the instruction is two fused multiply-adds, high halves first", "[kernels][bf16]") {
  if (!can_run()) {
    WARN("SKIPPED: this CPU, or the compiler, has no instruction for pairs of bf16");
    return;
  }
  test::Random random(95);
  CAPTURE(random.seed());
  const int64_t steps = test::quick() ? 20000 : 100000000 / lanes;
  int64_t different = 0;
  for (int64_t n = 0; n < steps; ++n) {
    std::uint32_t a[lanes], b[lanes];
    float c[lanes], want[lanes];
    for (int i = 0; i < lanes; ++i) {
      a[i] = draw_halves(random);
      b[i] = draw_halves(random);
      c[i] = draw_sum(random);
      want[i] = rule(a[i], b[i], c[i]);
    }
    multiply_add(a, b, c);
    for (int i = 0; i < lanes; ++i)
      different += std::isnan(want[i]) ? !std::isnan(c[i]) : test::bits(want[i]) != test::bits(c[i]);
  }
  CHECK(different == 0);
}

// The bound on the least exponents of both is a biased sum of 142; below it sums may be subnormal, which some
// instructions lose.
TEST_CASE("bf16: scores are the chain around the least product", "[kernels][bf16][same_bits]") {
  test::Random random(96);
  CAPTURE(random.seed());
  for (const int64_t rows : {1, 2, 4, 13, 40})
    for (const int64_t keys : {1, 8, 16, 33, 70})
      for (const int64_t dim : {1, 2, 3, 8, 9, 17, 33, 64, 71})
        for (const int64_t sum : {0, 3, 120, 138, 139, 140, 141, 142, 143, 180}) {
          if (test::quick() && (rows + keys + dim + sum) % 3 != 0) continue;
          Problem p({1, 1, 1, rows, keys, dim, 1}, random);
          const int64_t least = sum < 100 ? sum / 2 : random.integer(0, sum - 4);
          std::vector<std::uint16_t> q = draw_near(random, rows * dim, least);
          const std::vector<std::uint16_t> k = draw_near(random, keys * dim, sum - least);
          if (random.integer(0, 3) == 0) q[random.integer(0, rows * dim - 1)] = 0x8001;  // subnormal
          p.args.query = {q.data(), attn::DType::bf16, 0, 0, dim};
          p.args.key = {k.data(), attn::DType::bf16, 0, 0, dim};
          p.args.path = attn::Path::streaming;
          p.args.scale = 1;
          p.want_scores(attn::ScoresStage::scaled);
          INFO(test::describe(p.args) << " sum " << sum);
          REQUIRE(p.run() == "");
          std::vector<float> want;
          for (int64_t t = 0; t < rows; ++t)
            for (int64_t j = 0; j < keys; ++j) want.push_back(chain(q.data() + t * dim, k.data() + j * dim, dim));
          REQUIRE(test::bits_difference(p.scores, want) == "");
        }
}

TEST_CASE("bf16: outputs have the bits of scalar around the least product", "[kernels][bf16][same_bits]") {
  test::Random random(97);
  CAPTURE(random.seed());
  for (int round = 0; round < test::rounds(600); ++round) {
    const int64_t rows = random.integer(1, 60), keys = random.integer(1, 100), columns = random.integer(1, 80);
    Problem p({1, 1, 1, rows, keys, 1, columns}, random);
    const std::vector<std::uint16_t> v = draw_near(random, keys * columns, random.integer(1, 60));
    for (float& x : p.k) x *= 30;  // weights down to 2^-126
    p.args.value = {v.data(), attn::DType::bf16, 0, 0, columns};
    p.args.path = attn::Path::streaming;
    p.args.causal = round % 2 == 0;
    p.args.bf16_weights = true;
    INFO("round " << round << ": " << test::describe(p.args));
    REQUIRE(p.run() == "");
    const std::vector<float> got = p.output;
    REQUIRE(test::on_scalar([&] { return p.run(); }) == "");
    REQUIRE(test::bits_difference(got, p.output) == "");
  }
}
