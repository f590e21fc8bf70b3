// The projection kernel: y = x W + bias for every remainder of rows, columns and depth, within its bounds.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "dispatch.hpp"
#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/guard.hpp"
#include "support/isas.hpp"
#include "support/random.hpp"

namespace {

using attn::simd::panel_columns;
using attn::simd::Projected;

constexpr std::ptrdiff_t padding = 3;  // floats between rows of x and of y
constexpr float untouched = 123.0f;

struct Sizes {
  std::ptrdiff_t rows, in, columns;
};

struct Product {
  Sizes size;
  std::vector<float> x, w, bias;  // [rows, in + padding], [in, columns], [columns]

  Product(test::Random& random, Sizes s)
      : size(s),
        x(random.normals(s.rows * (s.in + padding))),
        w(random.normals(s.in * s.columns)),
        bias(random.normals(s.columns)) {}

  // [columns / 16 rounded up][in][16], the columns that are missing 0.
  std::vector<float> panels() const {
    std::vector<float> packed((size.columns + 15) / 16 * 16 * size.in, 0.0f);
    for (std::ptrdiff_t k = 0; k < size.in; ++k)
      for (std::ptrdiff_t n = 0; n < size.columns; ++n)
        packed[n / 16 * 16 * size.in + 16 * k + n % 16] = w[k * size.columns + n];
    return packed;
  }

  // [rows, columns] by the active kernels, with x, panels and y against forbidden pages.
  std::vector<float> run(test::Edge edge) const {
    const std::vector<float> packed = panels();
    const std::ptrdiff_t stride = size.columns + padding, used = (size.rows - 1) * (size.in + padding) + size.in;
    test::GuardedFloats gx(used, edge), gw(packed.size(), edge), gy((size.rows - 1) * stride + size.columns, edge);
    test::GuardedFloats gb((size.columns + 15) / 16 * 16, edge);
    std::copy_n(x.begin(), used, gx.begin());
    std::copy(packed.begin(), packed.end(), gw.begin());
    std::copy(bias.begin(), bias.end(), gb.begin());
    std::fill(gy.begin(), gy.end(), untouched);
    test::active_kernels().project(
        {gx.data(), size.in + padding, size.rows, size.in, gw.data(), gb.data(), size.columns, gy.data(), stride});
    std::vector<float> y;
    for (std::ptrdiff_t r = 0; r < size.rows; ++r) {
      y.insert(y.end(), gy.data() + r * stride, gy.data() + r * stride + size.columns);
      for (std::ptrdiff_t n = size.columns; r + 1 < size.rows && n < stride; ++n)
        REQUIRE(gy.data()[r * stride + n] == untouched);
    }
    return y;
  }

  // One chain per element.
  std::vector<float> chains() const {
    std::vector<float> y;
    for (std::ptrdiff_t r = 0; r < size.rows; ++r)
      for (std::ptrdiff_t n = 0; n < size.columns; ++n) {
        float sum = bias[n];
        for (std::ptrdiff_t k = 0; k < size.in; ++k)
          sum = std::fma(x[r * (size.in + padding) + k], w[k * size.columns + n], sum);
        y.push_back(sum);
      }
    return y;
  }
};

}  // namespace

TEST_CASE("project: one fma chain an element, for every remainder of rows and columns", "[kernels][simd]") {
  test::Random random(121);
  CAPTURE(random.seed());
  REQUIRE(panel_columns == 16);
  for (const std::ptrdiff_t rows : {1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 17, 18, 19, 25})
    for (const std::ptrdiff_t columns : {1, 2, 15, 16, 17, 31, 32, 33, 48, 50, 63, 64, 65, 80, 127, 128, 130})
      for (const std::ptrdiff_t in : {1, 2, 7, 16, 33}) {
        if (test::quick() && (rows + columns + in) % 3 != 0) continue;
        INFO(rows << " rows, " << in << " to " << columns);
        const Product product(random, {rows, in, columns});
        const std::vector<float> want = product.chains();
        for (const test::Edge edge : {test::Edge::before, test::Edge::after})
          REQUIRE(test::bits_difference(product.run(edge), want) == "");
      }
}

TEST_CASE("project: one fma chain an element, for every depth around a block", "[kernels][simd]") {
  test::Random random(122);
  CAPTURE(random.seed());
  for (const std::ptrdiff_t in :
       {191, 192, 193, 255, 256, 257, 383, 384, 385, 511, 512, 513, 767, 768, 769, 1025, 1537})
    for (const std::ptrdiff_t rows : {1, 12, 13, 20})
      for (const std::ptrdiff_t columns : {5, 64, 83}) {
        if (test::quick() && (rows + columns + in) % 3 != 0) continue;
        INFO(rows << " rows, " << in << " to " << columns);
        const Product product(random, {rows, in, columns});
        REQUIRE(test::bits_difference(product.run(test::Edge::after), product.chains()) == "");
      }
}

TEST_CASE("project: y = x W + bias in double, and scalar's bits", "[kernels][simd]") {
  test::Random random(123);
  CAPTURE(random.seed());
  for (const Sizes s : {Sizes{3, 40, 35}, Sizes{14, 800, 70}, Sizes{49, 300, 33}}) {
    const Product product(random, s);
    const std::vector<float> got = product.run(test::Edge::after);
    // Each of in roundings is at most half an ULP of a partial sum, whose terms add up to no more than `sum`.
    for (std::ptrdiff_t r = 0; r < s.rows; ++r)
      for (std::ptrdiff_t n = 0; n < s.columns; ++n) {
        double want = static_cast<double>(product.bias[n]), sum = std::fabs(want);
        for (std::ptrdiff_t k = 0; k < s.in; ++k) {
          const double term = static_cast<double>(product.x[r * (s.in + padding) + k]) *
              static_cast<double>(product.w[k * s.columns + n]);
          want += term;
          sum += std::fabs(term);
        }
        const double tolerance = static_cast<double>(s.in + 1) * 0x1p-24 * sum;
        REQUIRE(test::close(static_cast<double>(got[r * s.columns + n]), want, tolerance));
      }
    CHECK(test::bits_difference(got, test::on_scalar([&] { return product.run(test::Edge::after); })) == "");
  }
}

TEST_CASE("project: a NaN, an infinity or a -0 reaches what it should, and nothing else", "[kernels][simd]") {
  constexpr float inf = std::numeric_limits<float>::infinity();
  const float nan = test::from_bits(0xffc12345);  // a sign and a payload that must not come through
  test::Random random(124);
  for (const std::ptrdiff_t rows : {1, 2, 6, 15})
    for (const std::ptrdiff_t columns : {16, 37, 64}) {
      const Sizes s{rows, 900, columns};
      const Product clean(random, s);
      const std::vector<float> before = clean.run(test::Edge::after);
      const std::ptrdiff_t row = rows - 1, column = columns - 2, k = 860;
      Product spoiled = clean;
      spoiled.x[row * (s.in + padding) + k] = nan;  // its row is NaN
      spoiled.w[3 * s.columns + column] = inf;  // its column is infinite, as x decides
      spoiled.bias[0] = nan;  // its column is NaN
      const std::vector<float> after = spoiled.run(test::Edge::after);
      for (std::ptrdiff_t r = 0; r < rows; ++r)
        for (std::ptrdiff_t n = 0; n < columns; ++n) {
          INFO("row " << r << ", column " << n << " of " << rows << " x " << columns);
          const float got = after[r * columns + n];
          if (r == row || n == 0)
            REQUIRE(test::bits(got) == test::canonical_nan);
          else if (n == column)
            REQUIRE(got == std::copysign(inf, clean.x[r * (s.in + padding) + 3]));
          else
            REQUIRE(test::bits(got) == test::bits(before[r * columns + n]));
        }
      // 0 times infinity has another sign on other CPUs.
      spoiled = clean;
      for (std::ptrdiff_t r = 0; r < rows; ++r) spoiled.x[r * (s.in + padding) + 3] = 0;
      for (std::ptrdiff_t n = 0; n < columns; ++n) spoiled.w[3 * columns + n] = inf;
      for (const float y : spoiled.run(test::Edge::after)) REQUIRE(test::bits(y) == test::canonical_nan);
      // A chain starts at the bias, so that -0 - 0 stays -0.
      spoiled = clean;
      std::fill(spoiled.x.begin(), spoiled.x.end(), 0.0f);
      for (float& w : spoiled.w) w = -std::fabs(w);
      std::fill(spoiled.bias.begin(), spoiled.bias.end(), -0.0f);
      for (const float y : spoiled.run(test::Edge::after)) REQUIRE(test::bits(y) == test::bits(-0.0f));
    }
}
