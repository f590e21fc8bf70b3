// P1 of random mixtures of all options: stored hashes, every instruction set against scalar, any number of threads.
#include <cstdint>
#include <string>
#include <vector>

#include "attn/attention.hpp"
#include "support/catch.hpp"
#include "support/hashes.hpp"
#include "support/isas.hpp"
#include "support/random_problem.hpp"

// Of the output, weights, log-sum-exp and key weight sums of a hundred mixtures each.
TEST_CASE("mixtures: have the bits that they had", "[same_bits][mixtures][hashes]") {
  for (int first = 0; first < 600; first += 100) {
    test::Hash hash;
    for (int round = first; round < first + 100; ++round) {
      test::Random random(static_cast<std::uint64_t>(5000 + round));
      test::RandomProblem p(random, attn::Path::streaming);
      const std::vector<std::uint32_t> results = p.results();
      REQUIRE(!results.empty());
      hash.add(results);
    }
    const std::string name = "mixtures/" + std::to_string(first) + " to " + std::to_string(first + 99);
    CHECK(test::hash_difference(name, hash.value()) == "");
  }
}

TEST_CASE("mixtures: have the bits of scalar", "[same_bits][mixtures][bits]") {
  if (test::scalar_is_active()) return;  // with which it is compared
  for (int round = 0; round < test::rounds(2000); ++round) {
    test::Random random(static_cast<std::uint64_t>(7000 + round));
    test::RandomProblem p(random, attn::Path::streaming);
    if (round % 2 == 1) p.vary_bias(random);
    INFO("round " << round << ": " << test::describe(p.args()));
    const std::vector<std::uint32_t> want = test::on_scalar([&] { return p.results(); });
    REQUIRE(!want.empty());
    REQUIRE(p.results() == want);
  }
}

TEST_CASE("mixtures: with the masks of practice, have the bits of scalar", "[same_bits][mixtures][bits]") {
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

TEST_CASE("mixtures: have the same bits on any number of threads", "[same_bits][mixtures][bits]") {
  struct Counted {  // a pool that says how often it was asked
    attn::ThreadPool pool;
    int calls = 0;
    explicit Counted(std::int64_t threads) : pool(threads) {}
    static void run(void* context, std::int64_t count, attn::Parallel::Task task, void* argument) {
      Counted& self = *static_cast<Counted*>(context);
      ++self.calls;
      const attn::Parallel parallel = self.pool.parallel();
      parallel.run(parallel.context, count, task, argument);
    }
  } two(2), three(3);
  const int many = test::rounds(300);
  for (int round = 0; round < many; ++round) {
    test::Random random(static_cast<std::uint64_t>(9000 + round));
    test::RandomProblem p(random, attn::Path::streaming, true);
    if (round % 2 == 1) p.vary_bias(random);
    INFO("round " << round << ": " << test::describe(p.args()));
    const std::vector<std::uint32_t> want = p.results();
    REQUIRE(!want.empty());
    for (Counted* pool : {&two, &three}) {
      const attn::Parallel parallel{Counted::run, pool, pool == &two ? 2 : 3};
      p.args().parallel = &parallel;
      REQUIRE(p.results() == want);
      p.args().parallel = nullptr;
    }
  }
  CHECK(two.calls > many / 4);  // small problems stay on the calling thread
  CHECK(three.calls > many / 4);
}
