// softmax(): every length around the vector widths, every layout, on every instruction set, against the oracle and bit
// for bit against the scalar path.
#include "attn/softmax.hpp"

#include <cmath>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/guard.hpp"
#include "support/isas.hpp"
#include "support/oracle.hpp"
#include "support/random.hpp"

namespace {

using test::canonical_nan;
using test::Random;

constexpr float canary = 123.0f;

std::vector<std::int64_t> lengths() {
  std::vector<std::int64_t> n;
  for (std::int64_t i = 1; i <= 70; i += test::quick() ? 5 : 1) n.push_back(i);
  for (std::int64_t i : {127, 128, 129, 130, 255, 256, 257, 511, 512, 513, 1000}) n.push_back(i);
  return n;
}

// What may be wrong with weight j, u = 2^-24 (half an ULP, relative):
//   x - m rounded: |scale d| u       exp: 1.02 ULP <= 2.04 u       1 / l and its product with p: 2 u
//   l: the same on average, where the average of |scale d| under the weights is below ln(n); its additions, n / 16 in a
//   lane and 4 in the tree: (n / 16 + 4) u
// Weights below 2^-126 may be 0.
double tolerance(double weight, double scaled_d, std::size_t n) {
  const double terms = static_cast<double>(n);
  const double units = std::fabs(scaled_d) + 2.04 + 2 + std::log(terms) + 2.04 + terms / 16 + 1 + 4;
  return weight * units * 0x1p-24 + 0x1p-126;
}

// y is softmax(scale * x) within the bound above: "" or what is wrong.
std::string judge(const std::vector<float>& x, const std::vector<float>& y, float scale) {
  const std::vector<double> want = test::softmax(x, static_cast<double>(scale));
  double top = -std::numeric_limits<double>::infinity();
  for (float value : x) top = std::fmax(top, static_cast<double>(scale < 0 ? -value : value));
  for (std::size_t j = 0; j < x.size(); ++j) {
    const double d = static_cast<double>(scale < 0 ? -x[j] : x[j]) - top;
    const double bound = want[j] > 0 ? tolerance(want[j], d * std::fabs(static_cast<double>(scale)), x.size()) : 0;
    if (!test::close(static_cast<double>(y[j]), want[j], bound))
      return "column " + std::to_string(j) + " of " + std::to_string(x.size()) + ": got " + std::to_string(y[j]) +
          ", want " + std::to_string(want[j]);
    if (std::isnan(want[j]) && test::bits(y[j]) != canonical_nan) return "a NaN that is not 0x7fc00000";
    if (!std::isnan(want[j]) && std::signbit(y[j])) return "a negative weight";
  }
  return "";
}

std::vector<float> softmax_of(const std::vector<float>& x, float scale) {
  std::vector<float> y(x.size(), canary);
  const std::int64_t n = static_cast<std::int64_t>(x.size());
  const attn::Status status = attn::softmax(x.data(), y.data(), 1, n, n, n, scale);
  INFO(status.message());
  REQUIRE(status.ok());
  return y;
}

// Right, and the bits of scalar.
void check_row(const std::vector<float>& x, float scale = 1) {
  INFO("columns " << x.size() << ", scale " << scale);
  const std::vector<float> y = softmax_of(x, scale);
  REQUIRE(judge(x, y, scale) == "");
  REQUIRE(test::bits_difference(y, test::on_scalar([&] { return softmax_of(x, scale); })) == "");
}

std::vector<float> uniform_row(Random& random, std::int64_t n, float spread) {
  std::vector<float> x(n);
  for (float& value : x) value = random.uniform(-spread, spread);
  return x;
}

}  // namespace

TEST_CASE("softmax: every length and scale", "[right][softmax]") {
  Random random(1);
  CAPTURE(random.seed());
  for (const std::int64_t n : lengths())
    for (const float scale : {1.0f, 0.125f, -1.0f, 3.0f, 0.0f, -0.3f}) {
      check_row(uniform_row(random, n, 20), scale);
      check_row(uniform_row(random, n, 1), scale);
    }
}

TEST_CASE("softmax: the weights of a row sum to 1", "[right][softmax]") {
  Random random(2);
  CAPTURE(random.seed());
  for (std::int64_t n = 1; n <= 70; ++n) {
    double sum = 0;
    for (const float w : softmax_of(uniform_row(random, n, 20), 1)) sum += static_cast<double>(w);
    INFO("columns " << n);
    REQUIRE(std::fabs(sum - 1) <= 1e-6);
  }
}

TEST_CASE("softmax: known values", "[right][softmax]") {
  const std::vector<float> x{7.25f, 6.5f, 5.125f, 4.75f, 3.5f, 3.0f};
  const std::vector<double> want{0.584226, 0.2759688, 0.0697758, 0.0479562, 0.0137397, 0.0083335};
  const std::vector<float> y = softmax_of(x, 1);
  for (std::size_t j = 0; j < x.size(); ++j) REQUIRE(std::fabs(static_cast<double>(y[j]) / want[j] - 1) <= 1e-5);
  REQUIRE(judge(x, y, 1) == "");
}

TEST_CASE("softmax: unaligned, in place, padded and upside-down rows", "[right][softmax]") {
  struct Layout {
    std::int64_t x_pad, y_pad;
    bool x_reversed, y_reversed;
  };
  Random random(3);
  CAPTURE(random.seed());
  constexpr std::int64_t rows = 3;
  for (const std::int64_t n : {1, 5, 16, 17, 33, 64, 79, 130})
    for (const std::int64_t offset : {0, 1, 2, 3, 5})
      for (const Layout layout :
           {Layout{0, 0, false, false}, Layout{3, 0, false, false}, Layout{0, 7, false, false},
            Layout{1, 2, true, false}, Layout{2, 1, false, true}, Layout{16, 16, true, true}}) {
        const std::int64_t x_pitch = n + layout.x_pad, y_pitch = n + layout.y_pad;
        std::vector<float> x = random.normals(offset + rows * x_pitch + 16);
        std::vector<float> y(offset + rows * y_pitch + 16, canary);
        const std::int64_t x_stride = layout.x_reversed ? -x_pitch : x_pitch;
        const std::int64_t y_stride = layout.y_reversed ? -y_pitch : y_pitch;
        const std::int64_t x_start = offset + (layout.x_reversed ? (rows - 1) * x_pitch : 0);
        const std::int64_t y_start = offset + (layout.y_reversed ? (rows - 1) * y_pitch : 0);

        INFO("columns " << n << ", offset " << offset << ", strides " << x_stride << " " << y_stride);
        std::vector<float> want(y.size(), canary), in_place = x;
        for (std::int64_t r = 0; r < rows; ++r) {
          const auto row = x.begin() + x_start + r * x_stride;
          const std::vector<float> one = softmax_of(std::vector<float>(row, row + n), 0.5f);
          std::copy(one.begin(), one.end(), want.begin() + y_start + r * y_stride);
          std::copy(one.begin(), one.end(), in_place.begin() + x_start + r * x_stride);
        }
        const std::vector<float> x_before = x;
        // All of y and x: what lies between the rows and around them must be as it was.
        REQUIRE(attn::softmax(x.data() + x_start, y.data() + y_start, rows, n, x_stride, y_stride, 0.5f).ok());
        REQUIRE(test::bits_difference(y, want) == "");
        REQUIRE(test::bits_equal(x, x_before));
        REQUIRE(attn::softmax(x.data() + x_start, x.data() + x_start, rows, n, x_stride, x_stride, 0.5f).ok());
        REQUIRE(test::bits_difference(x, in_place) == "");
      }
}

TEST_CASE("softmax: not a byte outside the rows is touched", "[right][softmax][layout]") {
  Random random(4);
  CAPTURE(random.seed());
  for (const test::Edge edge : {test::Edge::before, test::Edge::after})
    for (std::int64_t n = 1; n <= 70; ++n) {
      test::GuardedFloats x(2 * n, edge), y(2 * n, edge);
      for (float& value : x) value = random.normal();
      for (float& value : y) value = canary;
      INFO("columns " << n);
      REQUIRE(attn::softmax(x.data(), y.data(), 2, n, n, n).ok());
      for (const float value : y) REQUIRE((value > 0 && value <= 1));
    }
}

TEST_CASE("softmax: a row does not depend on its neighbours", "[right][softmax]") {
  Random random(5);
  CAPTURE(random.seed());
  const std::int64_t n = 37;
  const std::vector<float> row = uniform_row(random, n, 5), alone = softmax_of(row, 1);
  std::vector<float> x;
  for (const float fill : {-INFINITY, NAN, 3e38f}) {
    x.insert(x.end(), row.size(), fill);
    x.insert(x.end(), row.begin(), row.end());
  }
  std::vector<float> y(x.size(), canary);
  REQUIRE(attn::softmax(x.data(), y.data(), 6, n, n, n).ok());
  for (const std::int64_t r : {1, 3, 5})
    REQUIRE(test::bits_difference(std::vector<float>(y.begin() + r * n, y.begin() + (r + 1) * n), alone) == "");
}
