// P1 of keys in panels: the bits of the same keys in rows, in any mixture of options, on every instruction set and any
// number of threads, at once and token by token.
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "attn/attention.hpp"
#include "attn/kv_cache.hpp"
#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/hashes.hpp"
#include "support/isas.hpp"
#include "support/random_problem.hpp"

using attn::DType;
using std::int64_t;

TEST_CASE("panels: the bits of rows", "[same_bits][panels][mixtures][bits]") {
  for (int round = 0; round < test::rounds(1500); ++round) {
    test::Random random(static_cast<std::uint64_t>(21000 + round));
    test::RandomProblem p(random, attn::Path::streaming, round % 20 == 0);
    if (round % 2 == 1) p.vary_bias(random);
    if (round % 3 == 1) p.add_structure(random);
    p.align_keys();
    INFO("round " << round << ": " << test::describe(p.args()));
    const std::vector<std::uint32_t> want = p.results();
    REQUIRE(!want.empty());
    p.lay_in_panels(random);
    REQUIRE(p.args().key_layout == attn::KeyLayout::panels);
    REQUIRE(p.results() == want);
    if (!test::scalar_is_active()) REQUIRE(test::on_scalar([&] { return p.results(); }) == want);
  }
}

TEST_CASE("panels: the same bits on any number of threads", "[same_bits][panels][mixtures][bits]") {
  attn::ThreadPool pool(3);
  const attn::Parallel parallel = pool.parallel();
  for (int round = 0; round < test::rounds(100); ++round) {
    test::Random random(static_cast<std::uint64_t>(22000 + round));
    test::RandomProblem p(random, attn::Path::streaming, true);
    p.lay_in_panels(random);
    INFO("round " << round << ": " << test::describe(p.args()));
    const std::vector<std::uint32_t> want = p.results();
    REQUIRE(!want.empty());
    p.args().parallel = &parallel;
    REQUIRE(p.results() == want);
  }
}

TEST_CASE("panels: have the bits that they had", "[same_bits][panels][hashes]") {
  test::Hash hash;
  for (int round = 0; round < 100; ++round) {
    test::Random random(static_cast<std::uint64_t>(23000 + round));
    test::RandomProblem p(random, attn::Path::streaming);
    p.lay_in_panels(random);
    const std::vector<std::uint32_t> results = p.results();
    REQUIRE(!results.empty());
    hash.add(results);
  }
  CHECK(test::hash_difference("panels/0 to 99", hash.value()) == "");
}

// Heads without a group, few keys: KV heads run as stacks; and more rows than are read in place.
TEST_CASE("panels: every count of keys, rows and columns", "[same_bits][panels][bits]") {
  const DType type = GENERATE(DType::f32, DType::f16, DType::bf16, DType::i8);
  const std::vector<int64_t> lengths{1, 7, 16, 17, 31, 33, 48, 64, 65, 100, 128, 256, 257, 511, 513, 600, 1030};
  for (const int64_t keys : lengths)
    for (const int64_t dim : {1, 2, 3, 16, 33})
      for (const int64_t rows : {1, 2, 3, 4, 5, 6, 12, 13, 50}) {
        if (test::quick() && (keys + dim + rows) % 5 != 0) continue;
        test::Random random(24000);
        test::Problem p({1, 5, 5, rows, keys, dim, 17}, random);
        std::vector<std::uint16_t> halves(p.k.size()), queries(p.q.size());
        const bool is_half = type == DType::f16 || type == DType::bf16;
        for (std::size_t i = 0; is_half && i < halves.size(); ++i) halves[i] = test::to_half(p.k[i], type);
        for (std::size_t i = 0; is_half && i < queries.size(); ++i) queries[i] = test::to_half(p.q[i], type);
        std::vector<std::int8_t> integers;
        for (const float x : p.k)
          integers.push_back(static_cast<std::int8_t>(std::max(-127.0f, std::min(40 * x, 127.0f))));
        std::vector<float> scales = random.normals(5 * keys);
        if (type != DType::f32) p.args.key.data = halves.data();
        if (type == DType::i8) p.args.key.data = integers.data();
        if (type == DType::i8) p.args.key_scales = {scales.data(), 0, keys, 1};
        if (type == DType::bf16) p.args.query.data = queries.data();
        if (type == DType::bf16) p.args.query.dtype = type;
        p.args.key.dtype = type;
        p.args.path = attn::Path::streaming;
        p.want_scores(attn::ScoresStage::scaled);
        INFO(test::describe(p.args));
        REQUIRE(p.run() == "");
        const std::vector<float> want = p.results();
        const std::size_t width = type == DType::f32 ? 4 : type == DType::i8 ? 1 : 2;
        std::vector<unsigned char> panels(5 * attn::panel_rows(keys) * dim * width, 0xff);
        const attn::Output to = {panels.data(), type, 0, attn::panel_rows(keys) * dim, 16 * dim};
        REQUIRE(attn::keys_to_panels(1, 5, keys, dim, p.args.key, to).ok());
        p.args.key = to;
        p.args.key_layout = attn::KeyLayout::panels;
        REQUIRE(p.run() == "");
        REQUIRE(test::bits_difference(p.results(), want) == "");
        p.args.scores = {};  // keys behind the causal edge are then not multiplied
        p.args.causal = true;
        if (keys * dim * rows < 10000) REQUIRE(p.check() == "");
      }
}
