// Results that float32 can hold, where a product, or a sum before its division, cannot. And how much of a sum of
// weights float32 may lose.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "attn/attn.hpp"
#include "simd/kernels.hpp"
#include "support/catch.hpp"
#include "support/isas.hpp"
#include "support/oracle.hpp"
#include "support/paths.hpp"
#include "support/problem.hpp"

namespace {

using attn::Path;
using test::Problem;

constexpr float largest = std::numeric_limits<float>::max();

// Every query sees all keys with the same score. A sum of n floats in any order is within n roundings, 2^-24 each, of
// the largest of them; four more for the weights and the division, 2^-8 for an output in bf16.
std::string mean_of(
    Path path, std::int64_t queries, const std::vector<float>& values, double want,
    attn::DType type = attn::DType::f32) {
  const std::int64_t keys = static_cast<std::int64_t>(values.size());
  Problem p({1, 1, 1, queries, keys, 3, 1});
  p.v = values;
  p.args.value.data = p.v.data();
  p.args.path = path;
  p.args.output.dtype = type;
  p.args.output.data = p.output.data();
  if (std::string wrong = p.run(); !wrong.empty()) return wrong;
  double top = 0;
  for (const float v : values) top = std::max(top, std::fabs(static_cast<double>(v)));
  const double bound = top * (static_cast<double>(keys + 4) * 0x1p-24 + (type == attn::DType::f32 ? 0 : 0x1p-8));
  for (const float x : test::gather(p.args.output, 1, 1, queries, 1))
    if (!(std::fabs(static_cast<double>(x) - want) <= bound))
      return "got " + std::to_string(x) + ", want " + std::to_string(want);
  return "";
}

// Products of up to 2^128 times those of the problem, under a scale that makes up for it.
void enlarge(Problem& p, test::Random& random) {
  const bool all = random.flip();
  const auto times = [&](std::vector<float>& x, std::int64_t columns, float factor) {
    for (std::size_t row = 0; row < x.size(); row += static_cast<std::size_t>(columns))
      if (all || random.flip())
        for (std::int64_t d = 0; d < columns; ++d) x[row + static_cast<std::size_t>(d)] *= factor;
  };
  if (all) {
    times(p.q, p.args.head_dim, 0x1p64f);
    times(p.k, p.args.head_dim, 0x1p64f);
    p.args.scale = (random.flip() ? 0x1p-129f : -0x1p-129f) / 2;
  } else {  // some rows alone: scores so far apart that one weighs all
    times(p.q, p.args.head_dim, 0x1p70f);
    times(p.k, p.args.head_dim, 0x1p70f);
    p.args.scale = 0x1p-20f;
  }
}

struct Options {
  std::vector<std::uint8_t> mask;
  std::vector<float> bias, slopes, sinks;

  void choose(Problem& p, test::Random& random) {
    attn::AttentionArgs& a = p.args;
    const std::size_t cells = static_cast<std::size_t>(a.query_length * a.key_length);
    a.causal = random.flip();
    if (random.flip()) a.window_left = random.integer(0, 40);
    if (random.flip()) {
      for (std::size_t i = 0; i < cells; ++i) mask.push_back(random.flip() || random.flip());
      a.mask = {mask.data(), 0, 0, a.key_length, 1};
    }
    if (random.flip()) return;
    for (std::size_t i = 0; i < cells; ++i) bias.push_back(random.normal());
    for (std::int64_t h = 0; h < a.query_heads; ++h) {
      slopes.push_back(0.1f);
      sinks.push_back(random.normal());
    }
    if (random.flip()) a.bias = {bias.data(), attn::DType::f32, 0, 0, a.key_length, 1};
    if (random.flip()) a.alibi_slopes = slopes.data();
    if (random.flip()) a.sinks = sinks.data();
    if (random.flip()) a.softcap = 5;
  }
};

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

}  // namespace

TEST_CASE("overflow: the score is finite, the product is not", "[right][overflow]") {
  const Path path = GENERATE(from_range(test::paths()));
  const float sign = GENERATE(-1.0f, 1.0f), negative_scale = GENERATE(1.0f, -1.0f);
  const std::int64_t queries = GENERATE(1, 13);
  CAPTURE(path, sign, negative_scale, queries);
  Problem p({1, 1, 1, queries, 1, 1, 1});
  std::fill(p.q.begin(), p.q.end(), 1e20f * sign);
  p.k = {1e20f};
  p.v = {5};
  p.args.key.data = p.k.data();
  p.args.value.data = p.v.data();
  p.args.scale = 1e-5f * negative_scale;
  p.args.path = path;
  p.want_weights();
  p.want_logsumexp();
  p.want_key_weight_sums();
  if (path == Path::blas) p.want_scores(attn::ScoresStage::scaled);
  REQUIRE(p.run() == "");
  const double want = 1e35 * static_cast<double>(sign * negative_scale);
  for (std::size_t r = 0; r < static_cast<std::size_t>(queries); ++r) {
    CHECK(p.output[r] == 5);
    CHECK(p.weights[r] == 1);
    CHECK(std::fabs(static_cast<double>(p.logsumexp[r]) / want - 1) <= 1e-6);
    if (path == Path::blas) CHECK(std::fabs(static_cast<double>(p.scores[r]) / want - 1) <= 1e-6);
  }
  CHECK(p.key_weight_sums[0] == static_cast<float>(queries));
}

TEST_CASE("overflow: softcap, bias, sink and a tiny scale bring a product back", "[right][overflow]") {
  const Path path = GENERATE(from_range(test::paths()));
  Problem p({1, 1, 1, 1, 2, 2, 1});
  p.args.path = path;
  p.v = {1, 3};
  p.args.value.data = p.v.data();
  p.want_logsumexp();
  SECTION("the bias: scores of -1e35 + 1e35 and 0") {
    p.q = {-1e20f, 0};
    p.k = {1e20f, 0, 0, 0};
    p.args.scale = 1e-5f;
    const float bias[] = {static_cast<float>(static_cast<double>(1e-5f) * (static_cast<double>(1e20f) * 1e20f)), 0};
    p.args.bias = {bias, attn::DType::f32, 0, 0, 0, 1};
    p.args.query.data = p.q.data();
    p.args.key.data = p.k.data();
    REQUIRE(p.run() == "");
    CHECK(p.output[0] == 2);
  }
  SECTION("a sink far below the keys, and far above them") {
    p.q = {-1e20f, 0};
    p.k = {1e20f, 0, 1e20f, 0};
    p.args.scale = 1e-5f;
    const float sink = GENERATE(-3e35f, 0.0f);
    p.args.sinks = &sink;
    p.args.query.data = p.q.data();
    p.args.key.data = p.k.data();
    REQUIRE(p.run() == "");
    CHECK(p.output[0] == (sink == 0 ? 0.0f : 2.0f));
  }
  SECTION("partial sums of both signs under a softcap: 1e40 - 1e40") {
    p.q = {1e20f, 1e20f};
    p.k = {1e20f, -1e20f, 0, 0};
    p.args.softcap = 2;
    p.args.query.data = p.q.data();
    p.args.key.data = p.k.data();
    REQUIRE(p.run() == "");
    CHECK(p.output[0] == 2);
  }
  SECTION("a tiny scale: products of -8e38 and -3.3e38 are scores of -0.8 and -0.33; 3e38 and -3e38 differ by 0.6") {
    const bool both = GENERATE(false, true);
    p.q = {1e19f, 0};
    if (both)
      p.k = {3e19f, 0, -3e19f, 0};
    else
      p.k = {-8e19f, 0, -3.3e19f, 0};
    p.args.scale = 1e-39f;
    p.args.query.data = p.q.data();
    p.args.key.data = p.k.data();
    CHECK(p.check() == "");
  }
}

TEST_CASE("overflow: beside an infinite key, and where the right row is empty or NaN", "[right][overflow]") {
  const Path path = GENERATE(from_range(test::paths()));
  const float infinity = std::numeric_limits<float>::infinity();
  Problem p({1, 1, 1, 1, 2, 2, 1});
  p.args.path = path;
  p.args.scale = 1e-5f;
  p.v = {5, 6};
  const auto point = [&] {
    p.args.query.data = p.q.data();
    p.args.key.data = p.k.data();
    p.args.value.data = p.v.data();
    p.want_weights();
    p.want_logsumexp();
    p.want_key_weight_sums();
  };
  SECTION("a score of -1e35 beside one of -inf") {
    p.q = {-1e20f, 0};
    p.k = {1e20f, 0, infinity, 0};
    p.k[3] = 1;
    point();
    REQUIRE(p.run() == "");
    CHECK(p.output[0] == 5);
    CHECK(p.weights == std::vector<float>{1, 0});
  }
  SECTION("a bias of -inf leaves none") {
    p.q = {1e20f, 0};
    p.k = {1e20f, 0, 1e20f, 0};
    const float bias[] = {-infinity, -infinity};
    p.args.bias = {bias, attn::DType::f32, 0, 0, 0, 1};
    point();
    REQUIRE(p.run() == "");
    CHECK(p.output[0] == 0);
    CHECK(p.logsumexp[0] == -infinity);
    CHECK(p.weights == std::vector<float>{0, 0});
    CHECK(p.key_weight_sums == std::vector<float>{0, 0});
  }
  SECTION("the chain gives +inf, the score is below the lowest float") {
    p.q = {1e20f, 1e20f};
    p.k = {1e20f, -3e25f, 1e20f, -3e25f};
    p.args.scale = 1;
    point();
    REQUIRE(p.run() == "");
    CHECK(p.output[0] == 0);
    CHECK(p.logsumexp[0] == -infinity);
  }
  SECTION("the chain gives -inf, the score is above the largest float") {
    p.q = {1e20f, 1e20f};
    p.k = {-1e20f, 3e25f, 0, 0};
    p.args.scale = 1;
    point();
    REQUIRE(p.run() == "");
    CHECK(std::isnan(p.output[0]));
    CHECK(std::isnan(p.logsumexp[0]));
    CHECK((std::isnan(p.weights[0]) && std::isnan(p.weights[1])));
  }
}

TEST_CASE("overflow: products of any size in mixtures of options agree with the oracle", "[right][overflow]") {
  const Path path = GENERATE(from_range(test::paths()));
  const int rounds = test::quick() ? 40 : test::scalar_is_active() ? 150 : 300;
  for (int seed = 0; seed < rounds; ++seed) {
    test::Random random(static_cast<std::uint32_t>(31000 + seed));
    const std::int64_t kv_heads = random.integer(1, 2), queries = random.integer(1, 20);
    const std::int64_t keys = random.integer(0, 9) == 0 ? random.integer(500, 1100) : random.integer(1, 70);
    Problem p(
        {random.integer(1, 2), kv_heads * random.integer(1, 3), kv_heads, queries, keys, random.integer(1, 70),
         random.integer(1, 70)},
        random);
    enlarge(p, random);
    Options options;
    options.choose(p, random);
    p.args.path = path;
    p.want_weights();
    p.want_logsumexp();
    p.want_key_weight_sums();
    INFO("seed " << random.seed() << ", " << test::describe(p.args));
    REQUIRE(p.check() == "");
  }
}

TEST_CASE("overflow: the same bits on every instruction set, for any threads, row by row", "[right][overflow][bits]") {
  attn::ThreadPool pool(3);
  const attn::Parallel parallel = pool.parallel();
  const int rounds = test::quick() ? 10 : 40;
  for (int seed = 0; seed < rounds; ++seed) {
    test::Random random(static_cast<std::uint32_t>(32000 + seed));
    const std::int64_t queries = seed % 2 ? random.integer(1, 3) : random.integer(13, 60);
    Problem p({1, 2, 1, queries, random.integer(500, 1500), 64, 64}, random);
    enlarge(p, random);
    if (seed % 3 == 0)
      for (float& x : p.v) x = x > 0 ? largest : 0.9f * largest;
    Options options;
    options.choose(p, random);
    p.args.path = Path::streaming;
    p.want_weights();
    p.want_logsumexp();
    p.want_key_weight_sums();
    INFO("seed " << random.seed() << ", " << test::describe(p.args));
    REQUIRE(p.run() == "");
    const std::vector<float> here = p.results();
    p.args.parallel = &parallel;
    REQUIRE(p.run() == "");
    CHECK(same_bits(p.results(), here));
    p.args.parallel = nullptr;
    REQUIRE(test::on_scalar([&] { return p.run(); }) == "");
    CHECK(same_bits(p.results(), here));

    // One query at a time, at its own position: decoding.
    const std::vector<float> together = p.output;
    attn::AttentionArgs a = p.args;
    a.query_length = 1;
    a.alignment = attn::Alignment::given;
    a.weights = {};
    a.key_weight_sums = nullptr;
    a.logsumexp = nullptr;
    const std::int64_t at = queries / 2, offset = a.key_length - queries + at;
    a.query_offsets = &offset;
    a.query.data = p.q.data() + at * a.head_dim;
    a.output.data = p.output.data() + at * a.value_dim;
    if (a.mask.data) a.mask.data += at * a.mask.row_stride;
    if (a.bias.data) a.bias.data = static_cast<const float*>(a.bias.data) + at * a.bias.row_stride;
    REQUIRE(attn::attention(a).ok());
    CHECK(same_bits(p.output, together));
  }
}

TEST_CASE("overflow: a mean of finite values is finite", "[right][overflow]") {
  const Path path = GENERATE(from_range(test::paths()));
  const std::int64_t queries = GENERATE(1, 13);
  CAPTURE(path, queries);
  CHECK(mean_of(path, queries, {2e38f, 2e38f}, 2e38) == "");
  CHECK(mean_of(path, queries, std::vector<float>(1000, 1e36f), 1e36) == "");
  CHECK(mean_of(path, queries, std::vector<float>(600, -3e38f), -3e38) == "");
  CHECK(mean_of(path, queries, std::vector<float>(1537, largest), static_cast<double>(largest)) == "");
  CHECK(mean_of(path, queries, {largest, -largest, largest}, static_cast<double>(largest) / 3) == "");
  CHECK(mean_of(path, queries, {3e38f, 3e38f, -3e38f, -3e38f}, 0) == "");
  CHECK(mean_of(path, queries, {2e38f, 2e38f}, 2e38, attn::DType::bf16) == "");
  // An infinite value stays infinite.
  Problem p({1, 1, 1, queries, 2, 1, 1});
  p.v = {std::numeric_limits<float>::infinity(), 1};
  p.args.value.data = p.v.data();
  p.args.path = path;
  REQUIRE(p.run() == "");
  CHECK(p.output[0] == std::numeric_limits<float>::infinity());
}

// README, "Guarantees": a sum of weights in float32 may lose what each of many small weights adds to a large one.
TEST_CASE("overflow: what a mean of equal values may lose", "[right][overflow]") {
  constexpr double u = 0x1p-24;
  constexpr std::int64_t block = attn::simd::key_block;
  const std::int64_t keys = GENERATE_COPY(17, block, block + 1, 8 * block);
  const std::int64_t queries = GENERATE(1, 13);
  const double blocks = static_cast<double>((keys + block - 1) / block),
               longest = static_cast<double>(std::min(keys, block));
  double largest_error = 0;
  for (float score = -18; score < 0; score += 0.34f) {  // -16.64 among them
    Problem p({1, 1, 1, queries, keys, 1, 2});
    std::fill(p.q.begin(), p.q.end(), 1.0f);
    std::fill(p.k.begin(), p.k.end(), score);
    p.k[0] = 0;
    std::fill(p.v.begin(), p.v.end(), 1.0f);
    p.args.scale = 1;
    p.args.path = Path::streaming;
    p.want_weights();
    REQUIRE(p.run() == "");
    const double bound = (longest + longest / 16 + 6 * blocks + 6) * u;
    CAPTURE(keys, queries, score, bound);
    for (const float x : p.output) {
      CHECK(std::fabs(static_cast<double>(x) - 1) <= bound);
      largest_error = std::max(largest_error, std::fabs(static_cast<double>(x) - 1));
    }
    double sum = 0;
    for (std::int64_t j = 0; j < keys; ++j) sum += static_cast<double>(p.weights[j]);
    CHECK(std::fabs(sum - 1) <= (longest / 16 + 6 * blocks + 6) * u);
  }
  if (keys == block)
    CHECK(
        largest_error >
        0.25 * 3.3e-5 * static_cast<double>(block) / 512);  // the bound is no wider than what happens calls for
}

TEST_CASE("overflow: what the sum of a softmax may lose", "[right][overflow]") {
  const std::int64_t columns = GENERATE(1, 16, 65537, 1000003);
  const float score = GENERATE(-16.64f, -12.0f, -1.0f);
  std::vector<float> x(columns, score);
  x[0] = 0;
  REQUIRE(attn::softmax(x.data(), x.data(), 1, columns, columns, columns).ok());
  double sum = 0;
  for (const float y : x) sum += static_cast<double>(y);
  CAPTURE(columns, score, sum);
  CHECK(std::fabs(sum - 1) <= (static_cast<double>(columns) / 16 + 6) * 0x1p-24);
}
