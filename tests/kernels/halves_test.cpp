// widen, narrow and packing of halves: all 65536 bit patterns of each type,
// rounding against a search among its numbers, and nothing outside the arrays.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "dispatch.hpp"
#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/guard.hpp"
#include "support/isas.hpp"
#include "support/oracle.hpp"
#include "support/random.hpp"

namespace {

using attn::DType;
using attn::simd::Kernels;

double value(std::uint16_t half, DType storage) {
  return test::element_of(attn::Tensor{&half, storage, 0, 0, 0}, 0, 0, 0, 0);
}

std::uint16_t infinity(DType storage) { return storage == DType::f16 ? 0x7c00 : 0x7f80; }
bool is_nan(std::uint16_t half, DType storage) { return (half & 0x7fff) > infinity(storage); }

// The exact float. A NaN keeps its payload at the top of the fraction: f16's is made quiet, as CPUs do when they
// convert it; bf16 is the upper half of a float and is not converted at all.
float exact(std::uint16_t half, DType storage) {
  if (!is_nan(half, storage)) return static_cast<float>(value(half, storage));
  const std::uint32_t h = half;
  return test::from_bits(storage == DType::bf16 ? h << 16 : (h & 0x8000) << 16 | 0x7fc00000 | (h & 0x3ff) << 13);
}

// Nearest, ties to even, by a search among all numbers of the type. Infinity stands for the number that would follow
// the largest, which is where IEEE rounds to it.
class Nearest {
 public:
  explicit Nearest(DType storage) : storage_(storage) {
    for (std::uint16_t h = 0; h < infinity(storage); ++h) numbers_.push_back(value(h, storage));
    numbers_.push_back(2 * numbers_.back() - numbers_[numbers_.size() - 2]);
  }

  double number(std::size_t half) const { return numbers_[half]; }
  std::size_t count() const { return numbers_.size(); }  // with infinity

  std::uint16_t operator()(float x) const {
    if (std::isnan(x)) return storage_ == DType::f16 ? 0x7e00 : 0x7fc0;
    const double size = std::fabs(static_cast<double>(x));
    std::size_t h =
        static_cast<std::size_t>(std::lower_bound(numbers_.begin(), numbers_.end(), size) - numbers_.begin());
    h = std::min(h, numbers_.size() - 1);  // not below size, unless that is beyond all
    if (h > 0) {
      const double up = numbers_[h] - size, down = size - numbers_[h - 1];
      if (down < up || (down == up && h % 2 == 1)) --h;
    }
    return static_cast<std::uint16_t>(h | (std::signbit(x) ? 0x8000 : 0));
  }

 private:
  DType storage_;
  std::vector<double> numbers_;  // by their bits
};

std::string narrow_differs(
    const Kernels& kernels, DType storage, const std::vector<float>& x, const std::vector<std::uint16_t>& want) {
  std::vector<std::uint16_t> got(x.size());
  kernels.narrow(x.data(), storage, static_cast<std::ptrdiff_t>(x.size()), got.data());
  for (std::size_t i = 0; i < x.size(); ++i)
    if (got[i] != want[i])
      return "0x" + Catch::StringMaker<std::uint32_t>::convert(test::bits(x[i])) + " gives " + std::to_string(got[i]) +
          ", not " + std::to_string(want[i]);
  return "";
}

// `count` halves that touch the forbidden page on that side.
std::uint16_t* flush(test::GuardedFloats& room, std::size_t count, test::Edge edge) {
  std::uint16_t* first = reinterpret_cast<std::uint16_t*>(room.data());
  return edge == test::Edge::before ? first : first + 2 * room.size() - count;
}

}  // namespace

TEST_CASE("half: every pattern widens exactly, and narrows back to itself", "[kernels][simd][half]") {
  const DType storage = GENERATE(DType::f16, DType::bf16);
  std::vector<std::uint16_t> all(65536), back;
  std::vector<float> want;
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::uint16_t>(i);
  for (const std::uint16_t h : all) {
    want.push_back(exact(h, storage));
    back.push_back(!is_nan(h, storage) ? h : storage == DType::f16 ? 0x7e00 : 0x7fc0);
  }
  const Kernels& kernels = test::active_kernels();
  INFO("type " << static_cast<int>(storage));
  std::vector<float> got(all.size());
  kernels.widen(all.data(), storage, static_cast<std::ptrdiff_t>(all.size()), got.data());
  CHECK(test::bits_difference(got, want) == "");
  CHECK(narrow_differs(kernels, storage, want, back) == "");
}

TEST_CASE("half: narrow rounds to nearest, ties to even", "[kernels][simd][half]") {
  const DType storage = GENERATE(DType::f16, DType::bf16);
  const Nearest nearest(storage);
  // What is known without a search: f16 from 65520 on is infinite, up to 2^-25 it is 0; NaNs of all kinds are one NaN.
  std::vector<float> x{65519.99609375f, 65520, 0x1p-25f, 0x1.000002p-25f, 0x1.fffffep127f, HUGE_VALF};
  std::vector<std::uint16_t> want{0x7bff, 0x7c00, 0, 1, 0x7c00, 0x7c00};
  if (storage == DType::bf16) want = {0x4780, 0x4780, 0x3300, 0x3300, 0x7f80, 0x7f80};
  for (std::size_t i = 0; i < want.size(); ++i) REQUIRE(nearest(x[i]) == want[i]);
  for (const std::uint32_t nan :
       {0x7f800001u, 0x7fbfffffu, 0x7fc00000u, 0x7fffffffu, 0x7f80ffffu, 0xff800001u, 0xffc00000u, 0xffffffffu})
    x.push_back(test::from_bits(nan));
  // The middle between any two neighbours, and the floats beside it.
  for (std::size_t h = 0; h + 1 < nearest.count(); ++h) {
    const float middle = static_cast<float>((nearest.number(h) + nearest.number(h + 1)) / 2);
    for (const float sign : {1.0f, -1.0f})
      for (const float y : {std::nextafter(middle, 0.0f), middle, std::nextafter(middle, HUGE_VALF)})
        x.push_back(sign * y);
  }
  test::Random random(71);
  CAPTURE(random.seed());
  const int draws = test::quick() ? 100000 : 1000000;
  for (int i = 0; i < draws; ++i) x.push_back(test::from_bits(static_cast<std::uint32_t>(random.next())));
  // Bits at random are mostly beyond f16: as many within its exponents and a little beyond.
  for (int i = 0; i < draws; ++i) {
    const float y = random.uniform(-2, 2);
    x.push_back(std::ldexp(y, static_cast<int>(random.integer(-28, 17))));
  }
  want.clear();
  for (const float y : x) want.push_back(nearest(y));
  const Kernels& kernels = test::active_kernels();
  INFO("type " << static_cast<int>(storage));
  CHECK(narrow_differs(kernels, storage, x, want) == "");
}

TEST_CASE("half: widen and narrow of any count stay inside", "[kernels][simd][half]") {
  const DType storage = GENERATE(DType::f32, DType::f16, DType::bf16);
  const test::Edge edge = GENERATE(test::Edge::before, test::Edge::after);
  const std::size_t size = storage == DType::f32 ? 2 : 1;  // in halves
  test::Random random(72);
  const Kernels& kernels = test::active_kernels();
  for (std::size_t n = 0; n <= 50; ++n) {
    INFO("type " << static_cast<int>(storage) << ", n " << n);
    test::GuardedFloats from((n * size + 1) / 2, edge), to(n, edge), again((n * size + 1) / 2, edge);
    std::uint16_t *const stored = flush(from, n * size, edge), *const narrowed = flush(again, n * size, edge);
    std::vector<float> want(n);
    for (std::size_t i = 0; i < n; ++i) {
      if (storage == DType::f32) {
        want[i] = from.data()[i] = random.normal();
      } else {
        stored[i] = static_cast<std::uint16_t>(random.integer(0x0001, 0x7bff));
        want[i] = exact(stored[i], storage);
      }
    }
    kernels.widen(stored, storage, static_cast<std::ptrdiff_t>(n), to.data());
    REQUIRE(test::bits_difference({to.begin(), to.end()}, want) == "");
    kernels.narrow(to.data(), storage, static_cast<std::ptrdiff_t>(n), narrowed);
    REQUIRE(std::equal(narrowed, narrowed + n * size, stored));
  }
}

TEST_CASE("half: packing halves is packing the same floats", "[kernels][simd][half]") {
  const DType storage = GENERATE(DType::f16, DType::bf16);
  const test::Edge edge = GENERATE(test::Edge::before, test::Edge::after);
  test::Random random(73);
  CAPTURE(random.seed());
  const Kernels& kernels = test::active_kernels();
  for (const std::ptrdiff_t count : {1, 15, 16, 17, 33, 64, 100})
    for (const std::ptrdiff_t dim : {1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 72, 130})
      for (const std::ptrdiff_t padding : {0, 3}) {
        INFO("type " << static_cast<int>(storage) << ", count " << count << ", dim " << dim << ", padding " << padding);
        const std::ptrdiff_t stride = dim + padding;
        const std::size_t n = static_cast<std::size_t>((count - 1) * stride + dim);
        test::GuardedFloats room((n + 1) / 2, edge);
        std::uint16_t* const halves = flush(room, n, edge);
        const bool finite = random.flip();
        std::vector<float> floats(n);
        for (std::size_t i = 0; i < n; ++i) halves[i] = random.signed_half(0, infinity(storage) - 1);
        if (!finite) {  // one element of one row
          const std::int64_t row = random.integer(0, count - 1), column = random.integer(0, dim - 1);
          halves[row * stride + column] = static_cast<std::uint16_t>(infinity(storage) + random.integer(0, 1));
        }
        for (std::size_t i = 0; i < n; ++i) floats[i] = exact(halves[i], storage);

        const std::size_t most = static_cast<std::size_t>((count + 63) * (dim + 63) + 64);
        std::vector<float> want(most, 123.0f), got(most, 123.0f);
        kernels.pack_keys({floats.data(), DType::f32, stride, count, dim, count}, want.data());
        kernels.pack_keys({halves, storage, stride, count, dim, count}, got.data());
        REQUIRE(test::bits_difference(got, want) == "");
        REQUIRE(kernels.pack_values({floats.data(), DType::f32, stride, count, dim, count}, want.data()) == finite);
        REQUIRE(kernels.pack_values({halves, storage, stride, count, dim, count}, got.data()) == finite);
        REQUIRE(test::bits_difference(got, want) == "");
      }
}
