// P1 of int8 keys and values in any mixture of options: stored hashes, every instruction set against scalar, threads.
#include <cstdint>
#include <string>
#include <vector>

#include "attn/attention.hpp"
#include "support/catch.hpp"
#include "support/hashes.hpp"
#include "support/isas.hpp"
#include "support/random_problem.hpp"

TEST_CASE("int8 mixtures: have the bits that they had", "[same_bits][int8][hashes]") {
  for (int first = 0; first < 200; first += 100) {
    test::Hash hash;
    for (int round = first; round < first + 100; ++round) {
      test::Random random(static_cast<std::uint64_t>(28000 + round));
      test::RandomProblem p(random, attn::Path::streaming);
      p.quantise(random);
      const std::vector<std::uint32_t> results = p.results();
      REQUIRE(!results.empty());
      hash.add(results);
    }
    CHECK(test::hash_difference("int8 mixtures/" + std::to_string(first), hash.value()) == "");
  }
}

TEST_CASE("int8 mixtures: have the bits of scalar, on any number of threads", "[same_bits][int8][bits]") {
  attn::ThreadPool pool(3);
  const attn::Parallel parallel = pool.parallel();
  for (int round = 0; round < test::rounds(1500); ++round) {
    test::Random random(static_cast<std::uint64_t>(29000 + round));
    test::RandomProblem p(random, attn::Path::streaming, round % 20 == 0);
    if (round % 3 == 1) p.vary_bias(random);
    if (round % 3 == 2) p.add_structure(random);
    p.quantise(random);
    INFO("round " << round << ": " << test::describe(p.args()));
    const std::vector<std::uint32_t> want = test::on_scalar([&] { return p.results(); });
    REQUIRE(!want.empty());
    REQUIRE(p.results() == want);
    p.args().parallel = &parallel;
    REQUIRE(p.results() == want);
  }
}
