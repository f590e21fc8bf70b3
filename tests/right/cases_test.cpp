// Small cases with known answers, most of them after public reports of what other libraries got wrong.
// "scalar": one head, head_dim = value_dim = 1, scale 1. "q = 0": all queries zero, so that the result is a plain mean.
#include <cmath>
#include <limits>
#include <vector>

#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/isas.hpp"
#include "support/paths.hpp"
#include "support/problem.hpp"

namespace {

using attn::Alignment;
using attn::Path;
using test::Problem;

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float quiet_nan = std::numeric_limits<float>::quiet_NaN();

// All within 2e-6, relative; 0 and NaN exactly.
void check_values(const std::vector<float>& got, const std::vector<double>& want) {
  REQUIRE(got.size() == want.size());
  for (std::size_t i = 0; i < want.size(); ++i) {
    INFO("element " << i << ": got " << got[i] << ", want " << want[i]);
    CHECK(test::close(static_cast<double>(got[i]), want[i], 2e-6 * std::fabs(want[i])));
  }
}

// One head, head_dim = value_dim = 1, scale 1.
struct Scalar : Problem {
  Scalar(Path path, const std::vector<float>& queries, const std::vector<float>& keys, const std::vector<float>& values)
      : Problem({1, 1, 1, static_cast<std::int64_t>(queries.size()), static_cast<std::int64_t>(keys.size()), 1, 1}) {
    q.assign(queries.begin(), queries.end());
    k.assign(keys.begin(), keys.end());
    v.assign(values.begin(), values.end());
    args.query.data = q.data();
    args.key.data = k.data();
    args.value.data = v.data();
    args.scale = 1;
    args.path = path;
  }
};

std::vector<float> powers_of_two(std::size_t n) {
  std::vector<float> v(n);
  for (std::size_t j = 0; j < n; ++j) v[j] = std::ldexp(1.0f, static_cast<int>(j));
  return v;
}

std::vector<float> zeros(std::size_t n) { return std::vector<float>(n, 0.0f); }

}  // namespace

TEST_CASE("case: an infinite score", "[right][attention][case]") {
  const Path path = GENERATE(from_range(test::paths()));
  SECTION("+inf makes the row NaN") {
    Scalar p(path, {1}, {0, infinity, 1}, {1, 2, 3});
    REQUIRE(p.run() == "");
    check_values(p.output, {static_cast<double>(quiet_nan)});
  }
  SECTION("-inf weighs nothing") {
    Scalar p(path, {1}, {0, -infinity, std::log(3.0f)}, {4, 100, 8});
    REQUIRE(p.run() == "");
    check_values(p.output, {7});
  }
  SECTION("only -inf is an empty row") {
    Scalar p(path, {1}, {-infinity, -infinity, -infinity}, {4, 100, 8});
    p.want_logsumexp();
    REQUIRE(p.run() == "");
    CHECK(test::bits(p.output[0]) == 0);
    CHECK(p.logsumexp[0] == -infinity);
  }
  SECTION("a product that overflows is +inf") {
    Scalar p(path, {1e20f}, {1e20f, 1e20f}, {1, 3});
    REQUIRE(p.run() == "");
    check_values(p.output, {static_cast<double>(quiet_nan)});
  }
}

TEST_CASE("case: causal stands at the bottom right unless asked otherwise", "[right][attention][case]") {
  const Path path = GENERATE(from_range(test::paths()));
  Scalar p(path, zeros(2), zeros(4), {1, 2, 4, 8});
  p.args.causal = true;
  SECTION("default") {
    REQUIRE(p.run() == "");
    check_values(p.output, {7.0 / 3, 3.75});
  }
  SECTION("top left") {
    p.args.alignment = Alignment::top_left;
    REQUIRE(p.run() == "");
    check_values(p.output, {1, 1.5});
  }
  SECTION("given") {
    const std::int64_t offset = 1;
    p.args.alignment = Alignment::given;
    p.args.query_offsets = &offset;
    REQUIRE(p.run() == "");
    check_values(p.output, {1.5, 7.0 / 3});
  }
  SECTION("given, before the first key") {
    const std::int64_t offset = -1;
    p.args.alignment = Alignment::given;
    p.args.query_offsets = &offset;
    REQUIRE(p.run() == "");
    check_values(p.output, {0, 1});
  }
  SECTION("one query sees all keys") {
    Scalar one(path, {0}, zeros(4), {1, 2, 4, 8});
    one.args.causal = true;
    REQUIRE(one.run() == "");
    check_values(one.output, {3.75});
  }
  SECTION("more queries than keys: the first see none") {
    Scalar more(path, zeros(4), zeros(2), {1, 3});
    more.args.causal = true;
    REQUIRE(more.run() == "");
    check_values(more.output, {0, 0, 1, 2});
  }
}

TEST_CASE("case: a window counts the current token", "[right][attention][case]") {
  const Path path = GENERATE(from_range(test::paths()));
  Scalar p(path, zeros(8), zeros(8), powers_of_two(8));
  p.args.causal = true;
  const std::vector<double> three{1, 1.5, 7.0 / 3, 14.0 / 3, 28.0 / 3, 56.0 / 3, 112.0 / 3, 224.0 / 3};
  SECTION("three keys") {
    p.args.window_left = 2;
    REQUIRE(p.run() == "");
    check_values(p.output, three);
  }
  SECTION("the same by the right side of the window") {
    p.args.causal = false;
    p.args.window_left = 2;
    p.args.window_right = 0;
    REQUIRE(p.run() == "");
    check_values(p.output, three);
  }
  SECTION("one key") {
    p.args.window_left = 0;
    REQUIRE(p.run() == "");
    CHECK(p.output == p.v);
  }
  SECTION("wider than the sequence") {
    REQUIRE(p.run() == "");
    const std::vector<float> causal = p.output;
    p.args.window_left = GENERATE(std::int64_t{7}, std::int64_t{999}, std::numeric_limits<std::int64_t>::max());
    REQUIRE(p.run() == "");
    CHECK(test::bits_equal(p.output, causal));
  }
  SECTION("two last queries") {
    Scalar last(path, zeros(2), zeros(8), powers_of_two(8));
    last.args.causal = true;
    last.args.window_left = 2;
    REQUIRE(last.run() == "");
    check_values(last.output, {three[6], three[7]});
  }
  SECTION("keys after the query") {
    p.args.causal = false;
    p.args.window_left = 0;
    p.args.window_right = 1;
    REQUIRE(p.run() == "");
    check_values(p.output, {1.5, 3, 6, 12, 24, 48, 96, 128});
  }
}

TEST_CASE("case: query heads are grouped, not interleaved", "[right][attention][case]") {
  const Path path = GENERATE(from_range(test::paths()));
  Problem p({1, 6, 2, 1, 3, 1, 1});
  p.v = {10, 10, 10, 20, 20, 20};
  p.args.value.data = p.v.data();
  p.args.path = path;
  REQUIRE(p.run() == "");
  check_values(p.output, {10, 10, 10, 20, 20, 20});
}

TEST_CASE("case: valid length of each sequence", "[right][attention][case]") {
  const Path path = GENERATE(from_range(test::paths()));
  Problem p({4, 1, 1, 1, 8, 1, 1});
  for (std::size_t i = 0; i < p.v.size(); ++i) p.v[i] = static_cast<float>(i % 8 + 1);
  const std::vector<std::int64_t> key_lengths{1, 5, 8, 0};
  p.args.key_lengths = key_lengths.data();
  p.args.path = path;
  REQUIRE(p.run() == "");
  check_values(p.output, {1, 3, 4.5, 0});
  // Padding has no influence, and bottom_right counts from the sequence's own length.
  const std::vector<float> before = p.output;
  for (std::size_t i = 0; i < p.v.size(); ++i)
    if (static_cast<std::int64_t>(i % 8) >= key_lengths[i / 8]) {
      p.v[i] = 1e6f;
      p.k[i] = -77;
    }
  REQUIRE(p.run() == "");
  CHECK(test::bits_equal(p.output, before));

  Problem two({1, 1, 1, 2, 8, 1, 1});
  for (std::size_t i = 0; i < 8; ++i) two.v[i] = static_cast<float>(i + 1);
  const std::int64_t length = 3;
  two.args.key_lengths = &length;
  two.args.causal = true;
  two.args.path = path;
  REQUIRE(two.run() == "");
  check_values(two.output, {1.5, 2});
}

TEST_CASE("case: the scale comes from head_dim, not from value_dim", "[right][attention][case]") {
  const Path path = GENERATE(from_range(test::paths()));
  Problem p({1, 1, 1, 1, 2, 4, 16});
  p.q[0] = 2;
  p.k[4] = std::log(3.0f);
  for (std::size_t e = 16; e < 32; ++e) p.v[e] = 4;
  p.args.path = path;
  REQUIRE(p.run() == "");
  check_values(p.output, std::vector<double>(16, 3.0));
}

TEST_CASE("case: weights are a softmax, and sum to 1", "[right][attention][case]") {
  const Path path = GENERATE(from_range(test::paths()));
  Problem p({1, 1, 1, 1, 6, 1, 6});
  p.q = {1};
  p.k = {7.25f, 6.5f, 5.125f, 4.75f, 3.5f, 3.0f};
  for (std::size_t j = 0; j < 6; ++j) p.v[j * 7] = 1;  // identity: the output is the weights
  p.args.query.data = p.q.data();
  p.args.key.data = p.k.data();
  p.args.scale = 1;
  p.args.path = path;
  REQUIRE(p.run() == "");
  double sum = 0;
  for (const float x : p.k) sum += std::exp(static_cast<double>(x));
  std::vector<double> want;
  for (const float x : p.k) want.push_back(std::exp(static_cast<double>(x)) / sum);
  check_values(p.output, want);
  CHECK(std::fabs(static_cast<double>(p.output[0]) - 0.584226) <= 1e-6);

  test::Random random(34);
  CAPTURE(random.seed());
  for (std::size_t n = 1; n <= 70; ++n) {
    std::vector<float> keys;
    for (std::size_t j = 0; j < n; ++j) keys.push_back(random.uniform(-20, 20));
    Scalar ones(path, {1}, keys, std::vector<float>(n, 1.0f));
    REQUIRE(ones.run() == "");
    INFO("keys " << n);
    CHECK(std::fabs(static_cast<double>(ones.output[0]) - 1) <= 1e-6);
  }
}

TEST_CASE("case: large scores", "[right][attention][case]") {
  const Path path = GENERATE(from_range(test::paths()));
  SECTION("thousands") {
    Scalar p(path, {1}, {90, 2000, -2000, 1999}, {1, 2, 3, 4});
    REQUIRE(p.run() == "");
    check_values(p.output, {2.5378828427});
  }
  SECTION("a new maximum in every block, and the reverse") {
    std::vector<float> rising, falling, index;
    for (int j = 0; j < 2000; ++j) {
      rising.push_back(10.0f * static_cast<float>(j));
      falling.push_back(10.0f * static_cast<float>(1999 - j));
      index.push_back(static_cast<float>(j));
    }
    Scalar up(path, {1}, rising, index), down(path, {1}, falling, index);
    REQUIRE(up.run() == "");
    REQUIRE(down.run() == "");
    const double rest = 1 / (std::exp(10.0) - 1);  // the mean distance from the top key
    check_values(up.output, {1999 - rest});
    check_values(down.output, {rest});
  }
  SECTION("the lowest float is an ordinary score") {
    const float lowest = -std::numeric_limits<float>::max();
    Scalar same(path, {1}, {lowest, lowest, lowest}, {1, 2, 3});
    REQUIRE(same.run() == "");
    check_values(same.output, {2});
    Scalar one(path, {1}, {lowest, 0, lowest}, {1, 2, 3});
    REQUIRE(one.run() == "");
    check_values(one.output, {2});
    Scalar far(path, {1}, {lowest, -lowest}, {1, 2});
    REQUIRE(far.run() == "");
    check_values(far.output, {2});
  }
}

TEST_CASE("case: weights at the lower end of exp", "[right][attention][case]") {
  const Path path = GENERATE(from_range(test::paths()));
  std::vector<float> gaps;
  for (int i = 0; i <= 11000; i += test::quick() ? 97 : 1) gaps.push_back(-0.01f * static_cast<float>(i));
  for (const float g : {-200.0f, -1e30f, -std::numeric_limits<float>::max()}) gaps.push_back(g);
  // Query row t has scores 0 and g[t]; V = (0, 1), so that the output is e^g / (1 + e^g).
  Problem p({1, 1, 1, static_cast<std::int64_t>(gaps.size()), 2, 1, 1});
  p.q = gaps;
  p.k = p.v = {0, 1};
  p.args.query.data = p.q.data();
  p.args.key.data = p.k.data();
  p.args.value.data = p.v.data();
  p.args.scale = 1;
  p.args.path = path;
  REQUIRE(p.run() == "");
  float before = 1;
  for (std::size_t t = 0; t < gaps.size(); ++t) {
    const double e = std::exp(static_cast<double>(gaps[t])), want = e / (1 + e), got = static_cast<double>(p.output[t]);
    INFO("score " << gaps[t] << ": got " << got << ", want " << want);
    if (gaps[t] >= -87.3f) REQUIRE(std::fabs(got - want) <= 2e-6 * want);
    if (gaps[t] < -87.3f) REQUIRE(std::fabs(got - want) <= 1.2e-38);
    if (gaps[t] < -104) REQUIRE(got == 0);
    REQUIRE(p.output[t] <= before);
    before = p.output[t];
    REQUIRE(got >= 0);
  }
}
