// Which keys a query sees, at the ends of int64 and at the borders of blocks; what does not matter must not matter.
#include <limits>
#include <vector>

#include "simd/kernels.hpp"
#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/isas.hpp"
#include "support/paths.hpp"
#include "support/problem.hpp"

namespace {

using attn::Alignment;
using attn::Path;
using test::describe;
using test::Problem;
using test::Random;

constexpr std::int64_t block = attn::simd::key_block;
constexpr std::int64_t top = std::numeric_limits<std::int64_t>::max(),
                       bottom = std::numeric_limits<std::int64_t>::min();

}  // namespace

TEST_CASE("mask: causal around every border of rows, panels and blocks", "[right][attention][mask]") {
  const Path path = GENERATE(from_range(test::paths()));
  Random random(51);
  CAPTURE(random.seed());
  for (const std::int64_t query_length : {1, 5, 12, 13, 47, 49, 97, 257})
    for (const std::int64_t offset : std::vector<std::int64_t>{
             -60, -1, 0, 1, 14, 15, 16, 47, 63, 64, block - 12, block - 1, block, block + 1, 2 * block - 24,
             2 * block + 6}) {
      if (test::quick() && query_length > 50) continue;
      Problem p({1, 1, 1, query_length, 2 * block + 16, 4, 4}, random);
      p.args.path = path;
      p.args.causal = true;
      p.args.alignment = Alignment::given;
      p.args.query_offsets = &offset;
      p.want_logsumexp();
      INFO(describe(p.args));
      CHECK(p.check() == "");
    }
}

TEST_CASE("mask: windows around every border", "[right][attention][mask]") {
  const Path path = GENERATE(from_range(test::paths()));
  Random random(52);
  CAPTURE(random.seed());
  for (const std::int64_t query_length : {1, 13, 97})
    for (const std::int64_t left : {-1, 0, 1, 16, 200, 600})
      for (const std::int64_t right : {-1, 0, 1, 15, 64, 513})
        for (const bool causal : {false, true}) {
          Problem p({1, 2, 1, query_length, 700, 3, 5}, random);
          p.args.path = path;
          p.args.window_left = left;
          p.args.window_right = right;
          p.args.causal = causal;
          INFO(describe(p.args));
          CHECK(p.check() == "");
        }
}

TEST_CASE("mask: offsets and windows at the ends of int64", "[right][attention][mask]") {
  const Path path = GENERATE(from_range(test::paths()));
  Random random(53);
  CAPTURE(random.seed());
  for (const std::int64_t offset : {bottom, bottom + 1, top - 2, top, std::int64_t{0}})
    for (const std::int64_t left : {std::int64_t{-1}, std::int64_t{0}, top - 1, top})
      for (const std::int64_t right : {std::int64_t{-1}, std::int64_t{0}, top - 1, top})
        for (const bool causal : {false, true}) {
          Problem p({1, 1, 1, 4, 9, 3, 3}, random);
          p.args.path = path;
          p.args.alignment = Alignment::given;
          p.args.query_offsets = &offset;
          p.args.window_left = left;
          p.args.window_right = right;
          p.args.causal = causal;
          p.want_logsumexp();
          INFO(describe(p.args));
          CHECK(p.check() == "");
        }
}

TEST_CASE("mask: padding keys change no bit", "[right][attention][mask]") {
  const Path path = GENERATE(from_range(test::paths()));
  Random random(54);
  CAPTURE(random.seed());
  for (const std::int64_t length : std::vector<std::int64_t>{0, 1, 15, 16, 63, 64, 100, block - 1, block, block + 1})
    for (const std::int64_t query_length : {1, 20}) {
      // The same keys, once alone and once as the head of a longer tensor whose rest is NaN.
      Problem alone({1, 2, 1, query_length, length, 8, 8}, random), padded({1, 2, 1, query_length, length + 37, 8, 8});
      padded.q = alone.q;
      padded.args.query.data = padded.q.data();
      padded.k.assign(padded.k.size(), std::numeric_limits<float>::quiet_NaN());
      padded.v = padded.k;
      std::copy(alone.k.begin(), alone.k.end(), padded.k.begin());
      std::copy(alone.v.begin(), alone.v.end(), padded.v.begin());
      padded.args.value.data = padded.v.data();
      padded.args.key_lengths = &length;
      alone.args.causal = padded.args.causal = true;
      alone.args.path = padded.args.path = path;
      INFO(describe(padded.args));
      REQUIRE(alone.run() == "");
      REQUIRE(padded.check() == "");
      if (path == Path::streaming) CHECK(test::bits_difference(padded.output, alone.output) == "");
    }
}

TEST_CASE("mask: alignment without causal and window changes nothing", "[right][attention][mask]") {
  const Path path = GENERATE(from_range(test::paths()));
  Random random(55);
  Problem p({1, 1, 1, 6, 20, 4, 4}, random);
  p.args.path = path;
  REQUIRE(p.check() == "");
  const std::vector<float> before = p.output;
  p.args.alignment = Alignment::top_left;
  REQUIRE(p.run() == "");
  CHECK(test::bits_equal(p.output, before));
}

TEST_CASE("mask: decode step by step and in chunks equals prefill", "[right][attention][mask]") {
  const Path path = GENERATE(from_range(test::paths()));
  Random random(56);
  CAPTURE(random.seed());
  const std::int64_t length = test::quick() ? 40 : 200;
  Problem prefill({1, 4, 2, length, length, 24, 24}, random);
  prefill.args.causal = true;
  prefill.args.path = path;
  REQUIRE(prefill.check() == "");
  for (const bool one_by_one : {true, false}) {
    std::int64_t chunk = 1;
    for (std::int64_t t = 0; t < length; t += chunk) {
      if (!one_by_one && t > 0) chunk += 2;
      chunk = std::min(chunk, length - t);
      // Queries t .. t + chunk - 1 against keys 0 .. t + chunk - 1, as views of the same memory.
      Problem step({1, 4, 2, chunk, t + chunk, 24, 24});
      step.args.query = prefill.args.query;
      step.args.key = prefill.args.key;
      step.args.value = prefill.args.value;
      step.args.query.data = prefill.q.data() + t * 24;
      step.args.causal = true;
      step.args.path = path;
      REQUIRE(step.run() == "");
      std::vector<float> want;
      for (std::int64_t h = 0; h < 4; ++h) {
        const auto row = prefill.output.begin() + (h * length + t) * 24;
        want.insert(want.end(), row, row + chunk * 24);
      }
      INFO("queries " << t << " to " << t + chunk - 1);
      if (path == Path::streaming) REQUIRE(test::bits_difference(step.output, want) == "");
      REQUIRE(test::difference(step.output, want, 2e-6 * 4) == "");
    }
  }
}
