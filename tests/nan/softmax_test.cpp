// softmax(): NaN, infinities, the largest and the smallest floats, at every place of a row.
#include "attn/softmax.hpp"

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/isas.hpp"
#include "support/random.hpp"

namespace {

using test::canonical_nan;

constexpr float canary = 123.0f;
constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float largest = std::numeric_limits<float>::max();

std::vector<float> softmax_of(const std::vector<float>& x, float scale = 1) {
  std::vector<float> y(x.size(), canary);
  const std::int64_t n = static_cast<std::int64_t>(x.size());
  REQUIRE(attn::softmax(x.data(), y.data(), 1, n, n, n, scale).ok());
  return y;
}

bool all(const std::vector<float>& y, std::uint32_t pattern) {
  for (const float value : y)
    if (test::bits(value) != pattern) return false;
  return !y.empty();
}

std::vector<std::size_t> lengths() {
  std::vector<std::size_t> n;
  for (std::size_t i = 1; i <= 67; i += test::quick() ? 6 : 1) n.push_back(i);
  for (const std::size_t i : std::vector<std::size_t>{128, 130, 257}) n.push_back(i);
  return n;
}

}  // namespace

TEST_CASE("softmax: equal scores weigh the same, whatever they are", "[nan][softmax]") {
  for (const float x : {0.0f, -0.0f, 1.0f, -50.0f, 3e38f, -3e38f, largest, -largest, 1e-40f, -1e-40f})
    for (const float scale : {1.0f, -1.0f, 0.125f, 0.0f, 1e30f, 1e-30f})
      for (const std::size_t n : std::vector<std::size_t>{1, 2, 15, 16, 64}) {
        INFO("x " << x << ", scale " << scale << ", columns " << n);
        const float want = 1.0f / static_cast<float>(n);
        for (const float y : softmax_of(std::vector<float>(n, x), scale)) REQUIRE(std::fabs(y - want) <= 1e-7f * want);
      }
}

TEST_CASE("softmax: a row of -inf is 0", "[nan][softmax]") {
  for (const std::size_t n : lengths())
    for (const float scale : {1.0f, 0.125f, 0.0f}) {
      INFO("columns " << n << ", scale " << scale);
      REQUIRE(all(softmax_of(std::vector<float>(n, -infinity), scale), 0));
    }
  // A negative scale turns the row over: there +inf is what nobody attends to.
  REQUIRE(all(softmax_of(std::vector<float>(19, infinity), -2), 0));
}

TEST_CASE("softmax: one finite score among -inf takes all", "[nan][softmax]") {
  for (const std::size_t n : lengths())
    for (std::size_t at = 0; at < n; ++at) {
      std::vector<float> x(n, -infinity), want(n, 0.0f);
      x[at] = -1e5f;
      want[at] = 1;
      INFO("columns " << n << ", position " << at);
      REQUIRE(test::bits_difference(softmax_of(x), want) == "");
    }
}

TEST_CASE("softmax: -inf weighs 0 also when the scale is 0", "[nan][softmax]") {
  const std::vector<float> want{0.5f, 0.0f, 0.5f};
  REQUIRE(test::bits_difference(softmax_of({3, -infinity, 7}, 0), want) == "");
}

TEST_CASE("softmax: one NaN at any place makes the row NaN", "[nan][softmax]") {
  for (const std::size_t n : lengths())
    for (std::size_t at = 0; at < n; ++at)
      for (const float other : {0.0f, -infinity}) {
        std::vector<float> x(n, other);
        x[at] = std::numeric_limits<float>::quiet_NaN();
        INFO("columns " << n << ", position " << at << ", others " << other);
        REQUIRE(all(softmax_of(x), canonical_nan));
      }
}

TEST_CASE("softmax: NaN of any sign and payload, quiet or signalling", "[nan][softmax]") {
  for (const std::uint32_t pattern :
       {0x7fc00000u, 0xffc00000u, 0x7fc00001u, 0x7fffffffu, 0xffc000ffu, 0xffffffffu, 0x7f800001u, 0xffbfffffu,
        0x7fc00180u})
    for (const std::size_t n : std::vector<std::size_t>{1, 3, 16, 21, 70})
      for (const float scale : {1.0f, -1.0f, 0.125f}) {
        std::vector<float> x(n, 1.0f);
        x[n - 1] = test::from_bits(pattern);
        INFO("NaN 0x" << std::hex << pattern << std::dec << ", columns " << n << ", scale " << scale);
        REQUIRE(all(softmax_of(x, scale), canonical_nan));
      }
}

TEST_CASE("softmax: several NaNs in front, behind and everywhere", "[nan][softmax]") {
  for (const std::size_t n : lengths())
    for (std::size_t count = 1; count <= n; ++count) {
      std::vector<float> front(n, 2.0f), back(n, 2.0f);
      for (std::size_t i = 0; i < count; ++i) front[i] = back[n - 1 - i] = std::numeric_limits<float>::quiet_NaN();
      INFO("columns " << n << ", NaNs " << count);
      REQUIRE(all(softmax_of(front), canonical_nan));
      REQUIRE(all(softmax_of(back), canonical_nan));
    }
}

TEST_CASE("softmax: +inf makes the row NaN, one or several", "[nan][softmax]") {
  for (const std::size_t n : lengths())
    for (std::size_t at = 0; at < n; ++at) {
      std::vector<float> x(n, 1.0f);
      x[at] = infinity;
      INFO("columns " << n << ", position " << at);
      REQUIRE(all(softmax_of(x), canonical_nan));
      x[0] = infinity;
      REQUIRE(all(softmax_of(x), canonical_nan));
      for (float& value : x) value = -value;
      REQUIRE(all(softmax_of(x, -1), canonical_nan));
    }
}

TEST_CASE("softmax: the largest floats are ordinary numbers", "[nan][softmax]") {
  for (const float big : {3e38f, largest})
    for (const std::size_t n : std::vector<std::size_t>{2, 16, 17, 40}) {
      std::vector<float> x(n, -big), want(n, 0.0f);
      x[n / 2] = big;
      want[n / 2] = 1;
      INFO("+-" << big << ", columns " << n);
      REQUIRE(test::bits_difference(softmax_of(x), want) == "");
      REQUIRE(test::bits_difference(softmax_of(x, 3), want) == "");
      REQUIRE(test::bits_difference(softmax_of(x, 0.125f), want) == "");
      for (float& value : x) value = -value;
      REQUIRE(test::bits_difference(softmax_of(x, -1), want) == "");
    }
  // -FLT_MAX stands below -inf's weight by nothing, but it is there: alone with -inf it takes all.
  REQUIRE(test::bits_difference(softmax_of({-largest, -infinity}), {1, 0}) == "");
}

TEST_CASE("softmax: subnormal and tiny scores are as good as equal", "[nan][softmax]") {
  const std::vector<float> x{1e-40f, -1e-40f, 1e-38f, 0.0f, -0.0f, std::numeric_limits<float>::denorm_min()};
  for (const float y : softmax_of(x)) REQUIRE(std::fabs(y - 1.0f / 6.0f) <= 2e-8f);
}

TEST_CASE("softmax: weights too small for a float are 0, those that are not are not", "[nan][softmax]") {
  for (const float d : {-87.34f, -88.1f, -103.9f, -103.98f, -200.0f, -1e30f})
    REQUIRE(test::bits(softmax_of({0.0f, d})[1]) == 0);
  // e^-87.3 = 1.2192e-38, just above 2^-126 = 1.1755e-38
  const float y = softmax_of({0.0f, -87.3f})[1];
  REQUIRE(std::fabs(static_cast<double>(y) / std::exp(static_cast<double>(-87.3f)) - 1) <= 2e-7);
}

TEST_CASE("softmax: any scale that is accepted gives weights", "[nan][softmax]") {
  for (const float scale : {1e-45f, 1e-38f, 1e-20f, 1e20f, 0x1p126f, -0x1p126f}) {
    const std::vector<float> y = softmax_of({1.0f, 2.0f, 2.0f, 1.0f}, scale);
    const bool sharp = std::fabs(scale) > 1;
    INFO("scale " << scale);
    REQUIRE(y[0] == y[3]);
    REQUIRE(y[1] == y[2]);
    REQUIRE(y[scale > 0 ? 1 : 0] == (sharp ? 0.5f : 0.25f));
    REQUIRE(y[scale > 0 ? 0 : 1] == (sharp ? 0.0f : 0.25f));
  }
}
