// A key whose bias is -inf is not there (P3): what stands in its rows has no influence, whatever the factor, and rows
// without another key are empty (P2). No bias outside the visible range is read (P5).
#include <algorithm>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/guard.hpp"
#include "support/paths.hpp"
#include "support/problem.hpp"

namespace {

using attn::DType;
using attn::Path;
using std::int64_t;
using test::Problem;

constexpr float infinity = std::numeric_limits<float>::infinity(), quiet_nan = std::numeric_limits<float>::quiet_NaN();

}  // namespace

TEST_CASE("bias: what stands under -inf has no influence", "[not_there][bias][poison]") {
  const Path path = GENERATE(from_range(test::paths()));
  const DType type = GENERATE(DType::f32, DType::f16, DType::bf16);
  static const float factors[] = {0, -2};
  for (const int64_t rows : {3, 40})
    for (const bool plain : {false, true})  // whether the bias is 0 where it is not -inf
      for (const float poison : {quiet_nan, infinity, 3e38f}) {
        const int64_t keys = 1100, dim = 9;
        test::Random random(63);
        Problem p({1, 2, 1, rows, keys, dim, dim}, random);
        p.args.path = path;
        p.want_logsumexp();
        p.want_weights();
        p.want_key_weight_sums();
        std::vector<float> floats;
        std::vector<std::uint16_t> halves;
        for (int64_t i = 0; i < rows * keys; ++i) {
          const int64_t t = i / keys, j = i % keys;
          const bool out = j >= 700 || j % 7 == 3 || t == 1;  // a whole block, scattered, a row
          floats.push_back(out ? -infinity : plain ? 0 : 1);
          halves.push_back(
              out                      ? (type == DType::f16 ? 0xfc00 : 0xff80)
                  : plain              ? 0
                  : type == DType::f16 ? 0x3c00
                                       : 0x3f80);
        }
        const void* const data = type == DType::f32 ? static_cast<const void*>(floats.data()) : halves.data();
        p.args.bias = {data, type, 0, 0, keys, 1, factors};
        INFO(test::describe(p.args) << ", poison " << poison);
        REQUIRE(p.check() == "");
        const std::vector<float> want = p.results();
        for (int64_t j = 0; j < keys; ++j)
          if (j >= 700 || j % 7 == 3) {
            std::fill_n(p.k.begin() + j * dim, dim, poison);
            std::fill_n(p.v.begin() + j * dim, dim, poison);
          }
        for (int64_t h = 0; h < 2; ++h) std::fill_n(p.q.begin() + (h * rows + 1) * dim, dim, poison);
        REQUIRE(p.run() == "");
        if (path == Path::streaming) CHECK(test::bits_difference(p.results(), want) == "");
        if (path == Path::blas) CHECK(test::difference(p.results(), want, 1e-5) == "");
        for (int64_t h = 0; h < 2; ++h) {
          CHECK(p.logsumexp[h * rows + 1] == -infinity);
          CHECK(test::bits(p.output[(h * rows + 1) * dim]) == 0);
        }
      }
}

TEST_CASE("bias: no more than its visible columns is read", "[not_there][bias][inside]") {
  const Path path = GENERATE(from_range(test::paths()));
  const test::Edge edge = GENERATE(test::Edge::before, test::Edge::after);
  const DType type = GENERATE(DType::f32, DType::f16, DType::bf16);
  for (const int64_t keys : {1, 15, 17, 70, 513, 1025})
    for (const int64_t rows : {1, 20})
      for (const int64_t stride : {1, 2}) {
        test::Random random(64);
        Problem p({1, 2, 2, rows, keys + 30, 7, 5}, random);  // 30 keys more than are in use
        p.args.path = path;
        p.args.key_lengths = &keys;
        // One row for all queries: it ends with the keys in use.
        const int64_t count = (keys - 1) * stride + 1, bytes = count * (type == DType::f32 ? 4 : 2);
        test::GuardedFloats memory((bytes + 3) / 4, edge);
        char* const data = reinterpret_cast<char*>(memory.data()) + (edge == test::Edge::after ? bytes % 4 : 0);
        for (int64_t i = 0; i < count; ++i) {
          const std::uint32_t one = type == DType::f32 ? 0x3f800000 : type == DType::f16 ? 0x3c00 : 0x3f80;
          const std::uint32_t none = type == DType::f32 ? 0xff800000 : type == DType::f16 ? 0xfc00 : 0xff80;
          const std::uint32_t x = i % 3 == 1 ? none : random.flip() ? one : 0;
          std::memcpy(data + i * (type == DType::f32 ? 4 : 2), &x, type == DType::f32 ? 4 : 2);
        }
        p.args.bias = {data, type, 0, 0, 0, stride};
        INFO(test::describe(p.args) << ", column stride " << stride);
        REQUIRE(p.check() == "");
      }
}
