// Mixtures of options with the masks that are met in practice - padding, blocks, rows that see nothing - and with
// weights and scores in any layout.
#include <vector>

#include "support/catch.hpp"
#include "support/isas.hpp"
#include "support/random_problem.hpp"

TEST_CASE("structure: mixtures agree with the oracle", "[mixtures]") {
  const attn::Path path = GENERATE(attn::Path::blas, attn::Path::streaming);
  for (int round = 0; round < test::rounds(1500); ++round) {
    test::Random random(static_cast<std::uint64_t>(17000 + round));
    test::RandomProblem p(random, path, round % 30 == 0);
    p.add_structure(random);
    INFO("round " << round << ": " << test::describe(p.args()));
    REQUIRE(p.check() == "");
  }
}

TEST_CASE("structure: mixtures have the bits of scalar", "[mixtures][bits]") {
  if (test::scalar_is_active()) return;  // with which it is compared
  for (int round = 0; round < test::rounds(1000); ++round) {
    test::Random random(static_cast<std::uint64_t>(17000 + round));
    test::RandomProblem p(random, attn::Path::streaming, round % 30 == 0);
    p.add_structure(random);
    INFO("round " << round << ": " << test::describe(p.args()));
    const std::vector<std::uint32_t> want = test::on_scalar([&] { return p.results(); });
    REQUIRE(!want.empty());
    REQUIRE(p.results() == want);
  }
}
