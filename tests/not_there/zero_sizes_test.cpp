// Sizes of zero: no key gives 0, no query writes nothing, and nothing divides by them.
#include <limits>
#include <vector>

#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/paths.hpp"
#include "support/problem.hpp"

namespace {

using attn::Path;
using test::Problem;

}  // namespace

TEST_CASE("zero sizes, one and two at a time", "[not_there][attention][zero]") {
  const Path path = GENERATE(Path::automatic, from_range(test::paths()));
  const bool null_pointers = GENERATE(false, true);
  test::Random random(71);
  constexpr int fields = 5;  // batch, heads, query_length, key_length, value_dim
  for (int first = 0; first < fields; ++first)
    for (int second = first; second < fields; ++second) {
      test::Shape s{2, 2, 2, 3, 4, 8, 8};
      std::int64_t* field[fields] = {&s.batch, &s.query_heads, &s.query_length, &s.key_length, &s.value_dim};
      *field[first] = *field[second] = 0;
      Problem p(s, random);
      p.args.path = path;
      p.args.causal = random.flip();
      if (path != Path::streaming) p.want_weights();
      p.want_logsumexp();
      if (null_pointers) {
        if (p.q.empty()) p.args.query.data = nullptr;
        if (p.k.empty()) p.args.key.data = nullptr;
        if (p.v.empty()) p.args.value.data = nullptr;
        if (p.output.empty()) p.args.output.data = nullptr;
        if (p.weights.empty()) p.args.weights.data = nullptr;
        if (p.logsumexp.empty()) p.args.logsumexp = nullptr;
      }
      INFO(test::describe(p.args));
      CHECK(p.check() == "");
    }
}

TEST_CASE("zero keys: output and weights 0, log-sum-exp -inf", "[not_there][attention][zero]") {
  const Path path = GENERATE(from_range(test::paths()));
  for (const std::int64_t query_length : {1, 3, 50}) {
    Problem p({2, 2, 1, query_length, 0, 8, 8});
    p.args.path = path;
    p.want_logsumexp();
    REQUIRE(p.run() == "");
    CHECK(test::bits_equal(p.output, std::vector<float>(p.output.size(), 0.0f)));
    CHECK(
        test::bits_equal(p.logsumexp, std::vector<float>(p.logsumexp.size(), -std::numeric_limits<float>::infinity())));
  }
}

TEST_CASE("zero heads: kv_heads may be zero with them", "[not_there][attention][zero]") {
  const Path path = GENERATE(from_range(test::paths()));
  const std::int64_t kv_heads = GENERATE(0, 3);
  Problem p({2, 0, kv_heads, 3, 4, 8, 8});
  p.args.path = path;
  CHECK(p.run() == "");
}

TEST_CASE("zero value_dim: log-sum-exp and weights are still given", "[not_there][attention][zero]") {
  const Path path = GENERATE(from_range(test::paths()));
  test::Random random(72);
  Problem p({1, 2, 1, 20, 30, 8, 0}, random);
  p.args.path = path;
  p.want_logsumexp();
  if (path == Path::blas) p.want_weights();
  CHECK(p.check() == "");
}
