// Masks and biases turned into bits, against a plain loop and within their bounds.
#include <algorithm>
#include <limits>
#include <vector>

#include "support/catch.hpp"
#include "support/guard.hpp"
#include "support/isas.hpp"
#include "support/random.hpp"

namespace {

constexpr std::ptrdiff_t block = attn::simd::key_block;
constexpr float infinity = std::numeric_limits<float>::infinity();

bool bit(const std::uint64_t* words, std::ptrdiff_t j) { return words[j / 64] >> (j % 64) & 1; }

}  // namespace

TEST_CASE("bits: of a bias, every range", "[kernels][simd]") {
  const attn::simd::Kernels& kernels = test::active_kernels();
  const std::vector<float> others{1, -1, infinity, std::numeric_limits<float>::quiet_NaN(), 1e-45f, -3e38f};
  test::Random random(12);
  for (int round = 0; round < 3000; ++round) {
    const std::ptrdiff_t begin = random.integer(0, block - 1), end = random.integer(begin + 1, block);
    // Both ends at a forbidden page.
    test::GuardedFloats before(end - begin, test::Edge::before), after(end - begin, test::Edge::after);
    std::uint64_t allowed[block / 64];
    for (std::uint64_t& word : allowed) word = round % 3 == 0 ? ~std::uint64_t{0} : random.next();
    for (std::ptrdiff_t j = 0; j < block; ++j)
      if (j < begin || j >= end) allowed[j / 64] &= ~(std::uint64_t{1} << (j % 64));
    const bool plain = random.flip();
    for (std::ptrdiff_t j = begin; j < end; ++j) {
      const std::int64_t draw = random.integer(0, plain && bit(allowed, j) ? 5 : 9);
      before.data()[j - begin] = draw < 2 ? -infinity : draw < 5 ? 0.0f : draw == 5 ? -0.0f : random.pick(others);
    }
    std::copy(before.begin(), before.end(), after.begin());
    bool zeros = true;
    for (std::ptrdiff_t j = begin; j < end; ++j) {
      const float x = before.data()[j - begin];
      zeros = zeros && (!bit(allowed, j) || x == 0 || x == -infinity);
    }
    for (test::GuardedFloats* bias : {&before, &after}) {
      std::uint64_t got[block / 64];
      std::copy(allowed, allowed + block / 64, got);
      REQUIRE(kernels.bias_to_bits(bias->data() - begin, begin, end, got) == zeros);
      for (std::ptrdiff_t j = 0; j < block; ++j) {
        const bool out = begin <= j && j < end && bias->data()[j - begin] == -infinity;
        REQUIRE(bit(got, j) == (bit(allowed, j) && !out));
      }
    }
  }
}
