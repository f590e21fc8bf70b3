// A seeded generator that gives the same numbers on every machine (std distributions do not).
// Say CAPTURE(random.seed()) in the test, so that a failure prints it; ATTN_TEST_SEED=<n> replaces every seed.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <vector>

namespace test {

// One seed for all draws: counts over many of them say nothing then.
inline const char* given_seed() { return std::getenv("ATTN_TEST_SEED"); }

class Random {
 public:
  explicit Random(std::uint64_t seed) : seed_(seed) {
    if (const char* given = given_seed()) seed_ = std::strtoull(given, nullptr, 10);
    state_ = seed_;
  }

  std::uint64_t seed() const { return seed_; }

  // splitmix64
  std::uint64_t next() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }

  // In [low, high].
  std::int64_t integer(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(next() % static_cast<std::uint64_t>(high - low + 1));
  }
  // The bits of a half: of size `least` to `most`, with either sign.
  std::uint16_t signed_half(std::int64_t least, std::int64_t most) {
    const std::int64_t size = integer(least, most), sign = integer(0, 1);  // in one order, which operands of | are not
    return static_cast<std::uint16_t>(sign << 15 | size);
  }
  bool flip() { return integer(0, 1) == 1; }

  // In [low, high).
  float uniform(float low, float high) {
    const double u = static_cast<double>(next() >> 11) * 0x1p-53;
    return static_cast<float>(static_cast<double>(low) + u * (static_cast<double>(high) - static_cast<double>(low)));
  }

  // About normal(0, 1), by the sum of twelve uniforms: no tail beyond 6, which a test can rely on.
  float normal() {
    double sum = -6;
    for (int i = 0; i < 12; ++i) sum += static_cast<double>(next() >> 11) * 0x1p-53;
    return static_cast<float>(sum);
  }

  template <class T>
  const T& pick(const std::vector<T>& from) {
    return from[integer(0, static_cast<std::int64_t>(from.size()) - 1)];
  }

  std::vector<float> normals(std::size_t n) {
    std::vector<float> x(n);
    for (float& value : x) value = normal();
    return x;
  }

 private:
  std::uint64_t seed_, state_;
};

}  // namespace test
