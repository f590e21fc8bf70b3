// All that caches may be, together: int8 or rounded weights, panels, pages, a mask of the last keys, with every other
// option of the mixtures.
#include <cstdint>

#include "support/catch.hpp"
#include "support/paths.hpp"
#include "support/random_problem.hpp"

TEST_CASE("caches: every kind with every other agrees with the oracle", "[right][mixtures][caches]") {
  const attn::Path path = GENERATE(from_range(test::paths()));
  for (int round = 0; round < test::rounds(1500); ++round) {
    test::Random random(static_cast<std::uint64_t>(91000 + round));
    test::RandomProblem p(random, path, round % 23 == 0);  // of each kind in turn
    p.lay_cache(random, round);
    INFO("round " << round << ": " << test::describe(p.args()));
    REQUIRE(p.check() == "");
  }
}
