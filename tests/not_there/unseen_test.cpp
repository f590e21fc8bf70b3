// P3 and P4 in any mixture of options: poison in every place that no query may see changes no bit, and a NaN in a place
// that is seen makes the rows that see it NaN, and no other.
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/isas.hpp"
#include "support/paths.hpp"
#include "support/random_problem.hpp"

namespace {

using attn::Path;

constexpr float infinity = std::numeric_limits<float>::infinity(), quiet_nan = std::numeric_limits<float>::quiet_NaN();

int rounds(int many) { return test::quick() ? many / 10 : test::scalar_is_active() ? many / 2 : many; }

bool is_nan(std::uint32_t bits) { return std::isnan(test::from_bits(bits)); }

}  // namespace

TEST_CASE("unseen: poison that no query may see changes nothing", "[not_there][mixtures][poison]") {
  const Path path = GENERATE(from_range(test::paths()));
  for (int round = 0; round < rounds(400); ++round) {
    test::Random random(static_cast<std::uint64_t>(11000 + round));
    test::RandomProblem p(random, path, round % 20 == 0);
    if (round % 2 == 1) p.vary_bias(random);
    if (round % 5 == 2) p.vary_mask_columns(random);
    if (round % 4 >= 2) p.weigh_in_bf16();
    p.args().scores = {};  // those before the bias tell of excluded keys, too
    INFO("round " << round << ": " << test::describe(p.args()));
    const std::vector<std::uint32_t> want = p.results();
    REQUIRE(!want.empty());
    for (const float poison : {quiet_nan, infinity, -infinity, 3e38f}) {
      p.spoil_unseen(poison);
      INFO("poison " << poison);
      // Another kernel of BLAS may serve another call.
      if (path == Path::streaming) REQUIRE(p.results() == want);
      if (path == Path::blas || poison == infinity) REQUIRE(p.check() == "");
    }
  }
}

TEST_CASE("unseen: a NaN that is seen spoils its rows, and no other", "[not_there][mixtures][poison]") {
  const Path path = GENERATE(from_range(test::paths()));
  int spoilt = 0;
  const int many = rounds(800);
  for (int round = 0; round < many; ++round) {
    test::Random random(static_cast<std::uint64_t>(13000 + round));
    test::RandomProblem p(random, path, round % 20 == 0);
    if (round % 2 == 1) p.vary_bias(random);
    if (round % 5 == 2) p.vary_mask_columns(random);
    if (round % 4 >= 2) p.weigh_in_bf16();
    INFO("round " << round << ": " << test::describe(p.args()));
    const std::vector<std::uint32_t> clean = p.results();
    REQUIRE(!clean.empty());
    const std::string where = p.spoil_seen(random);
    if (where.empty()) continue;
    INFO("NaN in " << where);
    REQUIRE(p.check() == "");  // the oracle knows what is NaN
    if (path == Path::blas) continue;
    const std::vector<std::uint32_t> got = p.results();
    REQUIRE(got.size() == clean.size());
    bool any = false, same = true;
    for (std::size_t i = 0; i < got.size(); ++i) is_nan(got[i]) ? any = true : same = same && got[i] == clean[i];
    REQUIRE(same);
    spoilt += any;
  }
  if (path == Path::streaming) CHECK(spoilt > many / 4);
}

// The lanes of a panel that hold no key are NaN, too (lay_in_panels).
TEST_CASE("unseen: keys in panels, with poison between those that are seen", "[not_there][panels][mixtures][poison]") {
  const Path path = GENERATE(from_range(test::paths()));
  for (int round = 0; round < rounds(400); ++round)
    for (const float poison : {quiet_nan, infinity}) {
      std::vector<std::uint32_t> want;
      for (const bool spoilt : {false, true}) {
        test::Random random(static_cast<std::uint64_t>(12000 + round));
        test::RandomProblem p(random, path, round % 20 == 0);
        if (round % 2 == 1) p.vary_bias(random);
        p.args().scores = {};
        p.align_keys();
        if (spoilt) p.spoil_unseen(poison);
        p.lay_in_panels(random);
        INFO("round " << round << ", poison " << poison << ": " << test::describe(p.args()));
        REQUIRE(p.check() == "");
        if (!spoilt) want = p.results();
        if (spoilt && path == Path::streaming) REQUIRE(p.results() == want);
      }
    }
}
