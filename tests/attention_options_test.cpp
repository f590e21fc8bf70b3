// Thousands of calls with a random mixture of all options: both paths against the oracle, every instruction set against
// scalar to the bit, and any number of threads.
#include <string>
#include <vector>

#include "attn/attention.hpp"
#include "support/catch.hpp"
#include "support/isas.hpp"
#include "support/random_problem.hpp"

namespace {

int rounds(int many) { return test::quick() ? many / 10 : test::scalar_is_active() ? many / 2 : many; }

}  // namespace

TEST_CASE("mixtures: of all options, agree with the oracle", "[mixtures]") {
  const attn::Path path = GENERATE(attn::Path::blas, attn::Path::streaming);
  for (int round = 0; round < rounds(3000); ++round) {
    test::Random random(static_cast<std::uint64_t>(7000 + round));
    test::RandomProblem p(random, path);
    INFO("round " << round << ": " << test::describe(p.args()));
    REQUIRE(p.check() == "");
  }
}

TEST_CASE("mixtures: have the same bits on every instruction set", "[mixtures][bits]") {
  if (!test::scalar_is_active()) return;  // compares all with scalar: once is enough
  for (int round = 0; round < rounds(4000); ++round) {
    test::Random random(static_cast<std::uint64_t>(7000 + round));
    test::RandomProblem p(random, attn::Path::streaming);
    INFO("round " << round << ": " << test::describe(p.args()));
    const std::vector<std::uint32_t> want = p.results();
    REQUIRE(!want.empty());
    for (const std::string& isa : test::runnable_isas()) {
      const test::UseIsa use(isa);
      INFO(isa);
      REQUIRE(p.results() == want);
    }
  }
}

TEST_CASE("mixtures: have the same bits on any number of threads", "[mixtures][bits]") {
  attn::ThreadPool two(2), three(3);
  for (int round = 0; round < rounds(600); ++round) {
    test::Random random(static_cast<std::uint64_t>(9000 + round));
    test::RandomProblem p(random, attn::Path::streaming);
    INFO("round " << round << ": " << test::describe(p.args()));
    const std::vector<std::uint32_t> want = p.results();
    REQUIRE(!want.empty());
    for (attn::ThreadPool* pool : {&two, &three}) {
      const attn::Parallel parallel = pool->parallel();
      p.args().parallel = &parallel;
      REQUIRE(p.results() == want);
      p.args().parallel = nullptr;
    }
  }
}
