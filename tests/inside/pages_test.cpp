// Caches in pages: not a byte before the first page, behind the last one, or beside the table is touched.
#include "support/pages.hpp"

#include <algorithm>
#include <cstring>

#include "support/catch.hpp"
#include "support/guard.hpp"
#include "support/paths.hpp"
#include "support/problem.hpp"

TEST_CASE("pages: not a byte outside pages and table is touched", "[inside][attention][pages]") {
  const attn::Path path = GENERATE(from_range(test::paths()));
  for (const test::Edge edge : {test::Edge::before, test::Edge::after})
    for (const std::int64_t dim : {1, 5, 17, 64})
      for (const std::int64_t keys : {1, 15, 33, 530})
        for (const std::int64_t queries : {1, 3, 14}) {
          test::Random random(static_cast<std::uint64_t>(67 * dim + keys + queries));
          test::Problem p({2, 2, 1, queries, keys, dim, 20}, random);
          p.args.path = path;
          test::Pages pages;
          pages.lay(p.args, random.pick(std::vector<std::int64_t>{16, 64, 512}), random);
          test::GuardedFloats k(pages.keys.size() / 4, edge), v(pages.values.size() / 4, edge),
              table(pages.table.size(), edge);
          std::memcpy(k.data(), pages.keys.data(), pages.keys.size());
          std::memcpy(v.data(), pages.values.data(), pages.values.size());
          std::memcpy(table.data(), pages.table.data(), pages.table.size() * 4);
          p.args.key.data = k.data();
          p.args.value.data = v.data();
          p.args.page_table = reinterpret_cast<const std::int32_t*>(table.data());
          INFO(test::describe(p.args));
          REQUIRE(p.check() == "");
        }
}

TEST_CASE("pages: keys past the length are not read", "[inside][attention][pages]") {
  const attn::Path path = GENERATE(from_range(test::paths()));
  for (const std::int64_t length : {1, 7, 16, 33}) {
    test::Random random(68);
    test::Problem p({1, 1, 1, 5, 100, 8, 8}, random);
    p.args.path = path;
    p.args.key_lengths = &length;
    test::Pages pages;
    pages.lay(p.args, 16, random);
    INFO("length " << length);
    REQUIRE(p.check() == "");  // rows behind it are NaN
  }
}
