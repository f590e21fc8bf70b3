// P3 and P4 of each option on its own: keys and values that no query sees have no influence, and a NaN in what the
// option reads spoils just the rows that the oracle says.
#include "support/options.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/dense.hpp"
#include "support/paths.hpp"

namespace {

using attn::Path;
using std::int64_t;
using test::OptionMemory;
using test::Problem;

constexpr int64_t rows = 20, keys = 70;

// Fills the keys and values that no query sees with poison; how many rows those are.
int64_t spoil_unseen(Problem& p, float poison) {
  const attn::AttentionArgs& a = p.args;
  const std::vector<char> by_key = test::attend(a).allowed;
  // The queries of one KV head stand together.
  const int64_t kv_heads = a.batch * a.kv_heads, queries = a.query_heads / a.kv_heads * rows;
  const test::Dense allowed(by_key, kv_heads, queries, keys);
  int64_t count = 0;
  for (int64_t kv = 0; kv < kv_heads; ++kv)
    for (int64_t j = 0; j < keys; ++j) {
      bool seen = false;
      for (int64_t t = 0; t < queries; ++t) seen |= allowed(kv, t, j) != 0;
      if (seen) continue;
      std::fill_n(p.k.begin() + (kv * keys + j) * a.head_dim, a.head_dim, poison);
      std::fill_n(p.v.begin() + (kv * keys + j) * a.value_dim, a.value_dim, poison);
      ++count;
    }
  return count;
}

}  // namespace

TEST_CASE("options: what no query sees has no influence", "[not_there][options]") {
  const Path path = GENERATE(from_range(test::paths()));
  int options_that_hide = 0;
  for (const test::Option& option : test::options()) {
    if (path == Path::blas && option.streaming_only) continue;
    OptionMemory memory(rows, keys);
    test::Random random(57);
    Problem p(test::option_shape(rows, keys), random);
    p.args.path = path;
    option.set(p, memory);
    // Sequences of a packed batch stand elsewhere (poison_test.cpp), and so do halves.
    if (p.args.cu_query_lengths || p.args.key.data != p.k.data()) continue;
    INFO(option.name << ", " << test::name_of(path));
    REQUIRE(p.run() == "");
    const std::vector<float> before = p.output;
    if (spoil_unseen(p, std::numeric_limits<float>::quiet_NaN()) == 0) continue;
    ++options_that_hide;
    REQUIRE(p.run() == "");
    // To the bit on the streaming path, within rounding where BLAS may take another kernel.
    if (path == Path::streaming) CHECK(test::bits_difference(p.output, before) == "");
    if (path == Path::blas) CHECK(test::difference(p.output, before, 1e-6) == "");
  }
  CHECK(options_that_hide >= 5);
}

TEST_CASE("options: a NaN in what an option reads is seen", "[not_there][options]") {
  const Path path = GENERATE(from_range(test::paths()));
  for (const test::Option& option : test::options()) {
    if (!option.spoil || (path == Path::blas && option.streaming_only)) continue;
    OptionMemory memory(rows, keys);
    test::Random random(58);
    Problem p(test::option_shape(rows, keys), random);
    p.args.path = path;
    option.set(p, memory);
    const auto is_nan = [](float x) { return std::isnan(x); };
    INFO(option.name << ", " << test::name_of(path));
    REQUIRE(p.run() == "");
    CHECK(std::none_of(p.output.begin(), p.output.end(), is_nan));
    option.spoil(memory);
    CHECK(p.check() == "");  // the oracle knows which rows are NaN
    CHECK(std::any_of(p.output.begin(), p.output.end(), is_nan));
    CHECK_FALSE(std::all_of(p.output.begin(), p.output.end(), is_nan));
  }
}
