// P3 and P5 of masks of the last keys alone: columns of keys that do not exist are not read, nor is a byte beside the
// mask, and the keys before it are allowed whatever stands there.
#include <cstdint>
#include <vector>

#include "support/catch.hpp"
#include "support/guard.hpp"
#include "support/paths.hpp"
#include "support/problem.hpp"

namespace {

using attn::Path;
using std::int64_t;
using test::Problem;

}  // namespace

TEST_CASE("mask_columns: columns of keys that do not exist are not read", "[not_there][attention][mask]") {
  const Path path = GENERATE(from_range(test::paths()));
  for (const int64_t rows : {1, 3, 20})
    for (const int64_t keys : {1, 5, 16, 63, 70}) {
      test::Random random(63);
      Problem p({1, 2, 1, rows, 600, 7, 9}, random);
      // One row of bytes for all queries: those of the keys, right behind a page that cannot be touched.
      test::GuardedFloats memory((keys + 3) / 4, test::Edge::before);
      std::uint8_t* const bytes = reinterpret_cast<std::uint8_t*>(memory.data());
      for (int64_t j = 0; j < keys; ++j) bytes[j] = random.flip();
      p.args.path = path;
      p.args.mask_columns = 300;
      p.args.mask = {bytes - (300 - keys), 0, 0, 0, 1};
      p.args.key_lengths = &keys;
      p.want_weights();
      INFO(test::describe(p.args));
      CHECK(p.check() == "");
    }
}

TEST_CASE("mask_columns: not a byte beside the mask is touched", "[not_there][attention][mask]") {
  const Path path = GENERATE(from_range(test::paths()));
  const test::Edge edge = GENERATE(test::Edge::before, test::Edge::after);
  for (const int64_t keys : {17, 70, 513, 1100})
    for (const int64_t columns : {1, 3, 17})
      for (const int64_t rows : {1, 3, 20}) {
        test::Random random(64);
        Problem p({1, 1, 1, rows, keys, 7, 9}, random);
        test::GuardedFloats memory((rows * columns + 3) / 4, edge);
        const int64_t spare = static_cast<int64_t>(memory.size() * 4) - rows * columns;
        std::uint8_t* const bytes =
            reinterpret_cast<std::uint8_t*>(memory.data()) + (edge == test::Edge::after ? spare : 0);
        for (int64_t i = 0; i < rows * columns; ++i) bytes[i] = random.flip();
        p.args.path = path;
        p.args.mask_columns = columns;
        p.args.mask = {bytes, 0, 0, columns, 1};
        INFO(test::describe(p.args));
        CHECK(p.check() == "");
      }
}
