// The floating-point environment of the caller: subnormals flushed, or another direction of rounding. Results stay
// right, and the environment is afterwards what it was.
#include <cfenv>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include "attn/attn.hpp"
#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/paths.hpp"
#include "support/problem.hpp"
#include "support/random_problem.hpp"

namespace {

// The register that holds rounding and flushing.
#if defined(__x86_64__)
constexpr bool can_flush = true;
constexpr std::uint64_t flush_bits = 1 << 15 | 1 << 6;  // FTZ, DAZ
std::uint64_t control() { return _mm_getcsr() & ~0x3fu; }  // without the flags of what has happened
void set_control(std::uint64_t bits) { _mm_setcsr(static_cast<unsigned>(bits)); }
#elif defined(__aarch64__)
constexpr bool can_flush = true;
constexpr std::uint64_t flush_bits = 1 << 24;  // FZ
std::uint64_t control() {
  std::uint64_t bits;
  __asm__ volatile("mrs %0, fpcr" : "=r"(bits));
  return bits;
}
void set_control(std::uint64_t bits) { __asm__ volatile("msr fpcr, %0" : : "r"(bits)); }
#else
constexpr bool can_flush = false;
constexpr std::uint64_t flush_bits = 0;
std::uint64_t control() { return 0; }
void set_control(std::uint64_t) {}
#endif

// Calls f with these control bits; whether they were the same after it.
template <class Function>
bool keeps(std::uint64_t bits, const Function& f) {
  const std::uint64_t before = control();
  set_control(bits);
  f();
  const bool kept = control() == bits;
  set_control(before);
  return kept;
}

std::uint64_t rounding_bits(int direction) {
  std::fesetround(direction);
  const std::uint64_t bits = control();
  std::fesetround(FE_TONEAREST);
  return bits;
}

const int directions[] = {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};

struct Named {
  const char* name;
  std::vector<float> values;
};

// The results of all calls. An empty one if a call fails.
std::vector<Named> results(test::Problem& p) {
  std::vector<float> rows(p.k.size()), merged(p.k.size() / 2);
  const std::int64_t dim = p.args.head_dim, count = static_cast<std::int64_t>(p.k.size()) / dim;
  attn::MergeArgs m;
  m.parts = 2;
  m.rows = count / 2;
  m.value_dim = dim;
  m.outputs = p.k.data();
  m.part_stride = m.rows * dim;
  m.row_stride = m.output_row_stride = dim;
  m.logsumexps = p.v.data();
  m.logsumexp_part_stride = m.rows;
  m.output = merged.data();
  if (!attn::attention(p.args).ok() || !attn::merge(m).ok() ||
      !attn::softmax(p.k.data(), rows.data(), count, dim, dim, dim, 1.5f).ok())
    return {};
  return {{"output", p.output},       {"weights", p.weights},
          {"logsumexp", p.logsumexp}, {"key_weight_sums", p.key_weight_sums},
          {"softmax", rows},          {"merge", merged}};
}

// The results with these control bits, which must be the same after it.
std::vector<Named> results_with(std::uint64_t bits, test::Problem& p) {
  std::vector<Named> got;
  CHECK(keeps(bits, [&] { got = results(p); }));
  return got;
}

constexpr test::Shape shapes[] = {{2, 4, 2, 30, 600, 20, 24}, {1, 2, 2, 3, 700, 16, 8}};

void want_all(test::Problem& p, attn::Path path) {
  p.args.path = path;
  p.args.causal = true;
  p.want_weights();
  p.want_logsumexp();
  p.want_key_weight_sums();
}

}  // namespace

TEST_CASE("environment: flushing subnormals changes no bit of ordinary data", "[same_bits][environment][bits]") {
  if (!can_flush) {
    WARN("SKIPPED: no register to flush subnormals by is known on this machine");
    return;
  }
  test::Random random(231);
  for (const test::Shape& shape : shapes)
    for (const attn::Path path : test::paths()) {
      test::Problem p(shape, random);
      want_all(p, path);
      const std::vector<Named> want = results(p), got = results_with(control() | flush_bits, p);
      REQUIRE(want.size() == 6);
      REQUIRE(got.size() == 6);
      for (std::size_t i = 0; i < 6; ++i) {
        INFO(test::name_of(path) << ", " << want[i].name);
        CHECK(test::bits_difference(got[i].values, want[i].values) == "");
      }
    }
  for (int round = 0; round < test::rounds(400); ++round) {  // any mixture of options
    test::RandomProblem p(random, attn::Path::streaming, round % 40 == 0);
    CAPTURE(random.seed(), round, test::describe(p.args()));
    const std::vector<std::uint32_t> want = p.results();
    std::vector<std::uint32_t> got;
    CHECK(keeps(control() | flush_bits, [&] { got = p.results(); }));
    CHECK(got == want);
    CHECK_FALSE(got.empty());
  }
}

TEST_CASE("environment: subnormals that are flushed stay within the tolerance", "[same_bits][environment]") {
  if (!can_flush) {
    WARN("SKIPPED: no register to flush subnormals by is known on this machine");
    return;
  }
  test::Random random(232);
  for (const attn::Path path : test::paths()) {
    test::Problem p(shapes[0], random);
    want_all(p, path);
    for (std::vector<float>* x : {&p.q, &p.k, &p.v})
      for (float& value : *x)
        if (random.integer(0, 3) == 0) value *= std::numeric_limits<float>::min();
    const std::vector<Named> want = results(p), got = results_with(control() | flush_bits, p);
    REQUIRE(want.size() == 6);
    REQUIRE(got.size() == 6);
    for (std::size_t i = 0; i < 6; ++i) {
      INFO(test::name_of(path) << ", " << want[i].name);
      CHECK(test::difference(got[i].values, want[i].values, 1e-5) == "");
    }
  }
}

TEST_CASE("environment: another direction of rounding costs digits, no more", "[same_bits][environment]") {
  test::Random random(233);
  for (const test::Shape& shape : shapes)
    for (const attn::Path path : test::paths()) {
      test::Problem p(shape, random);
      want_all(p, path);
      const std::vector<Named> want = results(p);
      REQUIRE(want.size() == 6);
      for (const int direction : directions) {
        const std::vector<Named> got = results_with(rounding_bits(direction), p);
        REQUIRE(got.size() == 6);
        for (std::size_t i = 0; i < 6; ++i) {
          INFO(test::name_of(path) << ", direction " << direction << ", " << want[i].name);
          CHECK(test::difference(got[i].values, want[i].values, 6e-5) == "");  // 1e-5 of the largest value
        }
      }
    }
}

TEST_CASE("environment: a refused call leaves it alone, too", "[same_bits][environment][error]") {
  test::Random random(234);
  test::Problem p(shapes[1], random);
  p.args.softcap = -1;
  for (std::size_t i = 0; i < 4; ++i) {
    const std::uint64_t bits = i < 3 ? rounding_bits(directions[i]) : control() | flush_bits;
    bool refused = false;
    CHECK(keeps(bits, [&] {
      refused = !attn::attention(p.args).ok() && !attn::softmax(nullptr, nullptr, 1, 1, 1, 1).ok() &&
          !attn::merge({-1, 0, 0, nullptr, 0, 0, nullptr, 0, nullptr, 0, nullptr}).ok();
    }));
    CHECK(refused);
  }
}
