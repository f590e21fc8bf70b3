// Caches in pages against the oracle, on both paths.
#include "support/catch.hpp"
#include "support/paths.hpp"
#include "support/random_problem.hpp"

TEST_CASE("pages: mixtures of all options agree with the oracle", "[right][pages][mixtures]") {
  const attn::Path path = GENERATE(from_range(test::paths()));
  const int many = test::rounds(600);
  int laid = 0;
  for (int round = 0; round < many; ++round) {
    test::Random random(static_cast<std::uint64_t>(65000 + round));
    test::RandomProblem p(random, path, round % 30 == 0);
    if (round % 3 == 0) p.add_structure(random);
    if (!p.lay_in_pages(random)) continue;
    ++laid;
    INFO("round " << round << ": " << test::describe(p.args()));
    REQUIRE(p.check() == "");
  }
  CHECK((laid > many / 2 || test::given_seed()));
}
