// Thousands of calls with a random mixture of all options, also with the masks that are met in practice: both paths
// against the oracle.
#include "attn/attention.hpp"
#include "support/catch.hpp"
#include "support/isas.hpp"
#include "support/paths.hpp"
#include "support/random_problem.hpp"

TEST_CASE("mixtures: of all options, agree with the oracle", "[right][mixtures]") {
  const attn::Path path = GENERATE(from_range(test::paths()));
  for (int round = 0; round < test::rounds(3000); ++round) {
    test::Random random(static_cast<std::uint64_t>(7000 + round));
    test::RandomProblem p(random, path);
    INFO("round " << round << ": " << test::describe(p.args()));
    REQUIRE(p.check() == "");
  }
}

TEST_CASE("mixtures: over several blocks of keys, agree with the oracle", "[right][mixtures]") {
  const attn::Path path = GENERATE(from_range(test::paths()));
  for (int round = 0; round < test::rounds(100); ++round) {
    test::Random random(static_cast<std::uint64_t>(9000 + round));
    test::RandomProblem p(random, path, true);
    INFO("round " << round << ": " << test::describe(p.args()));
    REQUIRE(p.check() == "");
  }
}

TEST_CASE("mixtures: with the masks of practice, agree with the oracle", "[right][mixtures]") {
  const attn::Path path = GENERATE(from_range(test::paths()));
  for (int round = 0; round < test::rounds(1500); ++round) {
    test::Random random(static_cast<std::uint64_t>(17000 + round));
    test::RandomProblem p(random, path, round % 30 == 0);
    p.add_structure(random);
    INFO("round " << round << ": " << test::describe(p.args()));
    REQUIRE(p.check() == "");
  }
}
