// bf16 queries times bf16 keys: one fma chain over the columns 1, 0, 3, 2, ..., an odd last one alone, as CPUs with an
// instruction for pairs of bf16 compute it. Against a chain written here.
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/hashes.hpp"
#include "support/isas.hpp"
#include "support/problem.hpp"

namespace {

using std::int64_t;
using test::Problem;

std::vector<std::uint16_t> draw(test::Random& random, int64_t count) {
  std::vector<std::uint16_t> x(count);
  for (std::uint16_t& h : x) h = random.signed_half(0x3e00, 0x407f);  // [2^-3, 4)
  return x;
}

float number(std::uint16_t half) { return test::from_bits(static_cast<std::uint32_t>(half) << 16); }

float chain(const std::uint16_t* q, const std::uint16_t* k, int64_t dim, bool pairs) {
  float sum = 0;
  for (int64_t i = 0; i < dim; ++i) {
    const int64_t d = pairs && (i ^ 1) < dim ? i ^ 1 : i;
    sum = std::fma(number(q[d]), number(k[d]), sum);
  }
  return sum;
}

}  // namespace

TEST_CASE("pairs: scores of bf16 are a chain over the columns 1, 0, 3, 2", "[same_bits][attention][pairs]") {
  test::Random random(91);
  CAPTURE(random.seed());
  std::int64_t told_apart = 0, scores = 0;
  // Rows in place and packed; keys below a vector of them, around it, over a block.
  for (const int64_t rows : {1, 2, 3, 4, 7, 12, 13, 40})
    for (const int64_t keys : {1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 64, 100, 530}) {
      if (keys > 500 && rows > 4 && test::quick()) continue;
      for (const int64_t dim : {1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 64, 65, 66, 67, 71, 130}) {
        if (test::quick() && dim % 4 == 0) continue;
        const int64_t heads = 2;
        Problem p({1, heads, 1 + rows % 2, rows, keys, dim, 3}, random);
        const std::vector<std::uint16_t> q = draw(random, heads * rows * dim), k = draw(random, heads * keys * dim);
        p.args.query = {q.data(), attn::DType::bf16, 0, rows * dim, dim};
        p.args.key = {k.data(), attn::DType::bf16, 0, keys * dim, dim};
        p.args.path = attn::Path::streaming;
        p.args.scale = rows == 3 ? -1.0f : 1.0f;
        p.want_scores(attn::ScoresStage::scaled);
        INFO(test::describe(p.args));
        REQUIRE(p.check() == "");
        std::vector<float> want;
        for (int64_t h = 0; h < heads; ++h)
          for (int64_t t = 0; t < rows; ++t)
            for (int64_t j = 0; j < keys; ++j) {
              const std::uint16_t* const query = q.data() + (h * rows + t) * dim;
              const std::uint16_t* const key = k.data() + ((h * p.args.kv_heads / heads) * keys + j) * dim;
              want.push_back(p.args.scale * chain(query, key, dim, true));
              told_apart += want.back() != p.args.scale * chain(query, key, dim, false);
              ++scores;
            }
        REQUIRE(test::bits_difference(p.scores, want) == "");
      }
    }
  CHECK(told_apart > scores / 100);  // else the order 0, 1, 2, ... would pass, too
}

TEST_CASE("pairs: have the bits that they had", "[same_bits][attention][hashes]") {
  for (const bool bf16_weights : {false, true})
    for (const int64_t rows : {5, 60}) {
      test::Random random(94);
      const int64_t heads = 2, keys = 600, dim = 67, columns = 37;
      Problem p({1, heads, 1, rows, keys, dim, columns}, random);
      const std::vector<std::uint16_t> q = draw(random, heads * rows * dim), k = draw(random, keys * dim),
                                       v = draw(random, keys * columns);
      p.args.query = {q.data(), attn::DType::bf16, 0, rows * dim, dim};
      p.args.key = {k.data(), attn::DType::bf16, 0, 0, dim};
      p.args.value = {v.data(), attn::DType::bf16, 0, 0, columns};
      p.args.path = attn::Path::streaming;
      p.args.causal = true;
      p.args.bf16_weights = bf16_weights;
      p.want_scores(attn::ScoresStage::scaled);
      REQUIRE(p.check() == "");
      const std::string name = bf16_weights ? "pairs/bf16 weights, " : "pairs/bf16, ";
      const std::uint64_t hash = test::Hash().add(p.results()).value();
      CHECK(test::hash_difference(name + std::to_string(rows) + " rows", hash) == "");
    }
}
