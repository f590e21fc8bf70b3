// P1 of caches in pages: every page length has the bits of rows one after the other, on every way of a call.
#include "support/pages.hpp"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/isas.hpp"
#include "support/random_problem.hpp"

namespace {

using attn::AttentionArgs;
using std::int64_t;
using test::Problem;

constexpr int64_t page_lengths[] = {16, 32, 64, 128, 256, 512, 1024, 2560};

struct Case {
  const char* name;
  test::Shape shape;
  void (*set)(Problem& p);
};

const std::int64_t lengths[] = {530, 1}, offsets[] = {300, 40};

const Case cases[] = {
    {"one row of one head", {2, 3, 3, 1, 700, 20, 37}, [](Problem&) {}},
    {"few rows of groups", {1, 8, 2, 1, 1100, 36, 20}, [](Problem&) {}},
    {"a few queries", {2, 4, 2, 5, 600, 64, 64}, [](Problem& p) { p.args.causal = true; }},
    {"few keys", {3, 2, 2, 1, 5, 16, 16}, [](Problem&) {}},
    {"many small heads", {2, 12, 12, 1, 60, 16, 16}, [](Problem&) {}},
    {"prefill",
     {1, 4, 2, 200, 1300, 33, 47},
     [](Problem& p) {
       p.args.causal = true;
       p.want_logsumexp();
     }},
    {"small heads, packed", {2, 6, 6, 60, 70, 16, 16}, [](Problem&) {}},
    {"a window far from both ends, in place",
     {1, 2, 1, 3, 2000, 17, 16},
     [](Problem& p) {
       p.args.causal = true;
       p.args.window_left = 37;
       p.args.alignment = attn::Alignment::given;
       p.args.query_offsets = offsets;
     }},
    {"a window far from both ends, packed",
     {1, 2, 2, 60, 2000, 17, 16},
     [](Problem& p) {
       p.args.window_left = 37;
       p.args.window_right = 5;
       p.args.alignment = attn::Alignment::given;
       p.args.query_offsets = offsets;
     }},
    {"key lengths, weights and sums",
     {2, 4, 2, 40, 1030, 20, 20},
     [](Problem& p) {
       p.args.key_lengths = lengths;
       p.args.window_left = 100;
       p.want_weights();
       p.want_key_weight_sums();
     }},
    {"scores of all keys",
     {2, 4, 2, 3, 1030, 20, 20},
     [](Problem& p) {
       p.args.key_lengths = lengths;
       p.args.window_left = 10;
       p.want_scores(attn::ScoresStage::scaled);
       p.want_weights();
     }},
    {"products beyond float",
     {1, 2, 2, 2, 90, 8, 8},
     [](Problem& p) {
       for (std::size_t i = 0; i < p.k.size(); i += 7) p.k[i] = 3e38f;
       for (std::size_t i = 0; i < p.q.size(); i += 5) p.q[i] = 2e5f;
       p.args.scale = 1e-30f;
     }},
    {"from memory", {1, 16, 8, 1, 2100, 64, 64}, [](Problem&) {}},  // 8.6 MB: fetched ahead
};

// Keys and values of a problem as halves.
struct Halves {
  std::vector<std::uint16_t> k, v;
  void store(Problem& p, attn::DType type) {
    for (const float x : p.k) k.push_back(test::to_half(x, type));
    for (const float x : p.v) v.push_back(test::to_half(x, type));
    p.args.key.data = k.data();
    p.args.value.data = v.data();
    p.args.key.dtype = p.args.value.dtype = type;
  }
};

void check_lengths(const Case& c, attn::DType type) {
  test::Random random(91);
  Problem p(c.shape, random);
  p.args.path = attn::Path::streaming;
  Halves halves;
  c.set(p);
  if (type != attn::DType::f32) halves.store(p, type);
  INFO(c.name << ", type " << static_cast<int>(type));
  REQUIRE(p.check() == "");
  const std::vector<float> want = p.results();
  const AttentionArgs plain = p.args;
  for (const int64_t length : page_lengths) {
    p.args = plain;
    test::Pages pages;
    pages.lay(p.args, length, random);
    for (const int64_t threads : {1, 2, 3}) {
      if (test::quick() && threads != (length < 64 ? 1 : 2)) continue;
      attn::ThreadPool pool(threads);
      const attn::Parallel parallel = pool.parallel();
      p.args.parallel = threads > 1 ? &parallel : nullptr;
      std::fill(p.output.begin(), p.output.end(), test::canary);
      INFO("pages of " << length << ", " << threads << " threads");
      REQUIRE(p.run() == "");
      REQUIRE(test::bits_difference(p.results(), want) == "");
    }
  }
}

}  // namespace

TEST_CASE("pages: of every length have the bits of rows one after the other", "[same_bits][pages]") {
  for (const Case& c : cases)
    for (const attn::DType type : {attn::DType::f32, attn::DType::f16, attn::DType::bf16}) {
      const bool large = c.shape.kv_heads * c.shape.key_length * c.shape.query_length > 10000;
      if (test::quick() && large && type == attn::DType::f16) continue;
      check_lengths(c, type);
    }
}

TEST_CASE("pages: in any mixture of options, the bits of rows one after the other", "[same_bits][pages][mixtures]") {
  int laid = 0;
  const int many = test::rounds(2000);
  for (int round = 0; round < many; ++round) {
    test::Random random(static_cast<std::uint64_t>(61000 + round));
    test::RandomProblem p(random, attn::Path::streaming, round % 20 == 0);
    if (round % 2 == 1) p.vary_bias(random);
    if (round % 5 == 1) p.add_structure(random);
    const std::vector<std::uint32_t> want = p.results();
    REQUIRE(!want.empty());
    if (!p.lay_in_pages(random)) continue;
    ++laid;
    INFO("round " << round << ": " << test::describe(p.args()));
    REQUIRE(p.results() == want);
    attn::ThreadPool pool(round % 3 + 2);
    const attn::Parallel parallel = pool.parallel();
    if (round % 10 == 0) p.args().parallel = &parallel;
    REQUIRE(p.results() == want);
  }
  CHECK((laid > many / 2 || test::given_seed()));
}
