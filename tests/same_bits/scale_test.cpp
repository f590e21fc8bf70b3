// A scale that is the default as a float is the default: the same bits for whoever computes it and whoever does not.
#include <cmath>
#include <cstdint>
#include <vector>

#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/paths.hpp"
#include "support/problem.hpp"

TEST_CASE("scale: 1 / sqrt(head_dim) as a float has the bits of 0", "[same_bits][attention][bits]") {
  const attn::Path path = GENERATE(from_range(test::paths()));
  for (std::int64_t dim = 1; dim <= 1024; ++dim) {
    test::Random random(static_cast<std::uint64_t>(dim));
    test::Problem p({1, 1, 1, 2, 3, dim, 2}, random);
    p.args.path = path;
    p.want_logsumexp();
    REQUIRE(p.run() == "");
    const std::vector<float> want = p.results();
    const float in_double = static_cast<float>(1 / std::sqrt(static_cast<double>(dim)));
    const float in_float = 1.0f / std::sqrt(static_cast<float>(dim));
    for (const float scale : {in_double, in_float}) {
      p.args.scale = scale;
      REQUIRE(p.run() == "");
      INFO("head_dim " << dim << ", scale " << scale);
      REQUIRE(test::bits_difference(p.results(), want) == "");
    }
  }
}
