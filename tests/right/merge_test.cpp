// merge(): attention over parts of the keys, put together, is attention over all of them.
#include "attn/merge.hpp"

#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "attn/attention.hpp"
#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/dense.hpp"
#include "support/isas.hpp"
#include "support/problem.hpp"
#include "support/random.hpp"

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float quiet_nan = std::numeric_limits<float>::quiet_NaN();

// Parts of random numbers, [parts, rows, value_dim] and [parts, rows].
struct Parts {
  std::int64_t parts, rows, value_dim;
  std::vector<float> outputs, sums, output, sum;
  attn::MergeArgs args;

  Parts(std::int64_t p, std::int64_t r, std::int64_t e, test::Random& random)
      : parts(p),
        rows(r),
        value_dim(e),
        outputs(random.normals(p * r * e)),
        output(r * e, test::canary),
        sum(r, test::canary) {
    for (std::int64_t i = 0; i < p * r; ++i) sums.push_back(random.uniform(-80, 80));
    args.parts = p;
    args.rows = r;
    args.value_dim = e;
    args.outputs = outputs.data();
    args.part_stride = r * e;
    args.row_stride = e;
    args.logsumexps = sums.data();
    args.logsumexp_part_stride = r;
    args.output = output.data();
    args.output_row_stride = e;
    args.logsumexp = sum.data();
  }

  // Against the formula in double: "" or what is wrong.
  std::string check() {
    const std::vector<float> parts_before = outputs, sums_before = sums;
    if (!attn::merge(args).ok()) return "status";
    for (std::int64_t r = 0; r < rows; ++r) {
      double top = -std::numeric_limits<double>::infinity(), total = 0;
      for (std::int64_t i = 0; i < parts; ++i) top = std::fmax(top, lse(sums_before, i, r));
      const bool none = std::isinf(top) && top < 0;
      for (std::int64_t i = 0; i < parts && !none; ++i) total += std::exp(lse(sums_before, i, r) - top);
      if (!test::close(static_cast<double>(sum[r]), none ? top : top + std::log(total), 1e-5))
        return "logsumexp of row " + std::to_string(r);
      for (std::int64_t e = 0; e < value_dim; ++e) {
        double want = 0;
        for (std::int64_t i = 0; i < parts && !none; ++i)
          if (lse(sums_before, i, r) != -std::numeric_limits<double>::infinity())
            want += std::exp(lse(sums_before, i, r) - top) / total *
                static_cast<double>(test::Dense(parts_before, parts, rows, value_dim)(i, r, e));
        const float got = test::Dense(output, rows, value_dim)(r, e);
        if (!test::close(static_cast<double>(got), want, 1e-6)) return "row " + std::to_string(r);
        if (none && test::bits(got) != 0) return "an empty row must be +0";
      }
    }
    return "";
  }
  double lse(const std::vector<float>& from, std::int64_t i, std::int64_t r) const {
    return static_cast<double>(test::Dense(from, parts, rows)(i, r));
  }
};

}  // namespace

TEST_CASE("merge: the formula", "[right][merge]") {
  test::Random random(61);
  for (const std::int64_t parts : {0, 1, 2, 3, 5})
    for (const std::int64_t rows : {0, 1, 2, 7})
      for (const std::int64_t value_dim : {0, 1, 15, 16, 17, 64, 65, 130}) {
        Parts p(parts, rows, value_dim, random);
        for (float& s : p.sums)
          if (random.integer(0, 3) == 0) s = -infinity;  // a part without keys for this row
        INFO(parts << " parts, " << rows << " rows, " << value_dim << " columns");
        CHECK(p.check() == "");
      }
}

TEST_CASE("merge: attention over split keys is attention over all", "[right][merge]") {
  test::Random random(62);
  double worst = 0;
  for (int round = 0; round < 60; ++round) {
    const test::Shape s{2, 4, 2, random.integer(1, 20), random.integer(1, 700), 24, 33};
    test::Problem whole(s, random);
    attn::AttentionArgs& a = whole.args;
    if (round % 3 == 0) a.scale = 3;  // large scores, and one key that rules
    a.path = attn::Path::streaming;
    whole.want_logsumexp();
    REQUIRE(whole.run() == "");

    const std::int64_t parts = random.integer(1, 5), rows = s.batch * s.query_heads * s.query_length;
    std::vector<float> outputs(parts * rows * s.value_dim), sums(parts * rows);
    std::int64_t first = 0;
    for (std::int64_t i = 0; i < parts; ++i) {
      const std::int64_t end = i + 1 == parts ? s.key_length : random.integer(first, s.key_length);
      attn::AttentionArgs part = a;
      part.key_length = end - first;
      part.key.data = whole.k.data() + first * s.head_dim;
      part.value.data = whole.v.data() + first * s.value_dim;
      part.output = attn::bhtd(outputs.data() + i * rows * s.value_dim, s.query_heads, s.query_length, s.value_dim);
      part.logsumexp = sums.data() + i * rows;
      REQUIRE(attn::attention(part).ok());
      first = end;
    }
    std::vector<float> merged(whole.output.size()), sum(whole.logsumexp.size());
    const attn::MergeArgs m{parts,       rows, s.value_dim,   outputs.data(), rows * s.value_dim, s.value_dim,
                            sums.data(), rows, merged.data(), s.value_dim,    sum.data()};
    REQUIRE(attn::merge(m).ok());
    double largest = 0, value = 0;
    for (const float x : sums)
      if (std::isfinite(x)) largest = std::fmax(largest, std::fabs(static_cast<double>(x)));
    for (const float x : whole.v) value = std::fmax(value, std::fabs(static_cast<double>(x)));
    const double bound = 0x1p-24 * value * (8 + 4 * largest);
    for (std::size_t i = 0; i < merged.size(); ++i) {
      const double error = std::fabs(static_cast<double>(merged[i]) - static_cast<double>(whole.output[i]));
      worst = std::fmax(worst, error / bound);
      REQUIRE(error <= bound);
    }
    const test::Attended exact = test::attend(a);
    const double keys = static_cast<double>(s.key_length);
    const double call = value * (exact.score_error + (3 + std::sqrt(keys) / 4) * 0x1p-24);  // as support/problem.hpp
    CHECK(test::difference(merged, exact.output, bound + call) == "");
    for (std::size_t i = 0; i < sum.size(); ++i)
      REQUIRE(test::close(static_cast<double>(sum[i]), static_cast<double>(whole.logsumexp[i]), 1e-6 * (1 + largest)));
  }
  CHECK(worst > 0.01);  // the bound is not a joke
}

TEST_CASE("merge: many parts are as exact as few, and large values stay finite", "[right][merge]") {
  test::Random random(66);
  for (const std::int64_t parts : {2, 64, 1000, 20000})
    for (const bool equal : {true, false}) {
      Parts p(parts, 1, 17, random);
      for (float& s : p.sums) s = equal ? 0.0f : random.uniform(-1, 1);
      for (float& x : p.outputs) x = equal ? 0.1f : random.uniform(0, 1);
      REQUIRE(attn::merge(p.args).ok());
      double total = 0, largest = 0, value = 0;
      for (const float s : p.sums) total += std::exp(static_cast<double>(s));
      for (const float s : p.sums) largest = std::fmax(largest, std::fabs(static_cast<double>(s)));
      for (const float x : p.outputs) value = std::fmax(value, static_cast<double>(x));
      INFO(parts << " parts, equal: " << equal);
      for (std::int64_t e = 0; e < 17; ++e) {
        double want = 0;
        for (std::int64_t i = 0; i < parts; ++i)
          want += std::exp(p.lse(p.sums, i, 0)) / total * static_cast<double>(p.outputs[i * 17 + e]);
        const double got = static_cast<double>(p.output[e]);
        CHECK(test::close(got, want, 0x1p-24 * value * (8 + 4 * largest)));  // attn/merge.hpp
        if (equal) CHECK(got == static_cast<double>(0.1f));
      }
    }
  Parts p(3, 1, 2, random);
  p.sums.assign(3, 0.0f);
  p.outputs = {3e38f, -3e38f, 3e38f, -3e38f, 3e38f, -3e38f};
  REQUIRE(attn::merge(p.args).ok());
  CHECK(p.output == std::vector<float>{3e38f, -3e38f});
}

TEST_CASE("merge: sizes without elements cost nothing", "[right][merge]") {
  constexpr std::int64_t many = std::int64_t{1} << 50;
  attn::MergeArgs a;
  a.parts = many;
  a.value_dim = 4;
  CHECK(attn::merge(a).ok());
  a.parts = a.value_dim = 0;
  a.rows = many;
  CHECK(attn::merge(a).ok());
}

TEST_CASE("merge: what is not there is not seen, and NaN is", "[right][merge]") {
  test::Random random(63);
  Parts p(3, 3, 20, random);
  p.sums = {1, -infinity, 2, 1, 1, quiet_nan, -infinity, 1, 3};
  for (std::size_t e = 0; e < 20; ++e) {  // both absent
    p.outputs[20 + e] = quiet_nan;
    p.outputs[120 + e] = infinity;
  }
  CHECK(p.check() == "");
  for (std::size_t e = 0; e < 20; ++e) {
    CHECK(std::isfinite(p.output[e]));
    CHECK(std::isfinite(p.output[20 + e]));
    CHECK(test::bits(p.output[40 + e]) == test::canonical_nan);
  }
  CHECK(test::bits(p.sum[2]) == test::canonical_nan);

  p.sums = {1, 1, 1, 1, 1, 1, -300, 1, 1};  // too little to be seen, but NaN all the same
  p.outputs.assign(p.outputs.size(), 1.0f);
  p.outputs[6 * 20] = quiet_nan;
  REQUIRE(attn::merge(p.args).ok());
  CHECK(std::isnan(p.output[0]));
  CHECK(p.output[1] == 1.0f);
}

TEST_CASE("merge: strides, in place, and the same bits on every instruction set", "[right][merge][bits]") {
  test::Random random(64);
  Parts p(4, 5, 19, random);
  REQUIRE(test::on_scalar([&] { return attn::merge(p.args).ok(); }));
  const std::vector<float> want = p.output, want_sum = p.sum;
  REQUIRE(attn::merge(p.args).ok());
  CHECK(test::bits_equal(p.output, want));
  CHECK(test::bits_equal(p.sum, want_sum));
  // One gathered buffer: each part's output and, behind it, its log-sum-exp. The result has gaps.
  std::vector<float> gathered;
  for (std::size_t i = 0; i < 4; ++i) {
    gathered.insert(
        gathered.end(), p.outputs.begin() + static_cast<int>(i * 95),
        p.outputs.begin() + static_cast<int>(i * 95 + 95));
    gathered.insert(
        gathered.end(), p.sums.begin() + static_cast<int>(i * 5), p.sums.begin() + static_cast<int>(i * 5 + 5));
  }
  attn::MergeArgs a = p.args;
  a.outputs = gathered.data();
  a.part_stride = a.logsumexp_part_stride = 100;
  a.logsumexps = gathered.data() + 95;
  std::vector<float> wide(5 * 24, test::canary);
  a.output = wide.data();
  a.output_row_stride = 24;
  REQUIRE(attn::merge(a).ok());
  for (std::size_t r = 0; r < 5; ++r)
    for (std::size_t e = 0; e < 24; ++e)
      CHECK(test::bits(wide[r * 24 + e]) == test::bits(e < 19 ? want[r * 19 + e] : test::canary));
  // In place of the second part.
  a.output = gathered.data() + 100;
  a.output_row_stride = 19;
  a.logsumexp = gathered.data() + 195;
  REQUIRE(attn::merge(a).ok());
  CHECK(test::bits_equal({gathered.begin() + 100, gathered.begin() + 195}, want));
  CHECK(test::bits_equal({gathered.begin() + 195, gathered.begin() + 200}, want_sum));
}

TEST_CASE("merge: bad arguments are named and nothing is written", "[right][merge][error]") {
  const struct {
    const char *field, *value;
    std::function<void(attn::MergeArgs&)> set;
  } faults[] = {
      {"parts", "-1", [](attn::MergeArgs& a) { a.parts = -1; }},
      {"rows", "-2", [](attn::MergeArgs& a) { a.rows = -2; }},
      {"value_dim", "-3", [](attn::MergeArgs& a) { a.value_dim = -3; }},
      {"part_stride", "-4", [](attn::MergeArgs& a) { a.part_stride = -4; }},
      {"row_stride", "-5", [](attn::MergeArgs& a) { a.row_stride = -5; }},
      {"logsumexp_part_stride", "-6", [](attn::MergeArgs& a) { a.logsumexp_part_stride = -6; }},
      {"output.row_stride", "4", [](attn::MergeArgs& a) { a.output_row_stride = 4; }},
      {"outputs", "null", [](attn::MergeArgs& a) { a.outputs = nullptr; }},
      {"logsumexps", "null", [](attn::MergeArgs& a) { a.logsumexps = nullptr; }},
      {"output", "null", [](attn::MergeArgs& a) { a.output = nullptr; }},
      {"outputs", "memory", [](attn::MergeArgs& a) { a.rows = std::int64_t{1} << 60; }},
      {"output", "outputs", [](attn::MergeArgs& a) { a.output = const_cast<float*>(a.outputs) + 1; }},
      {"logsumexp", "logsumexps", [](attn::MergeArgs& a) { a.logsumexp = const_cast<float*>(a.logsumexps) + 1; }},
      {"logsumexp", "output", [](attn::MergeArgs& a) { a.logsumexp = a.output + 3; }},
  };
  for (const auto& fault : faults) {
    test::Random random(65);
    Parts p(2, 3, 6, random);
    const std::vector<float> before = p.outputs;
    fault.set(p.args);
    const attn::Status status = attn::merge(p.args);
    INFO(fault.field << " " << fault.value << ": " << status.message());
    CHECK(status.code() == attn::StatusCode::invalid_argument);
    CHECK(std::string(status.message()).find(fault.field) != std::string::npos);
    CHECK(std::string(status.message()).find(fault.value) != std::string::npos);
    CHECK(test::bits_equal(p.output, std::vector<float>(p.output.size(), test::canary)));
    CHECK(test::bits_equal(p.outputs, before));
  }
}
