// The kernel that makes weights of exponentials: w = p * factor, and 0 below 2^-126; into weights, onto sums.
#include <cstddef>
#include <limits>
#include <vector>

#include "simd/kernels.hpp"
#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/isas.hpp"
#include "support/problem.hpp"
#include "support/random.hpp"

namespace {

float weight(float p, float factor) {
  const float w = p * factor;
  return w < std::numeric_limits<float>::min() ? 0.0f : w;
}

}  // namespace

TEST_CASE("weigh: weights and sums of every length, each of them alone", "[kernels][weights]") {
  test::Random random(401);
  for (std::ptrdiff_t n = 0; n <= 70; ++n) {
    CAPTURE(n);
    std::vector<float> p, before, want_weights, want_sums;
    const float factor = random.pick(std::vector<float>{1.0f, 0.3f, 1e-6f});
    for (std::ptrdiff_t j = 0; j < n; ++j) {
      p.push_back(random.uniform(0, 1));
      before.push_back(random.uniform(0, 1));
      want_weights.push_back(weight(p.back(), factor));
      want_sums.push_back(before.back() + want_weights.back());
    }
    for (const bool weights : {false, true})
      for (const bool sums : {false, true}) {
        std::vector<float> w(p.size() + 1, test::canary), s = before;
        s.push_back(test::canary);
        test::active_kernels().weigh(p.data(), factor, n, weights ? w.data() : nullptr, sums ? s.data() : nullptr);
        CHECK(w.back() == test::canary);
        CHECK(s.back() == test::canary);
        w.pop_back();
        s.pop_back();
        CHECK(test::bits_equal(w, weights ? want_weights : std::vector<float>(p.size(), test::canary)));
        CHECK(test::bits_equal(s, sums ? want_sums : before));
      }
  }
}

TEST_CASE("weigh: less than 2^-126 is 0, and a NaN stays one", "[kernels][weights]") {
  const float least = std::numeric_limits<float>::min(), nan = std::numeric_limits<float>::quiet_NaN();
  const struct {
    float p, factor, want;
  } cases[] = {{1.0f, least, least},        {0.5f, least, 0.0f},          {least, 1.0f, least},
               {least, 0.99f, 0.0f},        {0.0f, 1.0f, 0.0f},           {nan, 1.0f, nan},
               {0x1p-60f, 0x1p-66f, least}, {0x1p-60f, 0x1.8p-67f, 0.0f}, {1.0f, 0.0f, 0.0f}};
  for (const std::size_t n : {1u, 15u, 16u, 17u})
    for (const auto& c : cases) {
      CAPTURE(c.p, c.factor, n);
      const std::vector<float> p(n, c.p);
      std::vector<float> w(n), sums(n);
      test::active_kernels().weigh(p.data(), c.factor, static_cast<std::ptrdiff_t>(n), w.data(), sums.data());
      CHECK(test::bits_equal(w, std::vector<float>(n, c.want)));
      CHECK(test::bits_equal(sums, std::vector<float>(n, c.want)));
    }
}
