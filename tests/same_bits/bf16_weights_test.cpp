// bf16_weights: p rounded to bf16, and one fma chain over the keys that a row sees, of each pair of absolute keys the
// second first. Against a chain written here; then in any mixture of options, with hashes.
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "base/exponent.hpp"
#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/hashes.hpp"
#include "support/isas.hpp"
#include "support/random_problem.hpp"

namespace {

using std::int64_t;
using test::Problem;

enum class Order { pairs, plain, unrounded };

float rounded(float p) {  // to eight bits, ties to even
  std::uint32_t u = test::bits(p), rest = u & 0xffff, up = rest > 0x8000 || (rest == 0x8000 && (u >> 16 & 1)) ? 1 : 0;
  return test::from_bits(((u >> 16) + up) << 16);
}

// One head of bf16 with f32 queries and keys of one column, so that a score is one product; up to a block of keys.
struct Call {
  Call(test::Random& random, int64_t rows, int64_t keys, int64_t columns)
      : p({1, 1, 1, rows, keys, 1, columns}, random), keys(keys), columns(columns) {
    for (int64_t i = 0; i < keys * columns; ++i) values.push_back(random.signed_half(0x3e00, 0x40ff));
    p.args.value = {values.data(), attn::DType::bf16, 0, 0, columns};
    p.args.path = attn::Path::streaming;
    p.args.scale = 1;
    p.args.bf16_weights = true;
  }

  // The exponentials of row t: as the kernel of scalar makes them.
  std::vector<float> exponentials(int64_t t, const std::vector<char>& seen) const {
    float max = -HUGE_VALF;
    for (int64_t j = 0; j < keys; ++j)
      if (seen[j]) max = std::fmax(max, p.q[t] * p.k[j]);
    std::vector<float> e;
    for (int64_t j = 0; j < keys; ++j) e.push_back(seen[j] ? p.q[t] * p.k[j] - max : -HUGE_VALF);
    const attn::simd::Kernels& scalar =
        test::on_scalar([]() -> const attn::simd::Kernels& { return test::active_kernels(); });
    scalar.exp_scaled(e.data(), e.data(), keys, attn::make_exponent(1));
    return e;
  }

  std::vector<float> row(int64_t t, const std::vector<char>& seen, Order order) const {
    const std::vector<float> e = exponentials(t, seen);
    float lanes[16] = {};
    for (int64_t j = 0; j < keys; ++j) lanes[j % 16] += e[j];
    for (int half = 8; half > 0; half /= 2)
      for (int i = 0; i < half; ++i) lanes[i] += lanes[i + half];
    std::vector<float> out;
    for (int64_t c = 0; c < columns; ++c) {
      float sum = 0;
      for (int64_t i = 0; i < keys; ++i) {
        const int64_t j = order == Order::pairs && (i ^ 1) < keys ? i ^ 1 : i;
        const float value = test::from_bits(static_cast<std::uint32_t>(values[j * columns + c]) << 16);
        if (seen[j]) sum = std::fma(order == Order::unrounded ? e[j] : rounded(e[j]), value, sum);
      }
      out.push_back(lanes[0] == 0 ? 0 : sum * (1 / lanes[0]));
    }
    return out;
  }

  Problem p;
  int64_t keys, columns;
  std::vector<std::uint16_t> values;
};

}  // namespace

TEST_CASE("bf16_weights: a chain over pairs of absolute keys", "[same_bits][attention][pairs]") {
  test::Random random(92);
  CAPTURE(random.seed());
  int64_t elements = 0, by_order = 0, by_rounding = 0;
  for (const int64_t rows : {1, 2, 3, 5, 12, 13, 30})
    for (const int64_t keys : {1, 2, 3, 15, 16, 17, 40, 64, 65, 129, 300})
      for (const int64_t columns : {1, 15, 16, 33, 70})
        for (int kind = 0; kind < 4; ++kind) {
          if (test::quick() && (keys + kind) % 3 != 0) continue;
          Call call(random, rows, keys, columns);
          attn::AttentionArgs& a = call.p.args;
          a.causal = kind == 1;  // ends anywhere
          if (kind == 2) a.window_left = random.integer(0, 40);  // begins anywhere, too
          if (kind == 2) a.window_right = random.integer(0, 40);
          std::vector<std::uint8_t> mask;
          for (int64_t i = 0; i < rows * keys; ++i) mask.push_back(kind < 3 || random.integer(0, 3) != 0);
          if (kind == 3) a.mask = {mask.data(), 0, 0, keys, 1};
          // A NaN, which keeps packed values from being multiplied by 0: where no row sees it, or all would be NaN.
          const std::vector<char> allowed = test::attend(a).allowed;
          for (int64_t j = 0; j < keys; ++j) {
            bool seen = false;
            for (int64_t t = 0; t < rows; ++t) seen = seen || allowed[t * keys + j];
            if (!seen) call.values[j * columns + columns / 2] = 0x7fff;
          }
          INFO(test::describe(a));
          REQUIRE(call.p.check() == "");
          std::vector<float> want;
          for (int64_t t = 0; t < rows; ++t) {
            const std::vector<char> seen(allowed.begin() + t * keys, allowed.begin() + (t + 1) * keys);
            const std::vector<float> row = call.row(t, seen, Order::pairs);
            const std::vector<float> plain = call.row(t, seen, Order::plain);
            const std::vector<float> exact = call.row(t, seen, Order::unrounded);
            for (int64_t c = 0; c < columns; ++c) {
              want.push_back(row[c] + 0.0f);
              by_order += row[c] != plain[c];
              by_rounding += row[c] != exact[c];
              ++elements;
            }
          }
          REQUIRE(test::bits_difference(call.p.output, want) == "");
        }
  CHECK(by_order > elements / 50);  // else another order would pass, too
  CHECK(by_rounding > elements / 2);
}

// A NaN among values that other rows see, so that packed blocks are not finite, with masks and ragged edges.
TEST_CASE("bf16_weights: a value that is not finite reaches the rows that see it", "[same_bits][nan][pairs]") {
  test::Random random(93);
  CAPTURE(random.seed());
  for (int round = 0; round < test::rounds(400); ++round) {
    const int64_t rows = random.pick(std::vector<int64_t>{1, 3, 12, 20, 50}), keys = random.integer(1, 90);
    Call call(random, rows, keys, random.integer(1, 40));
    attn::AttentionArgs& a = call.p.args;
    a.causal = round % 3 == 1;
    std::vector<std::uint8_t> mask;
    for (int64_t i = 0; i < rows * keys; ++i) mask.push_back(random.integer(0, 3) != 0);
    if (round % 3 == 2) a.mask = {mask.data(), 0, 0, keys, 1};
    for (int i = 0; i < 2; ++i)
      call.values[random.integer(0, static_cast<int64_t>(call.values.size()) - 1)] = i == 0 ? 0x7fff : 0xff80;
    INFO("round " << round << ": " << test::describe(a));
    REQUIRE(call.p.check() == "");
    const std::vector<float> got = call.p.output;
    REQUIRE(test::on_scalar([&] { return call.p.run(); }) == "");
    REQUIRE(test::bits_difference(got, call.p.output) == "");
  }
}

TEST_CASE("bf16_weights: mixtures agree with the oracle, scalar and any number of threads", "[same_bits][mixtures]") {
  attn::ThreadPool pool(3);
  const attn::Parallel parallel = pool.parallel();
  for (int round = 0; round < test::rounds(1500); ++round) {
    test::Random random(static_cast<std::uint64_t>(57000 + round));
    test::RandomProblem p(random, attn::Path::streaming, round % 20 == 0);
    if (round % 2 == 1) p.vary_bias(random);
    p.weigh_in_bf16();
    INFO("round " << round << ": " << test::describe(p.args()));
    REQUIRE(p.check() == "");
    const std::vector<std::uint32_t> results = p.results();
    REQUIRE(!results.empty());
    p.args().parallel = &parallel;
    REQUIRE(p.results() == results);
    p.args().parallel = nullptr;
    if (!test::scalar_is_active()) REQUIRE(test::on_scalar([&] { return p.results(); }) == results);
  }
}

TEST_CASE("bf16_weights: mixtures have the bits that they had", "[same_bits][mixtures][hashes]") {
  test::Hash hash;
  for (int round = 0; round < 100; ++round) {
    test::Random random(static_cast<std::uint64_t>(59000 + round));
    test::RandomProblem p(random, attn::Path::streaming);
    p.weigh_in_bf16();
    const std::vector<std::uint32_t> results = p.results();
    REQUIRE(!results.empty());
    hash.add(results);
  }
  CHECK(test::hash_difference("pairs/mixtures with bf16 weights", hash.value()) == "");
}
