// How far the streaming path is from a float64 reference: on ordinary data, and on data made to be hard.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/isas.hpp"
#include "support/oracle.hpp"
#include "support/problem.hpp"

namespace {

constexpr double u = 0x1p-24;  // half an ULP of 1

struct Error {
  double output = 0, logsumexp = 0;
};

// The largest errors of a run; output relative to max |V|.
Error largest_error(test::Problem& p) {
  p.args.path = attn::Path::streaming;
  p.want_logsumexp();
  REQUIRE(p.run() == "");
  const test::Attended expected = test::attend(p.args);
  double top = 0;
  for (const float v : p.v) top = std::max(top, std::fabs(static_cast<double>(v)));
  Error error;
  for (std::size_t i = 0; i < p.output.size(); ++i) {
    const double e = std::fabs(static_cast<double>(p.output[i]) - expected.output[i]) / top;
    if (!(e <= error.output)) error.output = e;  // NaN stays
  }
  for (std::size_t i = 0; i < p.logsumexp.size(); ++i) {
    const double e = std::fabs(static_cast<double>(p.logsumexp[i]) - expected.log_sum_exp[i]) /
        std::max(1.0, std::fabs(expected.log_sum_exp[i]));
    if (!(e <= error.logsumexp)) error.logsumexp = e;
  }
  return error;
}

// The bound of the hard cases. With s the largest |q . k * scale| and n = head_dim, a score is off by at most
// n u sum |q_d k_d| * scale =: e (every step of the chain rounds once), so a weight is off by a factor of at most
// exp(2 e), its own score's error and that of the maximum. To this come the exponential (2 u), the two sums over the
// keys (each at most keys u, and the lanes make it keys / 16), the merges and the division.
double derived_bound(const test::Problem& p) {
  const std::int64_t n = p.args.head_dim, keys = p.args.key_length;
  double q = 0, k = 0;
  for (const float x : p.q) q = std::max(q, std::fabs(static_cast<double>(x)));
  for (const float x : p.k) k = std::max(k, std::fabs(static_cast<double>(x)));
  const double scale =
      p.args.scale != 0 ? std::fabs(static_cast<double>(p.args.scale)) : 1 / std::sqrt(static_cast<double>(n));
  const double e = static_cast<double>(n) * u * static_cast<double>(n) * q * k * scale;
  return std::expm1(2 * e) + (2.0 + 2.0 * static_cast<double>(keys) + 10.0) * u;
}

}  // namespace

TEST_CASE("normal data at 4096 keys: within 4e-7 of max|V|", "[right]") {
  test::Random random(4096);
  CAPTURE(random.seed());
  const std::int64_t rows = test::quick() || test::scalar_is_active() ? 8 : 128;
  for (const std::int64_t head_dim : {64, 128}) {
    test::Problem p({1, 2, 1, rows, 4096, head_dim, head_dim}, random);
    const Error error = largest_error(p);
    CAPTURE(head_dim, error.output, error.logsumexp);
    CHECK(error.output <= 4e-7);
    CHECK(error.logsumexp <= 4e-7);
  }
}

TEST_CASE("hard data: within the derived bound", "[right]") {
  test::Random random(77);
  CAPTURE(random.seed());
  test::Problem p({1, 1, 1, 20, 1500, 32, 32}, random);

  SECTION("huge logits, a new maximum in every block") {
    for (float& x : p.q) x = std::fabs(x) * 8;
    for (std::int64_t j = 0; j < 1500; ++j)
      for (std::int64_t d = 0; d < 32; ++d) p.k[j * 32 + d] = 0.01f * static_cast<float>(j);
  }
  SECTION("huge logits of both signs") {
    for (float& x : p.k) x *= 20;
  }
  SECTION("one dominant key in the last block") {
    for (std::size_t d = 0; d < 32; ++d) p.k[1400 * 32 + d] = 30 * p.q[d];
  }
  SECTION("all keys equal") {
    for (std::size_t i = 32; i < p.k.size(); ++i) p.k[i] = p.k[i - 32];
  }
  SECTION("all scores zero") { std::fill(p.q.begin(), p.q.end(), 0.0f); }
  SECTION("values of one sign") {
    for (float& x : p.v) x = 1.0f + std::fabs(x);
  }
  const Error error = largest_error(p);
  const double bound = derived_bound(p);
  CAPTURE(error.output, bound);
  CHECK(error.output <= bound);
}
