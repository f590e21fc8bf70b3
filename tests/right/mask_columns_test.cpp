// Masks of the last keys alone, on both paths: mixtures against the oracle, and a draft tree against its branches.
#include <cstdint>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/isas.hpp"
#include "support/paths.hpp"
#include "support/random_problem.hpp"

namespace {

using attn::Path;
using std::int64_t;
using test::Problem;

}  // namespace

TEST_CASE("mask_columns: mixtures agree with the oracle", "[right][mixtures]") {
  const Path path = GENERATE(from_range(test::paths()));
  for (int round = 0; round < test::rounds(1000); ++round) {
    test::Random random(static_cast<std::uint64_t>(26000 + round));
    test::RandomProblem p(random, path, round % 20 == 0);
    if (round % 3 == 1) p.vary_bias(random);
    p.vary_mask_columns(random);
    if (round % 4 == 2) p.lay_in_pages(random);
    INFO("round " << round << ": " << test::describe(p.args()));
    REQUIRE(p.check() == "");
  }
}

TEST_CASE("mask_columns: around every border of vectors and blocks", "[right][attention][mask]") {
  const Path path = GENERATE(from_range(test::paths()));
  for (const int64_t rows : {3, 20})
    for (const int64_t keys : {511, 512, 513, 1024, 1030})
      for (const int64_t columns : {1, 2, 15, 16, 17, 63, 64, 65, 500, 511}) {
        test::Random random(61);
        Problem p({1, 2, 1, rows, keys, 5, 6}, random);
        std::vector<std::uint8_t> mask;
        for (int64_t i = 0; i < rows * columns; ++i) mask.push_back(random.flip());
        p.args.path = path;
        p.args.mask = {mask.data(), 0, 0, columns, 1};
        p.args.mask_columns = columns;
        p.want_weights();
        INFO(test::describe(p.args));
        CHECK(p.check() == "");
      }
}

// A sequence of 600 keys and drafts behind it: node n sees the text, itself and its ancestors.
TEST_CASE("mask_columns: a node of a draft tree is its branch", "[right][attention][mask]") {
  constexpr int64_t text = 600, nodes = 6, dim = 20;
  constexpr int64_t parent[nodes] = {-1, 0, 0, 1, 2, 4};
  test::Random random(62);
  Problem tree({1, 4, 2, nodes, text + nodes, dim, dim}, random);
  tree.args.path = Path::streaming;
  std::vector<std::uint8_t> mask(nodes * nodes);
  for (int64_t n = 0; n < nodes; ++n)
    for (int64_t a = n; a >= 0; a = parent[a]) mask[n * nodes + a] = 1;
  tree.args.mask = {mask.data(), 0, 0, nodes, 1};
  tree.args.mask_columns = nodes;
  REQUIRE(tree.check() == "");
  // Node 3 is the branch 0, 1, 3: as a sequence of its own its nodes stand side by side, so it equals to rounding.
  Problem branch({1, 4, 2, 1, text + 3, dim, dim});
  for (int64_t h = 0; h < 2; ++h)
    for (int64_t j = 0; j < text + 3; ++j) {
      const int64_t from = h * (text + nodes) + (j < text + 2 ? j : text + 3), to = h * (text + 3) + j;
      for (int64_t d = 0; d < dim; ++d) {
        branch.k[to * dim + d] = tree.k[from * dim + d];
        branch.v[to * dim + d] = tree.v[from * dim + d];
      }
    }
  std::vector<float> want;
  for (int64_t h = 0; h < 4; ++h)
    for (int64_t d = 0; d < dim; ++d) {
      branch.q[h * dim + d] = tree.q[(h * nodes + 3) * dim + d];
      want.push_back(tree.output[(h * nodes + 3) * dim + d]);
    }
  branch.args.path = Path::streaming;
  REQUIRE(branch.run() == "");
  CHECK(test::difference(branch.output, want, 1e-6) == "");
}
