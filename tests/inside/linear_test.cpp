// P5 of Linear: pages before and behind x and y cannot be touched.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "attn/layers.hpp"
#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/guard.hpp"
#include "support/layer.hpp"
#include "support/random.hpp"

using attn::Linear;
using attn::Projection;
using attn::WeightLayout;
using test::index;

TEST_CASE("Linear reads and writes nothing outside x and y", "[inside][layers]") {
  test::Random random(82);
  CAPTURE(random.seed());
  for (const Projection projection : {Projection::blas, Projection::tiles})
    for (const test::Edge edge : {test::Edge::before, test::Edge::after})
      for (const std::int64_t rows : {1, 2, 13})
        for (const std::int64_t out : {1, 15, 17, 40}) {
          const std::int64_t in = 19;
          const std::vector<float> w = random.normals(index(in * out)), b = random.normals(index(out)),
                                   values = random.normals(index(rows * in));
          test::GuardedFloats x(values.size(), edge), y(index(rows * out), edge);
          std::copy(values.begin(), values.end(), x.begin());
          Linear(in, out, w.data(), b.data(), WeightLayout::in_out, projection).forward_into(x.data(), rows, y.data());
          const std::vector<double> want = test::linear(values.data(), rows, w, b, {in, out});
          CHECK(test::difference(std::vector<float>(y.begin(), y.end()), want, 1e-4) == "");
        }
}
