// The comparators are the judges of all other tests: they are tried first.
#include "support/compare.hpp"

#include <limits>

#include "support/catch.hpp"

using test::bits_difference;
using test::bits_equal;
using test::close;
using test::difference;

namespace {

constexpr double quiet = std::numeric_limits<double>::quiet_NaN();
constexpr double inf = std::numeric_limits<double>::infinity();
constexpr float nan_f = std::numeric_limits<float>::quiet_NaN();

std::string one(double got, double want, double tolerance) {
  return difference(std::vector<double>{got}, std::vector<double>{want}, tolerance);
}

}  // namespace

TEST_CASE("close: a NaN passes only where a NaN is wanted", "[support][compare]") {
  CHECK_FALSE(close(quiet, 1, 1e9));
  CHECK_FALSE(close(1, quiet, 1e9));
  CHECK(close(quiet, quiet, 0));
  CHECK_FALSE(close(quiet, inf, inf));
  CHECK_FALSE(close(1, 1, quiet));
}

TEST_CASE("close: an infinity passes only where the same infinity is wanted", "[support][compare]") {
  CHECK(close(inf, inf, 0));
  CHECK(close(-inf, -inf, 0));
  CHECK_FALSE(close(inf, -inf, inf));
  CHECK_FALSE(close(inf, 1, inf));
  CHECK_FALSE(close(1, inf, inf));
}

TEST_CASE("close: the tolerance is inclusive and works on both sides", "[support][compare]") {
  CHECK(close(0.0, -0.0, 0));
  CHECK(close(1.5, 1, 0.5));
  CHECK(close(0.5, 1, 0.5));
  CHECK_FALSE(close(1.5000001, 1, 0.5));
  CHECK_FALSE(close(0.4999999, 1, 0.5));
}

TEST_CASE("difference: sizes, emptiness, and the place of the fault", "[support][compare]") {
  const std::vector<float> none, three{1, 2, 3}, two{1, 2}, other{1, 2, 4};
  CHECK(difference(none, none, 0) == "");
  CHECK(difference(three, two, 9) == "sizes differ: got 3, want 2");
  CHECK(difference(none, two, 9) != "");
  CHECK(difference(three, three, 0) == "");
  CHECK(difference(other, three, 0.5).substr(0, 10) == "element 2:");
  CHECK(difference(other, three, 1) == "");
  CHECK(one(quiet, 1, 1e9) != "");
  CHECK(one(1, quiet, 1e9) != "");
  CHECK(one(quiet, quiet, 0) == "");
}

TEST_CASE("bits: zeros of either sign and NaNs of either payload differ", "[support][compare]") {
  CHECK(bits_equal({}, {}));
  CHECK_FALSE(bits_equal({1}, {}));
  CHECK_FALSE(bits_equal({0.0f}, {-0.0f}));
  CHECK(bits_equal({nan_f}, {nan_f}));
  CHECK_FALSE(bits_equal({nan_f}, {-nan_f}));
  CHECK_FALSE(bits_equal({nan_f}, {1}));
  CHECK(bits_difference({1, 2}, {1, 3}).substr(0, 10) == "element 1:");
  CHECK(test::bits(test::from_bits(0x12345678)) == 0x12345678);
}
