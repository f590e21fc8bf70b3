// P3, P4 and P5 of int8 keys and values: a NaN scale that no query sees changes nothing, one that is seen spoils its
// rows and no other, and not a byte outside is read.
#include <cmath>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/guard.hpp"
#include "support/isas.hpp"
#include "support/paths.hpp"
#include "support/random_problem.hpp"

namespace {

using attn::Path;
using std::int64_t;

bool is_nan(std::uint32_t bits) { return std::isnan(test::from_bits(bits)); }

}  // namespace

TEST_CASE("int8: a NaN scale that no query may see changes nothing", "[not_there][int8][poison]") {
  const Path path = GENERATE(from_range(test::paths()));
  int64_t spoilt = 0;
  for (int round = 0; round < test::rounds(400); ++round) {
    test::Random random(static_cast<std::uint64_t>(31000 + round));
    test::RandomProblem p(random, path, round % 20 == 0);
    if (round % 2 == 1) p.vary_bias(random);
    p.quantise(random);
    p.args().scores = {};  // those before the bias tell of excluded keys, too
    INFO("round " << round << ": " << test::describe(p.args()));
    const std::vector<std::uint32_t> want = p.results();
    REQUIRE(!want.empty());
    spoilt += p.spoil_unseen_scales();
    if (path == Path::streaming) REQUIRE(p.results() == want);
    REQUIRE(p.check() == "");
  }
  CHECK(spoilt > 1000);
}

TEST_CASE("int8: a NaN scale that is seen spoils its rows, and no other", "[not_there][int8][poison]") {
  const Path path = GENERATE(from_range(test::paths()));
  int spoilt = 0;
  const int many = test::rounds(400);
  for (int round = 0; round < many; ++round) {
    test::Random random(static_cast<std::uint64_t>(32000 + round));
    test::RandomProblem p(random, path, round % 20 == 0);
    if (round % 2 == 1) p.vary_bias(random);
    p.quantise(random);
    INFO("round " << round << ": " << test::describe(p.args()));
    const std::vector<std::uint32_t> clean = p.results();
    REQUIRE(!clean.empty());
    if (!p.spoil_seen_scale(random)) continue;
    REQUIRE(p.check() == "");  // the oracle knows what is NaN
    const std::vector<std::uint32_t> got = p.results();
    bool any = false, same = true;
    for (std::size_t i = 0; i < got.size(); ++i) is_nan(got[i]) ? any = true : same = same && got[i] == clean[i];
    if (path == Path::streaming) REQUIRE(same);
    spoilt += any;
  }
  CHECK(spoilt > many / 4);
}

TEST_CASE("int8: not a byte outside is read", "[not_there][inside][int8]") {
  const Path path = GENERATE(from_range(test::paths()));
  const test::Edge edge = GENERATE(test::Edge::before, test::Edge::after);
  test::Random random(64);
  for (const int64_t rows : {1, 2, 5, 13})
    for (const int64_t keys : {1, 3, 8, 16, 33})
      for (const int64_t dim : {1, 2, 3, 4, 5, 7, 8, 9, 13, 15, 16, 17, 31, 32, 33, 64, 65, 66, 67, 68, 69, 70}) {
        const std::size_t bytes = static_cast<std::size_t>(keys * dim), floats = (bytes + 3) / 4;
        test::GuardedFloats memory(floats, edge), values(floats, edge), scales(static_cast<std::size_t>(keys), edge);
        const auto flush = [&](test::GuardedFloats& room) {
          std::int8_t* const first = reinterpret_cast<std::int8_t*>(room.data());
          return edge == test::Edge::before ? first : first + 4 * floats - bytes;
        };
        for (test::GuardedFloats* room : {&memory, &values})
          for (std::size_t i = 0; i < bytes; ++i) flush(*room)[i] = static_cast<std::int8_t>(random.integer(-128, 127));
        for (float& x : scales) x = random.normal() * 0x1p-7f;
        test::Problem p({1, 1, 1, rows, keys, dim, dim}, random);
        p.args.path = path;
        p.args.key = attn::bhtd(static_cast<const std::int8_t*>(flush(memory)), 1, keys, dim);
        p.args.value = attn::bhtd(static_cast<const std::int8_t*>(flush(values)), 1, keys, dim);
        p.args.key_scales = p.args.value_scales = {scales.data(), 0, 0, 1};
        CAPTURE(rows, keys, dim);
        REQUIRE(p.check() == "");
        if (dim % 32 != 0) continue;
        const std::size_t size = bytes / 32 * sizeof(attn::q8_0), room_floats = (size + 3) / 4;
        test::GuardedFloats room(room_floats, edge);
        char* const start =
            reinterpret_cast<char*>(room.data()) + (edge == test::Edge::before ? 0 : 4 * room_floats - size);
        attn::q8_0* const blocks = reinterpret_cast<attn::q8_0*>(start);
        for (std::size_t i = 0; i < bytes; ++i) {
          blocks[i / 32].scale.bits = 0x2000;
          blocks[i / 32].values[i % 32] = static_cast<std::int8_t>(random.integer(-128, 127));
        }
        p.args.key = p.args.value = attn::bhtd(static_cast<const attn::q8_0*>(blocks), 1, keys, dim);
        p.args.key_scales = p.args.value_scales = {};
        REQUIRE(p.check() == "");
      }
}
