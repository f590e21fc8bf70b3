// P3 of caches in pages: what no query sees, and pages and entries that no query needs, may hold anything.
#include <cstdint>
#include <limits>
#include <vector>

#include "support/catch.hpp"
#include "support/random_problem.hpp"

TEST_CASE("pages: with poison in all that no query sees", "[not_there][pages][mixtures][poison]") {
  const int many = test::rounds(600);
  int laid = 0;
  for (int round = 0; round < many; ++round) {
    test::Random random(static_cast<std::uint64_t>(63000 + round));
    test::RandomProblem p(random, attn::Path::streaming, round % 20 == 0);
    p.args().scores = {};  // of all keys
    const std::vector<std::uint32_t> want = p.results();
    INFO("round " << round << ": " << test::describe(p.args()));
    REQUIRE(!want.empty());
    p.spoil_unseen(std::numeric_limits<float>::quiet_NaN());
    laid += p.lay_in_pages(random);
    REQUIRE(p.results() == want);
  }
  CHECK((laid > many / 2 || test::given_seed()));
}
