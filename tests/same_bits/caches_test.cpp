// P1 of all that caches may be, together: a stored hash, every instruction set against scalar, threads.
#include <cstdint>
#include <vector>

#include "attn/attention.hpp"
#include "support/catch.hpp"
#include "support/hashes.hpp"
#include "support/isas.hpp"
#include "support/random_problem.hpp"

TEST_CASE("caches: every kind with every other has the bits that it had", "[same_bits][caches][hashes]") {
  test::Hash hash;
  for (int round = 0; round < 200; ++round) {
    test::Random random(static_cast<std::uint64_t>(93000 + round));
    test::RandomProblem p(random, attn::Path::streaming);
    p.lay_cache(random, round);
    const std::vector<std::uint32_t> results = p.results();
    REQUIRE(!results.empty());
    hash.add(results);
  }
  CHECK(test::hash_difference("caches/mixtures", hash.value()) == "");
}

TEST_CASE("caches: every kind with every other has the bits of scalar, on any threads", "[same_bits][caches][bits]") {
  attn::ThreadPool pool(3);
  const attn::Parallel parallel = pool.parallel();
  for (int round = 0; round < test::rounds(1500); ++round) {
    test::Random random(static_cast<std::uint64_t>(95000 + round));
    test::RandomProblem p(random, attn::Path::streaming, round % 19 == 0);  // of each kind in turn
    p.lay_cache(random, round);
    INFO("round " << round << ": " << test::describe(p.args()));
    const std::vector<std::uint32_t> want = test::on_scalar([&] { return p.results(); });
    REQUIRE(!want.empty());
    REQUIRE(p.results() == want);
    p.args().parallel = &parallel;
    REQUIRE(p.results() == want);
  }
}
