// Mixtures of options with the masks that are met in practice - padding, blocks, rows that see nothing - and with
// weights and scores in any layout.
#include <string>
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

TEST_CASE("structure: mixtures have the same bits on every instruction set", "[mixtures][bits]") {
  if (!test::scalar_is_active()) return;  // compares all with scalar: once is enough
  for (int round = 0; round < test::rounds(2000); ++round) {
    test::Random random(static_cast<std::uint64_t>(17000 + round));
    test::RandomProblem p(random, attn::Path::streaming, round % 30 == 0);
    p.add_structure(random);
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
