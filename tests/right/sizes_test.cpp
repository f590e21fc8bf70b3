// attention() against the oracle on both paths: every length around the vector, panel and block widths, every head
// size, grouped heads, scales, and random mixtures of all options and layouts.
#include <cmath>
#include <vector>

#include "attn/attention.hpp"
#include "simd/kernels.hpp"
#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/isas.hpp"
#include "support/layout.hpp"
#include "support/paths.hpp"
#include "support/problem.hpp"
#include "support/random.hpp"

namespace {

using attn::Alignment;
using attn::Path;
using test::describe;
using test::Problem;
using test::Random;
using test::Shape;

// Panels are of 16 to 64 keys, tiles of up to 48 rows, the BLAS path's blocks of 256 rows.
constexpr std::int64_t block = attn::simd::key_block;
const std::vector<std::int64_t> lengths{0,  1,   2,   3,   15,  16,        17,    33,        63,           64,
                                        65, 100, 127, 130, 257, block - 1, block, block + 1, 2 * block + 1};
const std::vector<std::int64_t> head_sizes{1, 2, 3, 5, 8, 15, 16, 17, 31, 33, 64, 65, 72, 80, 96, 127, 129, 257};

}  // namespace

TEST_CASE("attention: every pair of lengths", "[right][attention]") {
  const Path path = GENERATE(from_range(test::paths()));
  Random random(21);
  CAPTURE(random.seed());
  for (const std::int64_t query_length : lengths)
    for (const std::int64_t key_length : lengths) {
      if (test::quick() && query_length * key_length > 20000) continue;
      // Large heads where they are affordable.
      Shape s{1, 1, 1, query_length, key_length, random.pick(head_sizes), random.pick(head_sizes)};
      while (s.query_length * s.key_length * (s.head_dim + s.value_dim) > 4000000) {
        s.head_dim = s.head_dim / 2 + 1;
        s.value_dim = s.value_dim / 3 + 1;
      }
      Problem p(s, random);
      p.args.path = path;
      p.args.causal = random.flip();
      p.want_logsumexp();
      if (path == Path::blas && random.flip()) p.want_weights();
      INFO(describe(p.args));
      CHECK(p.check() == "");
    }
}

TEST_CASE("attention: every pair of head sizes", "[right][attention]") {
  const Path path = GENERATE(from_range(test::paths()));
  Random random(22);
  CAPTURE(random.seed());
  const std::vector<std::int64_t> queries{1, 2, 5, 13, 31}, keys{1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 64, 65, 100};
  for (const std::int64_t head_dim : head_sizes)
    for (const std::int64_t value_dim : head_sizes) {
      Problem p({1, 1, 1, random.pick(queries), random.pick(keys), head_dim, value_dim}, random);
      p.args.path = path;
      INFO(describe(p.args));
      CHECK(p.check() == "");
    }
}

TEST_CASE("attention: batches and grouped heads", "[right][attention]") {
  const Path path = GENERATE(from_range(test::paths()));
  Random random(23);
  CAPTURE(random.seed());
  for (const std::int64_t batch : {1, 2, 3})
    for (const std::int64_t kv_heads : {1, 2, 3})
      for (const std::int64_t group : {1, 2, 3, 4, 8, 13})
        for (const std::int64_t query_length : {1, 2, 7, 20}) {
          Problem p({batch, kv_heads * group, kv_heads, query_length, 37, 12, 9}, random);
          p.args.path = path;
          p.args.causal = random.flip();
          p.want_logsumexp();
          if (path == Path::blas) p.want_weights();
          INFO(describe(p.args));
          CHECK(p.check() == "");
        }
}

TEST_CASE("attention: scale", "[right][attention]") {
  const Path path = GENERATE(from_range(test::paths()));
  Random random(24);
  CAPTURE(random.seed());
  for (const std::int64_t query_length : {1, 30})
    for (const float scale : {0.0f, 0.25f, 1.0f, -0.25f, -1.0f, 1e-3f, 0.5f}) {
      Problem p({1, 2, 1, query_length, 50, 16, 8}, random);
      p.args.path = path;
      p.args.scale = scale;
      p.want_logsumexp();
      INFO(describe(p.args));
      CHECK(p.check() == "");
    }
}

TEST_CASE("attention: the default scale is 1 / sqrt(head_dim)", "[right][attention]") {
  const Path path = GENERATE(from_range(test::paths()));
  Random random(25);
  Problem p({1, 1, 1, 20, 40, 16, 8}, random), q({1, 1, 1, 20, 40, 16, 8});
  q.args.query = p.args.query;
  q.args.key = p.args.key;
  q.args.value = p.args.value;
  p.args.path = q.args.path = path;
  q.args.scale = 0.25f;
  REQUIRE(p.run() == "");
  REQUIRE(q.run() == "");
  CHECK(test::bits_difference(p.output, q.output) == "");
}

TEST_CASE("attention: automatic is streaming, also with weights and scores", "[right][attention]") {
  for (const bool all : {false, true}) {
    Random random(26);
    Problem p({1, 2, 2, 33, 700, 24, 24}, random);
    if (all) {
      p.want_weights();
      p.want_scores(attn::ScoresStage::biased);
    }
    REQUIRE(p.run() == "");
    const std::vector<float> automatic = p.results();
    p.args.path = Path::streaming;
    CHECK(p.check() == "");
    CHECK(test::bits_difference(automatic, p.results()) == "");
  }
}

// Every option and layout at once. The oracle knows them all; what is ignored, or read from the wrong place, shows.
TEST_CASE("attention: random mixtures of options and layouts", "[right][attention]") {
  const Path path = GENERATE(from_range(test::paths()));
  Random random(27);
  CAPTURE(random.seed());
  const test::Rows rows = path == Path::blas ? test::Rows::forward : test::Rows::any;
  const int rounds = test::quick() ? 60 : test::scalar_is_active() ? 800 : 2500;
  for (int round = 0; round < rounds; ++round) {
    Shape s;
    s.batch = random.integer(1, 3);
    s.kv_heads = random.integer(1, 3);
    s.query_heads = s.kv_heads * random.integer(1, 4);
    s.query_length = random.integer(1, random.flip() ? 4 : 60);
    s.key_length = random.integer(0, random.integer(0, 9) == 0 ? 1100 : 90);
    s.head_dim = random.integer(1, random.flip() ? 20 : 70);
    s.value_dim = random.integer(1, random.flip() ? 20 : 70);
    Problem p(s);
    attn::AttentionArgs& a = p.args;
    const test::Dims query{s.batch, s.query_heads, s.query_length, s.head_dim};
    const test::Dims key{s.batch, s.kv_heads, s.key_length, s.head_dim},
        value{s.batch, s.kv_heads, s.key_length, s.value_dim};
    const test::Dims output{s.batch, s.query_heads, s.query_length, s.value_dim};
    const test::Strided q = test::random_layout(random, query, rows, test::Use::input);
    const test::Strided k = test::random_layout(random, key, rows, test::Use::input);
    const test::Strided v = test::random_layout(random, value, rows, test::Use::input);
    test::Strided o = test::random_layout(random, output, rows, test::Use::result, test::canary);
    a.query = q.tensor();
    a.key = k.tensor();
    a.value = v.tensor();
    a.output = o.output();
    const test::Dims weights{s.batch, s.query_heads, s.query_length, s.key_length};
    test::Strided w = test::random_layout(random, weights, rows, test::Use::result, test::canary);
    if (path == Path::blas && random.flip() && s.key_length > 0) a.weights = w.output();
    if (random.flip()) p.want_logsumexp();

    a.path = path;
    a.scale = random.pick(std::vector<float>{0.0f, 0.0f, 0.3f, -0.3f});
    a.causal = random.flip();
    a.alignment = static_cast<Alignment>(random.integer(0, 2));
    std::vector<std::int64_t> offsets, key_lengths;
    for (std::int64_t b = 0; b < s.batch; ++b) {
      offsets.push_back(random.integer(-5, s.key_length + 3));
      key_lengths.push_back(random.integer(0, s.key_length));
    }
    if (a.alignment == Alignment::given) a.query_offsets = offsets.data();
    if (random.integer(0, 2) == 0) a.key_lengths = key_lengths.data();
    if (random.integer(0, 2) == 0) a.window_left = random.integer(0, 40);
    if (random.integer(0, 3) == 0) a.window_right = random.integer(0, 40);

    INFO("round " << round << ": " << describe(a));
    const std::vector<float> q_before = q.storage, k_before = k.storage, v_before = v.storage;
    REQUIRE(p.check() == "");
    REQUIRE(test::bits_equal(q.storage, q_before));
    REQUIRE(test::bits_equal(k.storage, k_before));
    REQUIRE(test::bits_equal(v.storage, v_before));
    REQUIRE(test::gaps_kept(o, output, test::canary) == "");
    REQUIRE(test::gaps_kept(w, a.weights.data ? weights : test::Dims{0, 0, 0, 0}, test::canary) == "");
  }
}
