// The oracle by hand: every rule of attention() in cases of a few numbers, one head, head_dim = value_dim = 1. What all
// other tests trust must stand on something else than itself.
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/problem.hpp"

namespace {

using attn::Alignment;
using std::int64_t;
using test::Attended;
using test::difference;

constexpr double tiny = 1e-6;  // the inputs are floats
constexpr double no_number = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr float infinite = std::numeric_limits<float>::infinity(), quiet_nan = std::numeric_limits<float>::quiet_NaN();

float ln(double x) { return static_cast<float>(std::log(x)); }

// Queries of 1, scale 1: the scores are the keys.
struct Small : test::Problem {
  Small(int64_t queries, const std::vector<float>& keys, const std::vector<float>& values)
      : Problem({1, 1, 1, queries, static_cast<int64_t>(keys.size()), 1, 1}) {
    std::fill(q.begin(), q.end(), 1.0f);
    std::copy(keys.begin(), keys.end(), k.begin());
    std::copy(values.begin(), values.end(), v.begin());
    args.scale = 1;
  }
  Attended attend() const { return test::attend(args); }
  std::string gives(double output, double log_sum_exp, const std::vector<double>& weights) const {
    const Attended a = attend();
    if (const std::string d = difference(a.output, std::vector<double>{output}, tiny); !d.empty()) return "output " + d;
    if (const std::string d = difference(a.weights, weights, tiny); !d.empty()) return "weights " + d;
    if (const std::string d = difference(a.key_weight_sums, weights, tiny); !d.empty()) return "sums " + d;
    return difference(a.log_sum_exp, std::vector<double>{log_sum_exp}, tiny);
  }
};

}  // namespace

TEST_CASE("oracle: softmax, scale, sinks", "[support][oracle]") {
  Small p(1, {0, ln(3)}, {4, 8});
  CHECK(p.gives(7, std::log(4), {0.25, 0.75}) == "");
  p.args.scale = -1;
  CHECK(p.gives(5, std::log(4.0 / 3), {0.75, 0.25}) == "");
  p.args.scale = 0;  // 1 / sqrt(1)
  const float sinks[] = {ln(4), -infinite, quiet_nan, infinite};
  p.args.sinks = sinks;
  CHECK(p.gives(3.5, std::log(8), {0.125, 0.375}) == "");
  p.args.sinks = sinks + 1;
  CHECK(p.gives(7, std::log(4), {0.25, 0.75}) == "");
  for (const int spoilt : {2, 3}) {
    p.args.sinks = sinks + spoilt;
    CHECK(p.gives(no_number, no_number, {no_number, no_number}) == "");
  }
  Small wide(1, {0, 0}, {4, 8});
  wide.args.head_dim = 4;
  wide.q = {1, 1, 1, 1};
  wide.k = {0, 0, 0, 0, 2 * ln(3), 0, 0, 0};
  wide.args.query.data = wide.q.data();
  wide.args.key.data = wide.k.data();
  wide.args.key.row_stride = 4;
  wide.args.scale = 0;  // 1 / sqrt(4)
  CHECK(wide.gives(7, std::log(4), {0.25, 0.75}) == "");
}

TEST_CASE("oracle: softcap, then ALiBi, then bias", "[support][oracle]") {
  Small p(1, {0, 1000}, {4, 8});
  p.args.softcap = ln(3);
  CHECK(p.gives(7, std::log(4), {0.25, 0.75}) == "");
  const float bias[] = {ln(3), 0};
  p.args.bias = {bias, attn::DType::f32, 0, 0, 0, 1};
  CHECK(p.gives(6, std::log(6), {0.5, 0.5}) == "");  // a bias of ln 3 would vanish under the cap beside 1000
  p.args.bias = {};
  const float slope = ln(999);
  p.args.alibi_slopes = &slope;  // the query stands at key 1; capped after ALiBi, both were ln 3
  p.k[0] = 1000;
  CHECK(p.gives(7.996, std::log(3 + 3.0 / 999), {0.001, 0.999}) == "");
  const float slope2 = ln(2);
  Small both_sides(1, {0, 0, 0}, {1, 2, 4});
  both_sides.args.alibi_slopes = &slope2;
  const int64_t middle = 1;
  both_sides.args.alignment = Alignment::given;
  both_sides.args.query_offsets = &middle;
  CHECK(both_sides.gives((0.5 + 2 + 2) / 2, std::log(2), {0.25, 0.5, 0.25}) == "");
}

TEST_CASE("oracle: a bias of -inf excludes its key, +inf and NaN spoil the row", "[support][oracle]") {
  Small p(1, {0, ln(3)}, {4, 8});
  float bias[] = {0, -infinite};
  p.args.bias = {bias, attn::DType::f32, 0, 0, 0, 1};
  CHECK(p.gives(4, 0, {1, 0}) == "");
  p.v[1] = quiet_nan;
  CHECK(p.gives(4, 0, {1, 0}) == "");
  p.v[1] = 8;
  p.k[1] = quiet_nan;
  CHECK(p.gives(4, 0, {1, 0}) == "");
  const float factor = -2;
  p.args.bias.head_factors = &factor;
  CHECK(p.gives(4, 0, {1, 0}) == "");
  p.k[1] = ln(3);
  bias[1] = ln(3) / 2;
  CHECK(p.gives(6, std::log(2), {0.5, 0.5}) == "");
  p.args.bias.head_factors = nullptr;
  bias[1] = infinite;
  CHECK(p.gives(no_number, no_number, {no_number, no_number}) == "");
  bias[0] = bias[1] = -infinite;  // as good as empty
  CHECK(p.gives(0, -infinity, {0, 0}) == "");
  const float sink = 2;
  p.args.sinks = &sink;
  CHECK(p.gives(0, 2, {0, 0}) == "");
}

TEST_CASE("oracle: excluded is not there", "[support][oracle]") {
  Small p(1, {0, quiet_nan, ln(3)}, {4, quiet_nan, 8});
  const float bias[] = {0, quiet_nan, 0};
  const std::uint8_t mask[] = {1, 0, 255};
  p.args.bias = {bias, attn::DType::f32, 0, 0, 0, 1};
  p.args.mask = {mask, 0, 0, 0, 1};
  CHECK(p.gives(7, std::log(4), {0.25, 0, 0.75}) == "");
  const std::uint8_t nothing = 0;
  p.args.mask = {&nothing, 0, 0, 0, 0};
  CHECK(p.gives(0, -infinity, {0, 0, 0}) == "");
  const float sinks[] = {2, -infinite, quiet_nan, infinite};
  const double outputs[] = {0, 0, no_number, no_number}, sums[] = {2, -infinity, no_number, no_number};
  for (int i = 0; i < 4; ++i) {
    p.args.sinks = sinks + i;
    CHECK(p.gives(outputs[i], sums[i], {0, 0, 0}) == "");
  }
}

TEST_CASE("oracle: which keys each query sees", "[support][oracle]") {
  const auto allowed = [](const Small& p) {
    std::string rows;
    for (const char c : p.attend().allowed) rows += c ? '1' : '.';
    return rows;
  };
  Small p(2, {0, 0, 0, 0}, {1, 2, 4, 8});
  CHECK(allowed(p) == "11111111");
  p.args.causal = true;
  CHECK(allowed(p) == "111.1111");
  p.args.alignment = Alignment::top_left;
  CHECK(allowed(p) == "1...11..");
  int64_t offset = -1, length = 3;
  p.args.alignment = Alignment::given;
  p.args.query_offsets = &offset;
  CHECK(allowed(p) == "....1...");
  offset = 9;
  p.args.key_lengths = &length;
  CHECK(allowed(p) == "111.111.");
  p.args.alignment = Alignment::bottom_right;
  p.args.query_offsets = nullptr;
  CHECK(allowed(p) == "11..111.");  // counted from the length
  p.args.causal = false;
  p.args.key_lengths = nullptr;
  p.args.window_left = 1;
  CHECK(allowed(p) == ".111..11");
  p.args.window_right = 0;
  CHECK(allowed(p) == ".11...11");
  p.args.window_left = -1;
  CHECK(allowed(p) == "111.1111");
  const std::uint8_t mask[] = {1, 0, 1, 1, 1, 0, 0, 1};
  p.args.mask = {mask, 0, 0, 4, 1};
  CHECK(allowed(p) == "1.1.1..1");
  p.args.mask = {mask + 7, 0, 0, -4, -1};  // backwards
  CHECK(allowed(p) == "1...11.1");
}

TEST_CASE("oracle: scores of each stage", "[support][oracle]") {
  Small p(1, {1, 2, 1000, 5}, {1, 1, 1, 1});
  const float bias[] = {10, 20, 30, 40};
  const std::uint8_t mask[] = {0, 1, 1, 1};
  const int64_t length = 3;
  p.args.softcap = 3;
  p.args.bias = {bias, attn::DType::f32, 0, 0, 0, 1};
  p.args.mask = {mask, 0, 0, 0, 1};
  p.args.key_lengths = &length;
  const auto scores = [&](attn::ScoresStage stage) {
    p.want_scores(stage);
    return p.attend().scores;
  };
  const double one = 3 * std::tanh(1.0 / 3), two = 3 * std::tanh(2.0 / 3);
  CHECK(difference(scores(attn::ScoresStage::scaled), std::vector<double>{1, 2, 1000, -infinity}, tiny) == "");
  CHECK(difference(scores(attn::ScoresStage::capped), std::vector<double>{one, two, 3, -infinity}, tiny) == "");
  CHECK(
      difference(scores(attn::ScoresStage::biased), std::vector<double>{-infinity, 20 + two, 33, -infinity}, tiny) ==
      "");
}

TEST_CASE("oracle: heads share, items have their own", "[support][oracle]") {
  test::Problem p({2, 4, 2, 1, 1, 1, 1});
  for (std::size_t i = 0; i < 4; ++i) p.v[i] = static_cast<float>(1 << i);
  const std::vector<double> want{1, 1, 2, 2, 4, 4, 8, 8};
  CHECK(difference(test::attend(p.args).output, want, 0) == "");
}

TEST_CASE("oracle: a packed batch", "[support][oracle]") {
  // Sequences of 1, 0 and 2 queries, 2, 1 and 1 keys; two heads over one. All scores are 0.
  test::Problem p({1, 2, 1, 3, 4, 1, 1});
  p.v = {1, 3, 50, 7};
  p.args.value.data = p.v.data();
  const int64_t queries[] = {0, 1, 1, 3}, keys[] = {0, 2, 3, 4};
  p.args.batch = 3;
  p.args.query_length = p.args.key_length = 2;
  p.args.cu_query_lengths = queries;
  p.args.cu_key_lengths = keys;
  Attended a = test::attend(p.args);
  CHECK(difference(a.output, std::vector<double>{2, 7, 7, 2, 7, 7}, 0) == "");
  const double ln2 = std::log(2);
  CHECK(difference(a.log_sum_exp, std::vector<double>{ln2, 0, 0, ln2, 0, 0}, tiny) == "");
  CHECK(difference(a.key_weight_sums, std::vector<double>{0.5, 0.5, 0, 2, 0.5, 0.5, 0, 2}, 0) == "");
  const std::vector<double> head{0.5, 0.5, 1, 0, 1, 0};  // rows of both heads in the order of the output
  std::vector<double> weights = head;
  weights.insert(weights.end(), head.begin(), head.end());
  CHECK(difference(a.weights, weights, 0) == "");
  const int64_t lengths[] = {1, 0, 1};
  p.args.key_lengths = lengths;
  p.args.causal = true;  // the first of the last two queries stands before the key
  a = test::attend(p.args);
  CHECK(difference(a.output, std::vector<double>{1, 0, 7, 1, 0, 7}, 0) == "");
  CHECK(difference(a.key_weight_sums, std::vector<double>{1, 0, 0, 1, 1, 0, 0, 1}, 0) == "");
  p.want_scores(attn::ScoresStage::scaled);  // of every key below the key length, also of one after the query
  a = test::attend(p.args);
  for (std::size_t i = 0; i < a.scores.size(); ++i) CHECK(a.scores[i] == (i % 2 == 0 ? 0 : -infinity));
}

TEST_CASE("oracle: all halves", "[support][oracle]") {
  const auto value = [](attn::DType type, int half) {
    const std::uint16_t bits = static_cast<std::uint16_t>(half);
    return test::element_of({&bits, type, 0, 0, 0}, 0, 0, 0, 0);
  };
  for (int h = 0; h < 0x10000; ++h) {  // a bf16 is the upper half of a float
    const double want = static_cast<double>(test::from_bits(static_cast<std::uint32_t>(h) << 16));
    REQUIRE(test::close(value(attn::DType::bf16, h), want, 0));
  }
  // f16: steps of 2^-24 for the first 2048, then twice as large after every 1024; then infinity, then NaN.
  double want = 0, step = 0x1p-24;
  for (int h = 0; h < 0x7c00; ++h) {
    REQUIRE(value(attn::DType::f16, h) == want);
    REQUIRE(value(attn::DType::f16, h | 0x8000) == -want);
    if (h >= 0x800 && h % 0x400 == 0) step *= 2;
    want += step;
  }
  CHECK(want == 65536);  // where the next would stand
  CHECK(value(attn::DType::f16, 0x7c00) == infinity);
  CHECK(value(attn::DType::f16, 0xfc00) == -infinity);
  for (int h = 0x7c01; h < 0x8000; ++h)
    for (const int sign : {0, 0x8000}) REQUIRE(std::isnan(value(attn::DType::f16, h | sign)));
}

// Scores by plain float arithmetic in the order of the header, against the oracle's: the errors must be as the oracle
// says, no larger, or good results fail; and not much smaller, or bad ones pass.
TEST_CASE("oracle: the error of a float32 score is as promised", "[support][oracle]") {
  struct Kind {
    const char* name;
    float softcap, slope, bias;
  };
  for (const Kind& kind :
       {Kind{"plain", 0, 0, 0}, Kind{"softcap", 2, 0, 0}, Kind{"small bias", 0, 0, 1}, Kind{"large bias", 0, 0, 3000},
        Kind{"alibi", 0, 20, 0}, Kind{"all", 5, 3, 300}})
    for (const int64_t dim : {1, 8, 64, 128}) {
      test::Random random(91);
      constexpr int64_t rows = 20, keys = 60;
      test::Problem p({1, 1, 1, rows, keys, dim, 1}, random);
      std::vector<float> bias = random.normals(rows * keys);
      for (float& x : bias) x *= kind.bias;
      attn::AttentionArgs& a = p.args;
      a.softcap = kind.softcap;
      if (kind.slope != 0) a.alibi_slopes = &kind.slope;
      if (kind.bias != 0) a.bias = {bias.data(), attn::DType::f32, 0, 0, keys, 1};
      p.want_scores(attn::ScoresStage::biased);
      const Attended want = test::attend(a);
      double squares = 0, largest = 0;
      for (int64_t t = 0; t < rows; ++t)
        for (int64_t j = 0; j < keys; ++j) {
          float s = 0;
          for (int64_t d = 0; d < dim; ++d) s = std::fma(p.q[t * dim + d], p.k[j * dim + d], s);
          s = s * (1 / std::sqrt(static_cast<float>(dim)));
          if (a.softcap != 0) s = a.softcap * std::tanh(s * (1 / a.softcap));
          if (a.alibi_slopes) s = std::fma(-kind.slope, std::fabs(static_cast<float>(keys - rows + t - j)), s);
          const std::size_t i = static_cast<std::size_t>(t * keys + j);
          if (a.bias.data) s = s + bias[i];
          const double error = std::fabs(static_cast<double>(s) - want.scores[i]);
          squares += error * error;
          largest = std::max(largest, error);
        }
      const double typical = std::sqrt(squares / (rows * keys));
      INFO(
          kind.name << ", head_dim " << dim << ": typical " << typical / want.score_error << ", largest "
                    << largest / want.score_error << " of the oracle's");
      CHECK(typical <= want.score_error);
      CHECK(largest <= 5 * want.score_error);  // what check() allows the scores
      CHECK(largest >= 0.1 * want.score_error);
    }
}
