// Empty rows (P2), keys that are not there (P3), NaN that is (P4): poison is put into one key or query after the other,
// and every row must be exactly as before or NaN, by whether it may see the poison.
#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/dense.hpp"
#include "support/isas.hpp"
#include "support/paths.hpp"
#include "support/problem.hpp"

namespace {

using attn::Path;
using test::Dense;
using test::describe;
using test::Problem;
using test::Random;

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float quiet_nan = std::numeric_limits<float>::quiet_NaN();

struct Masked {
  const char* what;
  test::Shape shape;
  std::function<void(attn::AttentionArgs&)> set;
};

const std::int64_t offsets[] = {3, -2}, key_lengths[] = {6, 11};

// Byte i of a mask of `count`: pattern(i) != 0.
const std::uint8_t* mask_of(std::size_t count, int (*pattern)(std::size_t)) {
  static std::vector<std::vector<std::uint8_t>> kept;  // as long as the tests
  std::vector<std::uint8_t> bytes;
  for (std::size_t i = 0; i < count; ++i) bytes.push_back(static_cast<std::uint8_t>(pattern(i)));
  kept.push_back(bytes);
  return kept.back().data();
}

const std::vector<Masked>& masks() {
  // 12 keys: one panel; 70: several, the last not full; 530: two blocks, of which many rows see only one.
  static const std::vector<Masked> list = {
      {"causal", {1, 2, 1, 7, 12, 5, 3}, [](attn::AttentionArgs& a) { a.causal = true; }},
      {"key lengths, one query", {2, 2, 1, 1, 12, 5, 3}, [](attn::AttentionArgs& a) { a.key_lengths = key_lengths; }},
      {"causal, given offsets",
       {2, 2, 2, 6, 12, 5, 3},
       [](attn::AttentionArgs& a) {
         a.causal = true;
         a.alignment = attn::Alignment::given;
         a.query_offsets = offsets;
       }},
      {"causal, key lengths",
       {2, 4, 2, 9, 12, 5, 3},
       [](attn::AttentionArgs& a) {
         a.causal = true;
         a.key_lengths = key_lengths;
       }},
      {"window",
       {1, 1, 1, 10, 12, 5, 3},
       [](attn::AttentionArgs& a) {
         a.window_left = 2;
         a.window_right = 1;
       }},
      {"causal, many tiles", {1, 3, 1, 45, 70, 5, 20}, [](attn::AttentionArgs& a) { a.causal = true; }},
      {"narrow window, two blocks",
       {1, 1, 1, 40, 530, 4, 17},
       [](attn::AttentionArgs& a) {
         a.window_left = 9;
         a.window_right = 3;
       }},
      {"causal, two blocks, top left",
       {1, 2, 1, 600, 530, 3, 2},
       [](attn::AttentionArgs& a) {
         a.causal = true;
         a.alignment = attn::Alignment::top_left;
       }},
      // Boolean masks: read in place and packed, the same for all rows and different from row to row, with and without
      // runs that a block can skip.
      {"mask of keys, few rows",
       {2, 2, 1, 3, 70, 5, 20},
       [](attn::AttentionArgs& a) {
         a.mask = {mask_of(140, [](std::size_t i) { return i % 5 != 0 ? 2 : 0; }), 70, 0, 0, 1};
       }},
      {"mask of keys, many rows",
       {2, 2, 2, 40, 70, 5, 20},
       [](attn::AttentionArgs& a) {
         a.mask = {mask_of(140, [](std::size_t i) { return i % 7 < 4 ? 1 : 0; }), 70, 0, 0, 1};
       }},
      {"padding mask",
       {2, 2, 1, 30, 70, 5, 20},
       [](attn::AttentionArgs& a) {
         a.mask = {mask_of(140, [](std::size_t i) { return i < 33 || (i >= 70 && i < 119) ? 255 : 0; }), 70, 0, 0, 1};
       }},
      {"mask of rows and keys, few rows",
       {1, 2, 1, 5, 40, 5, 3},
       [](attn::AttentionArgs& a) {
         a.mask = {mask_of(200, [](std::size_t i) { return i % 3 == 1 ? 1 : 0; }), 0, 0, 40, 1};
       }},
      {"mask of rows and keys, transposed, causal",
       {1, 3, 1, 33, 70, 5, 20},
       [](attn::AttentionArgs& a) {
         a.causal = true;
         a.mask = {mask_of(33 * 70, [](std::size_t i) { return i * i % 11 < 5 ? 1 : 0; }), 0, 0, 1, 33};
       }},
      {"mask, two blocks, the first of no use to some rows",
       {1, 1, 1, 40, 530, 4, 17},
       [](attn::AttentionArgs& a) {
         a.mask = {
             mask_of(40 * 530, [](std::size_t i) { return i % 530 >= 512 || i / 530 % 3 == 0 ? 1 : 0; }), 0, 0, 530, 1};
       }},
  };
  return list;
}

// Keys to poison: all if they are few, else some and those around the block's end.
std::vector<std::int64_t> victims(std::int64_t keys, Random& random) {
  std::vector<std::int64_t> list;
  if (keys < 20 || (keys < 100 && !test::quick()))
    for (std::int64_t j = 0; j < keys; ++j) list.push_back(j);
  else
    list = {0, 15, 16, 511, 512, keys - 1, random.integer(1, keys - 1), random.integer(1, keys - 1)};
  for (std::int64_t& j : list) j = std::min(j, keys - 1);
  return list;
}

struct Run {
  Run(const Masked& mask, Path path, Random& random) : p(mask.shape, random) {
    mask.set(p.args);
    p.args.path = path;
    p.want_logsumexp();
    if (path == Path::blas) p.want_weights();
    before_ok = p.check();  // clean data: right, with empty rows 0 and -inf
    oracle = test::attend(p.args);
    clean = p.output;
    clean_lse = p.logsumexp;
    clean_weights = p.weights;
  }

  // Rows are counted through all items and heads.
  std::int64_t rows() const { return p.args.batch * p.args.query_heads * p.args.query_length; }
  bool sees(std::int64_t row, std::int64_t b, std::int64_t kv_head, std::int64_t j) const {
    const std::int64_t head = row / p.args.query_length, h = head % p.args.query_heads;
    return head / p.args.query_heads == b && h / (p.args.query_heads / p.args.kv_heads) == kv_head &&
        Dense(oracle.allowed, rows(), p.args.key_length)(row, j);
  }

  // `poisoned(row, column)` says which outputs must be NaN; all else must be as it was: bit for bit on the streaming
  // path, within rounding on the other, where BLAS may take another kernel. "" if so.
  std::string judge(const std::function<bool(std::int64_t, std::int64_t)>& poisoned) const {
    const Dense now(p.output, rows(), p.args.value_dim), before(clean, rows(), p.args.value_dim);
    for (std::int64_t r = 0; r < rows(); ++r)
      for (std::int64_t e = 0; e < p.args.value_dim; ++e) {
        const float got = now(r, e), was = before(r, e);
        const std::string where = "row " + std::to_string(r) + " column " + std::to_string(e);
        if (poisoned(r, e)) {
          if (!std::isnan(got)) return where + " must be NaN, is " + std::to_string(got);
          if (p.args.path == Path::streaming && test::bits(got) != test::canonical_nan)
            return where + ": not the one NaN";
        } else if (
            p.args.path == Path::streaming ? test::bits(got) != test::bits(was)
                                           : !test::close(static_cast<double>(got), static_cast<double>(was), 1e-6)) {
          return where + " must be " + std::to_string(was) + ", is " + std::to_string(got);
        }
      }
    return "";
  }

  Dense<float, 2> output() { return Dense(p.output, rows(), p.args.value_dim); }

  Problem p;
  std::string before_ok;
  test::Attended oracle;
  std::vector<float> clean, clean_lse, clean_weights;
};

float* key_at(Problem& p, std::int64_t b, std::int64_t h, std::int64_t j) {
  return &Dense(p.k, p.args.batch, p.args.kv_heads, p.args.key_length, p.args.head_dim)(b, h, j, 0);
}
float* value_at(Problem& p, std::int64_t b, std::int64_t h, std::int64_t j) {
  return &Dense(p.v, p.args.batch, p.args.kv_heads, p.args.key_length, p.args.value_dim)(b, h, j, 0);
}

}  // namespace

TEST_CASE("nan: a key reaches the rows that see it, and no other", "[nan][attention]") {
  const Path path = GENERATE(from_range(test::paths()));
  Random random(41);
  CAPTURE(random.seed());
  for (const Masked& mask : masks()) {
    Run run(mask, path, random);
    INFO(mask.what << ": " << describe(run.p.args));
    REQUIRE(run.before_ok == "");
    const std::int64_t b = run.p.args.batch - 1, h = run.p.args.kv_heads - 1;
    for (const std::int64_t j : victims(run.p.args.key_length, random))
      for (const float poison : {quiet_nan, -quiet_nan, infinity, -infinity, 3e38f}) {
        INFO("key " << j << " holds " << poison);
        float& place = key_at(run.p, b, h, j)[random.integer(0, run.p.args.head_dim - 1)];
        const float healthy = place;
        place = poison;
        REQUIRE(run.p.run() == "");
        place = healthy;
        if (std::isnan(poison)) {
          REQUIRE(run.judge([&](std::int64_t r, std::int64_t) { return run.sees(r, b, h, j); }) == "");
          for (std::int64_t r = 0; r < run.rows(); ++r) REQUIRE(std::isnan(run.p.logsumexp[r]) == run.sees(r, b, h, j));
        } else {  // what the rows that see it hold is another matter; leave them out
          for (std::int64_t r = 0; r < run.rows(); ++r)
            for (std::int64_t e = 0; run.sees(r, b, h, j) && e < run.p.args.value_dim; ++e)
              run.output()(r, e) = Dense(run.clean, run.rows(), run.p.args.value_dim)(r, e);
          REQUIRE(run.judge([](std::int64_t, std::int64_t) { return false; }) == "");
        }
        // No weight goes to an excluded key, and the weights of the other rows are as they were.
        for (std::size_t i = 0; i < run.p.weights.size(); ++i) {
          const std::int64_t r = static_cast<std::int64_t>(i) / run.p.args.key_length;
          if (!run.oracle.allowed[i]) REQUIRE(run.p.weights[i] == 0);
          if (run.oracle.allowed[i] && run.sees(r, b, h, j) && std::isnan(poison))
            REQUIRE(std::isnan(run.p.weights[i]));
          if (!run.sees(r, b, h, j))
            REQUIRE(
                test::close(static_cast<double>(run.p.weights[i]), static_cast<double>(run.clean_weights[i]), 1e-6));
        }
      }
  }
}

TEST_CASE("nan: a value reaches its column of the rows that see it", "[nan][attention]") {
  const Path path = GENERATE(from_range(test::paths()));
  Random random(42);
  CAPTURE(random.seed());
  for (const Masked& mask : masks()) {
    Run run(mask, path, random);
    INFO(mask.what << ": " << describe(run.p.args));
    REQUIRE(run.before_ok == "");
    const std::int64_t b = run.p.args.batch - 1, h = run.p.args.kv_heads - 1;
    for (const std::int64_t j : victims(run.p.args.key_length, random))
      for (const float poison : {quiet_nan, infinity, -infinity}) {
        const std::int64_t column = random.integer(0, run.p.args.value_dim - 1);
        INFO("value " << j << ", " << column << " holds " << poison);
        float& place = value_at(run.p, b, h, j)[column];
        const float healthy = place;
        place = poison;
        REQUIRE(run.p.run() == "");
        place = healthy;
        const auto hit = [&](std::int64_t r, std::int64_t e) { return run.sees(r, b, h, j) && e == column; };
        if (std::isinf(poison))  // the column is that infinity (or NaN if the weight underflowed, which it cannot here)
          for (std::int64_t r = 0; r < run.rows(); ++r) {
            float& got = run.output()(r, column);
            if (!run.sees(r, b, h, j)) continue;
            REQUIRE(got == poison);
            got = path == Path::streaming ? test::from_bits(test::canonical_nan) : quiet_nan;
          }
        REQUIRE(run.judge(hit) == "");
      }
  }
}

TEST_CASE("nan: a query spoils its own row only", "[nan][attention]") {
  const Path path = GENERATE(from_range(test::paths()));
  Random random(43);
  CAPTURE(random.seed());
  for (const Masked& mask : masks()) {
    Run run(mask, path, random);
    INFO(mask.what << ": " << describe(run.p.args));
    REQUIRE(run.before_ok == "");
    for (int i = 0; i < 12; ++i) {
      const std::int64_t victim = random.integer(0, run.rows() - 1);
      INFO("row " << victim);
      float& place = Dense(run.p.q, run.rows(), run.p.args.head_dim)(victim, 0);
      const float healthy = place;
      place = quiet_nan;
      REQUIRE(run.p.run() == "");
      place = healthy;
      // A row without keys is empty, whatever its query holds.
      const bool empty = run.clean_lse[victim] == -infinity;
      REQUIRE(run.judge([&](std::int64_t r, std::int64_t) { return r == victim && !empty; }) == "");
      REQUIRE(std::isnan(run.p.logsumexp[victim]) == !empty);
    }
  }
}

TEST_CASE("nan: NaN keys at every position, and in any number, of any bits", "[nan][attention]") {
  const Path path = GENERATE(from_range(test::paths()));
  for (std::int64_t keys = 1; keys <= 67; keys += test::quick() ? 11 : 1) {
    Problem p({1, 1, 1, 1, keys, 1, 1});
    p.q[0] = 1;
    p.args.path = path;
    for (std::size_t j = 0; j < p.v.size(); ++j) p.v[j] = static_cast<float>(j);
    for (std::size_t j = 0; j < p.k.size(); ++j) {
      p.k.assign(p.k.size(), 0.0f);
      p.k[j] = quiet_nan;
      INFO("keys " << keys << ", NaN at " << j);
      REQUIRE(p.run() == "");
      REQUIRE(std::isnan(p.output[0]));
      p.k[j] = test::from_bits(0x7fc00001u + static_cast<std::uint32_t>(j));
      REQUIRE(p.run() == "");
      REQUIRE(std::isnan(p.output[0]));
      for (std::size_t i = 0; i <= j; ++i) p.k[i] = quiet_nan;
      REQUIRE(p.run() == "");
      REQUIRE(std::isnan(p.output[0]));
    }
  }
}

TEST_CASE("empty: one row without keys, at every key length", "[nan][attention]") {
  const Path path = GENERATE(from_range(test::paths()));
  Random random(44);
  CAPTURE(random.seed());
  for (std::int64_t keys = 1; keys <= 257; keys += test::quick() ? 32 : 1) {
    const std::int64_t offset = -1;  // row 0 sees nothing, row t keys 0 .. t - 1
    Problem p({1, 2, 1, 6, keys, 8, 8}, random);
    p.args.causal = true;
    p.args.alignment = attn::Alignment::given;
    p.args.query_offsets = &offset;
    p.args.path = path;
    p.want_logsumexp();
    if (path == Path::blas) p.want_weights();
    INFO("keys " << keys);
    REQUIRE(p.check() == "");
    REQUIRE(p.logsumexp[0] == -infinity);
  }
}
