// A bias of 0 and -inf is a mask: it gives the bits that the boolean mask gives, on both paths, row by row. Rows whose
// bias is more than that keep theirs, whatever stands in the rows beside them.
#include <algorithm>
#include <functional>
#include <iterator>
#include <limits>
#include <string>
#include <vector>

#include "attn/attention.hpp"
#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/isas.hpp"
#include "support/paths.hpp"
#include "support/random_problem.hpp"

namespace {

using attn::DType;
using attn::Path;
using std::int64_t;
using test::Problem;

constexpr float infinity = std::numeric_limits<float>::infinity(), quiet_nan = std::numeric_limits<float>::quiet_NaN();

// Which keys a query may see: [queries, keys].
struct Pattern {
  const char* name;
  bool (*allowed)(int64_t query, int64_t key, int64_t queries, int64_t keys);
};
std::uint64_t scattered(int64_t t, int64_t j) { return static_cast<std::uint64_t>(t * 7919 + j) * 2654435761u >> 7; }
const Pattern patterns[] = {
    {"all", [](int64_t, int64_t, int64_t, int64_t) { return true; }},
    {"none", [](int64_t, int64_t, int64_t, int64_t) { return false; }},
    {"causal", [](int64_t t, int64_t j, int64_t queries, int64_t keys) { return j <= keys - queries + t; }},
    {"padding", [](int64_t, int64_t j, int64_t, int64_t keys) { return j < keys * 2 / 3; }},
    {"padding in front", [](int64_t, int64_t j, int64_t, int64_t keys) { return j >= keys / 3; }},
    {"scattered", [](int64_t t, int64_t j, int64_t, int64_t) { return scattered(t, j) % 3 != 0; }},
    {"blocks", [](int64_t t, int64_t j, int64_t, int64_t) { return (t / 8 + j / 512) % 2 == 0; }},
    {"empty rows", [](int64_t t, int64_t j, int64_t, int64_t) { return t % 3 != 1 && j % 2 == 0; }},
};

struct More {
  const char* name;
  void (*set)(attn::AttentionArgs&);
};
const float slopes[] = {0.5f, -0.25f, 0, 1}, sinks[] = {1, -infinity, 0, -3};
const More more[] = {
    {"nothing", [](attn::AttentionArgs&) {}},
    {"a negative scale", [](attn::AttentionArgs& a) { a.scale = -0.3f; }},
    {"a tiny scale", [](attn::AttentionArgs& a) { a.scale = 0x1p-123f; }},
    {"softcap", [](attn::AttentionArgs& a) { a.softcap = 2; }},
    {"ALiBi", [](attn::AttentionArgs& a) { a.alibi_slopes = slopes; }},
    {"sinks", [](attn::AttentionArgs& a) { a.sinks = sinks; }},
    {"causal", [](attn::AttentionArgs& a) { a.causal = true; }},
    {"a window", [](attn::AttentionArgs& a) { a.window_left = 37; }},
};

// Memory of a mask or bias [queries, keys], by rows or transposed.
struct Plane {
  std::vector<std::uint8_t> mask;
  std::vector<float> floats;
  std::vector<std::uint16_t> halves;
  int64_t row_stride, column_stride;

  Plane(const Pattern& pattern, int64_t queries, int64_t keys, DType type, bool transposed)
      : row_stride(transposed ? 1 : keys), column_stride(transposed ? queries : 1) {
    for (int64_t i = 0; i < queries * keys; ++i) {
      const int64_t t = transposed ? i % queries : i / keys, j = transposed ? i / queries : i % keys;
      const bool allowed = pattern.allowed(t, j, queries, keys);
      mask.push_back(allowed);
      floats.push_back(allowed ? (j % 2 ? 0.0f : -0.0f) : -infinity);
      halves.push_back(allowed ? (j % 2 ? 0 : 0x8000) : type == DType::f16 ? 0xfc00 : 0xff80);
    }
  }
  attn::Mask as_mask() const { return {mask.data(), 0, 0, row_stride, column_stride}; }
  attn::Bias as_bias(DType type) const {
    const void* const data = type == DType::f32 ? static_cast<const void*>(floats.data()) : halves.data();
    return {data, type, 0, 0, row_stride, column_stride};
  }
};

// All results of a call with that mask and bias.
std::vector<float> results(Problem& p, attn::Mask mask, attn::Bias bias) {
  p.args.mask = mask;
  p.args.bias = bias;
  REQUIRE(p.run() == "");
  return p.results();
}

void want_all(Problem& p, Path path) {
  p.args.path = path;
  p.want_logsumexp();
  p.want_weights();
  p.want_key_weight_sums();
  if (path == Path::blas) p.want_scores(attn::ScoresStage::biased);
}

// Bytes of the rows that keep(query) says, of a result [items x heads, queries, columns].
std::vector<float> rows_of(const std::vector<float>& x, int64_t queries, const std::function<bool(int64_t)>& keep) {
  const int64_t rows = 8 * queries, columns = static_cast<int64_t>(x.size()) / rows;
  std::vector<float> kept;
  for (int64_t r = 0; r < rows; ++r)
    if (keep(r % queries)) kept.insert(kept.end(), x.begin() + r * columns, x.begin() + (r + 1) * columns);
  return kept;
}

}  // namespace

TEST_CASE("bias bits: 0 and -inf are a mask", "[same_bits][bias][bits]") {
  const Path path = GENERATE(from_range(test::paths()));
  static const float factors[] = {0, -2, quiet_nan, infinity};
  for (const int64_t queries : {1, 5, 50})
    for (const int64_t keys : {1, 17, 600, 1100}) {
      if (test::quick() && keys == 600) continue;
      test::Random random(91);
      Problem p({2, 4, 2, queries, keys, 12, 9}, random);
      want_all(p, path);
      int round = 0;
      for (const Pattern& pattern : patterns)
        for (const More& other : more) {
          // All mixtures of the small ones; of the large ones, each pattern and each option in turn.
          const bool turn = (&pattern - patterns) % static_cast<std::ptrdiff_t>(std::size(more)) == &other - more;
          if (!turn && (test::quick() || queries * keys > 100)) continue;
          const DType type = static_cast<DType>(round % 3);
          const Plane plane(pattern, queries, keys, type, round % 2 == 1);
          attn::AttentionArgs plain = p.args;
          plain.mask = {};
          plain.bias = {};
          other.set(p.args);
          INFO(test::describe(p.args) << ", " << pattern.name << ", with " << other.name);
          const std::vector<float> want = results(p, plane.as_mask(), {});
          attn::Bias bias = plane.as_bias(type);
          CHECK(test::bits_difference(results(p, {}, bias), want) == "");
          bias.head_factors = factors;  // whatever they are
          CHECK(test::bits_difference(results(p, {}, bias), want) == "");
          CHECK(test::bits_difference(results(p, plane.as_mask(), bias), want) == "");
          p.args = plain;
          ++round;
        }
    }
}

TEST_CASE("bias bits: a mask and a bias of -inf together", "[same_bits][bias][bits]") {
  const Path path = GENERATE(from_range(test::paths()));
  const int64_t queries = GENERATE(3, 40), keys = 530;
  test::Random random(92);
  Problem p({2, 4, 2, queries, keys, 12, 9}, random);
  want_all(p, path);
  const Plane scattered(patterns[5], queries, keys, DType::f32, false),
      causal(patterns[2], queries, keys, DType::f32, false);
  Plane both = scattered;
  for (std::size_t i = 0; i < both.mask.size(); ++i) both.mask[i] &= causal.mask[i];
  const std::vector<float> want = results(p, both.as_mask(), {});
  CHECK(test::bits_difference(results(p, scattered.as_mask(), causal.as_bias(DType::f32)), want) == "");
  // What stands under the mask does not decide whether the bias is one.
  Plane poisoned = causal;
  for (std::size_t i = 0; i < poisoned.floats.size(); ++i)
    if (!scattered.mask[i]) poisoned.floats[i] = i % 2 ? 1.0f : quiet_nan;
  CHECK(test::bits_difference(results(p, scattered.as_mask(), poisoned.as_bias(DType::f32)), want) == "");
}

TEST_CASE("bias bits: a row is a mask or not by itself", "[same_bits][bias][bits]") {
  const int64_t queries = GENERATE(6, 50), keys = 1100;  // in place, and packed
  const auto is_mask = GENERATE(0, 1, 2);
  const std::function<bool(int64_t)> kinds[] = {
      [](int64_t t) { return t % 2 == 0; }, [](int64_t t) { return t == 0; },
      [](int64_t t) { return (t / 5) % 3 != 0; }};
  const std::function<bool(int64_t)>& masks = kinds[is_mask];
  test::Random random(93);
  Problem p({2, 4, 2, queries, keys, 12, 9}, random);
  want_all(p, Path::streaming);
  const Plane mask(patterns[5], queries, keys, DType::f32, false);
  Plane values = mask, mixed = mask;
  for (int64_t t = 0; t < queries; ++t)
    for (int64_t j = 0; j < keys; ++j) {
      float& x = values.floats[t * keys + j];
      if (j >= 900 && x != -infinity) x = random.normal();  // the last block decides
      if (!masks(t)) mixed.floats[t * keys + j] = x;
    }
  results(p, mask.as_mask(), {});
  const std::vector<float> outputs[] = {p.output, p.weights, p.logsumexp};
  results(p, {}, values.as_bias(DType::f32));
  const std::vector<float> others[] = {p.output, p.weights, p.logsumexp};
  results(p, {}, mixed.as_bias(DType::f32));
  const std::vector<float> got[] = {p.output, p.weights, p.logsumexp};
  const auto not_masks = [&](int64_t t) { return !masks(t); };
  for (int i = 0; i < 3; ++i) {
    INFO("result " << i);
    CHECK(test::bits_difference(rows_of(got[i], queries, masks), rows_of(outputs[i], queries, masks)) == "");
    CHECK(test::bits_difference(rows_of(got[i], queries, not_masks), rows_of(others[i], queries, not_masks)) == "");
  }
}

TEST_CASE("bias bits: rows of both kinds on any number of threads, and on scalar", "[same_bits][bias][bits]") {
  for (const int64_t queries : {4, 50}) {
    const int64_t keys = 2100;
    test::Random random(94);
    Problem p({1, 2, 1, queries, keys, 150, 150}, random);
    want_all(p, Path::streaming);
    std::vector<float> bias = random.normals(queries * keys);
    for (int64_t i = 0; i < queries * keys; ++i) bias[i] = i % 5 == 0 ? -infinity : i / keys % 3 == 0 ? 0 : bias[i];
    p.args.bias = {bias.data(), DType::f32, 0, 0, keys, 1};
    REQUIRE(p.check() == "");
    const std::vector<float> want = p.results();
    REQUIRE(test::on_scalar([&] { return p.run(); }) == "");
    CHECK(test::bits_difference(p.results(), want) == "");
    for (const int64_t threads : {2, 3}) {
      attn::ThreadPool pool(threads);
      const attn::Parallel parallel = pool.parallel();
      p.args.parallel = &parallel;
      REQUIRE(p.run() == "");
      CHECK(test::bits_difference(p.results(), want) == "");
      p.args.parallel = nullptr;
    }
  }
}
