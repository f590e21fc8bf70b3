// The packing kernels against a plain loop, and within their bounds. The layouts (simd/kernels.hpp):
//   keys   [count, head_dim]  -> panels [head_dim, panel_keys], missing keys 0
//   values [count, value_dim] -> strips of panel_keys columns, each [count, columns rounded up to 16]
#include <algorithm>
#include <vector>

#include "dispatch.hpp"
#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/guard.hpp"
#include "support/isas.hpp"
#include "support/random.hpp"

namespace {

using attn::simd::Kernels;

std::ptrdiff_t round_up(std::ptrdiff_t n, std::ptrdiff_t to) { return (n + to - 1) / to * to; }

std::vector<float> packed_keys(
    const float* keys, std::ptrdiff_t stride, std::ptrdiff_t count, std::ptrdiff_t head_dim, std::ptrdiff_t width) {
  std::vector<float> packed(round_up(count, width) * head_dim, 0.0f);
  for (std::ptrdiff_t j = 0; j < count; ++j)
    for (std::ptrdiff_t d = 0; d < head_dim; ++d)
      packed[j / width * width * head_dim + d * width + j % width] = keys[j * stride + d];
  return packed;
}

std::vector<float> packed_values(
    const float* values, std::ptrdiff_t stride, std::ptrdiff_t count, std::ptrdiff_t value_dim, std::ptrdiff_t width) {
  std::vector<float> packed;
  for (std::ptrdiff_t strip = 0; strip < value_dim; strip += width)
    for (std::ptrdiff_t j = 0; j < count; ++j)
      for (std::ptrdiff_t e = strip; e < std::min(strip + width, round_up(value_dim, 16)); ++e)
        packed.push_back(e < value_dim ? values[j * stride + e] : 0.0f);
  return packed;
}

}  // namespace

TEST_CASE("packing: every shape around the panel and vector widths", "[kernels][simd]") {
  test::Random random(11);
  CAPTURE(random.seed());
  const Kernels& kernels = test::active_kernels();
  REQUIRE(kernels.panel_keys % 16 == 0);
  for (const std::ptrdiff_t count : {1, 2, 15, 16, 17, 31, 33, 63, 64, 65, 100, 129})
    for (const std::ptrdiff_t dim : {1, 3, 8, 15, 16, 17, 33, 64, 72, 80, 130})
      for (const std::ptrdiff_t padding : {0, 5}) {
        INFO("count " << count << ", dim " << dim << ", padding " << padding);
        const std::ptrdiff_t stride = dim + padding;
        // The source ends where the last row ends, at a forbidden page.
        test::GuardedFloats source((count - 1) * stride + dim, test::Edge::after);
        for (float& x : source) x = random.normal();

        const std::vector<float> keys = packed_keys(source.data(), stride, count, dim, kernels.panel_keys);
        std::vector<float> got(keys.size() + 16, 123.0f), want = keys;
        want.insert(want.end(), 16, 123.0f);  // and not a float more is written
        kernels.pack_keys({source.data(), attn::DType::f32, stride, count, dim, count}, got.data());
        REQUIRE(test::bits_difference(got, want) == "");

        want = packed_values(source.data(), stride, count, dim, kernels.panel_keys);
        want.insert(want.end(), 16, 123.0f);
        got.assign(want.size(), 123.0f);
        kernels.pack_values({source.data(), attn::DType::f32, stride, count, dim, count}, got.data());
        REQUIRE(test::bits_difference(got, want) == "");
      }
}

TEST_CASE("packing: NaN bits travel unchanged", "[kernels][simd]") {
  const Kernels& kernels = test::active_kernels();
  std::vector<float> source(16 * 16);
  for (std::size_t i = 0; i < source.size(); ++i)
    source[i] = test::from_bits(0x7f800001u + static_cast<std::uint32_t>(i));
  const std::vector<float> want = packed_keys(source.data(), 16, 16, 16, kernels.panel_keys);
  std::vector<float> got(want.size());
  kernels.pack_keys({source.data(), attn::DType::f32, 16, 16, 16, 16}, got.data());
  REQUIRE(test::bits_difference(got, want) == "");
}

TEST_CASE("packing: part by part, what it is at once", "[kernels][simd]") {
  test::Random random(12);
  const Kernels& kernels = test::active_kernels();
  for (const std::ptrdiff_t count : {5, 16, 33, 64, 100, 130})
    for (const std::ptrdiff_t dim : {1, 17, 72})
      for (const std::ptrdiff_t part : {16, 32, 64, 128}) {
        INFO("count " << count << ", dim " << dim << ", parts of " << part);
        const std::vector<float> source = random.normals(static_cast<std::size_t>(count * dim));
        std::vector<float> keys = packed_keys(source.data(), dim, count, dim, kernels.panel_keys);
        std::vector<float> values = packed_values(source.data(), dim, count, dim, kernels.panel_keys);
        std::vector<float> got_keys(keys.size() + 16, 123.0f), got_values(values.size() + 16, 123.0f);
        keys.insert(keys.end(), 16, 123.0f);
        values.insert(values.end(), 16, 123.0f);
        for (std::ptrdiff_t first = 0; first < count; first += part) {
          // Each part in memory of its own, which ends where it ends.
          const std::ptrdiff_t rows = std::min(part, count - first);
          test::GuardedFloats memory(static_cast<std::size_t>(rows * dim), test::Edge::after);
          std::copy_n(source.begin() + first * dim, rows * dim, memory.begin());
          const attn::simd::PackedRows x{memory.data(), attn::DType::f32, dim, rows, dim, count, first, source.data()};
          kernels.pack_keys(x, got_keys.data());
          CHECK(kernels.pack_values(x, got_values.data()));
        }
        REQUIRE(test::bits_difference(got_keys, keys) == "");
        REQUIRE(test::bits_difference(got_values, values) == "");
      }
}
