// P8: the error of the exponential over every float that a softmax can give it, measured and pinned.
//
// Compared with std::exp in double (error below 0.6 of its own units: 1e-9 of ours).
// One unit (ULP) is the distance of the floats around the exact result; the exact result is at least 2^-126.
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <mutex>
#include <thread>
#include <vector>

#include "base/exponent.hpp"
#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/isas.hpp"

namespace {

using test::bits;
using test::from_bits;

struct Tally {
  double max_ulp = 0;
  float worst = 0;  // the input with the largest error
  std::uint64_t tried = 0, misrounded = 0;
  // NaN lost; flushed too early, too late or to a negative number; above the result of the larger input before it, by
  // one unit in the last place (where two pieces of the polynomial meet) or by more.
  std::uint64_t lost_nans = 0, bad_flushes = 0, rises = 0, high_rises = 0;
  float lost_nan = 0, bad_flush = 0, rise = 0;  // one such input each
  void add(const Tally& other) {
    if (other.max_ulp > max_ulp) {
      max_ulp = other.max_ulp;
      worst = other.worst;
    }
    if (other.lost_nans) lost_nan = other.lost_nan;
    if (other.bad_flushes) bad_flush = other.bad_flush;
    if (other.rises) rise = other.rise;
    tried += other.tried;
    misrounded += other.misrounded;
    lost_nans += other.lost_nans;
    bad_flushes += other.bad_flushes;
    rises += other.rises;
    high_rises += other.high_rises;
  }
};

// 1 / ULP at x >= 2^-126: 2^(23 - exponent), from x's own bits because std::ilogb would take longer than exp.
double ulps_per_unit(double x) {
  std::uint64_t u;
  std::memcpy(&u, &x, sizeof u);
  u = ((2 * 1023 + 23) - (u >> 52)) << 52;
  std::memcpy(&x, &u, sizeof x);
  return x;
}

// exp(x), x <= 0. Nine tenths of the floats need no std::exp: below -88 it is under 2^-126, and just below 0 it is 1 +
// x within x^2 / 2 = 2^-53.
double exact_exp(double x) { return x < -88 ? 0 : x > -0x1p-26 ? 1 + x : std::exp(x); }

// One result against the exact exp(scale * d). `scale * d` is exact in double.
void judge(float d, float got, double scale, Tally& tally) {
  ++tally.tried;
  if (d != d) {
    if (got == got) {
      ++tally.lost_nans;
      tally.lost_nan = d;
    }
    return;
  }
  const double exact = exact_exp(scale * static_cast<double>(d));
  if (!(exact >= 0x1p-126)) {
    // Flushed, or just at the edge, where d * c and exp may fall on two sides of 2^-126.
    const bool at_edge = exact >= 0x1p-126 * (1 - 0x1p-22) && got == 0x1p-126f;
    if (bits(got) != 0 && !at_edge) {
      ++tally.bad_flushes;
      tally.bad_flush = d;
    }
    return;
  }
  if (!(got >= 0x1p-126f)) {
    if (bits(got) != 0 || exact > 0x1p-126 * (1 + 0x1p-22)) {
      ++tally.bad_flushes;
      tally.bad_flush = d;
    }
    return;
  }
  const double error = std::fabs(static_cast<double>(got) - exact) * ulps_per_unit(exact);
  if (!(error <= tally.max_ulp)) {
    tally.max_ulp = error;
    tally.worst = d;
  }
  if (got != static_cast<float>(exact)) ++tally.misrounded;
}

// Every `step`-th non-positive float (and the NaNs below -inf), from -0 down, on two threads.
Tally sweep(float scale, std::uint32_t step) {
  const attn::simd::Exponent exponent = attn::make_exponent(static_cast<double>(scale));
  const attn::simd::Kernels& kernels = test::active_kernels();
  constexpr std::uint64_t all = std::uint64_t{1} << 31, batch = 1 << 14;
  std::atomic<std::uint64_t> next{0};
  std::mutex mutex;
  Tally total;

  auto work = [&] {
    std::vector<float> d(batch), y(batch);
    Tally tally;
    for (;;) {
      const std::uint64_t begin = next.fetch_add(batch * step);
      if (begin >= all) break;
      std::size_t n = 0;
      for (std::uint64_t magnitude = begin; n < batch && magnitude < all; magnitude += step)
        d[n++] = from_bits(0x80000000u | static_cast<std::uint32_t>(magnitude));
      kernels.exp_scaled(d.data(), y.data(), static_cast<std::ptrdiff_t>(n), exponent);
      // The last float of the batch before, so that no pair of neighbours is left out of "never rises".
      float above = 1;
      if (begin > 0) {
        const float before = from_bits(0x80000000u | static_cast<std::uint32_t>(begin - step));
        kernels.exp_scaled(&before, &above, 1, exponent);
      }
      for (std::size_t i = 0; i < n; ++i) {
        judge(d[i], y[i], static_cast<double>(scale), tally);
        if (d[i] == d[i] && !(y[i] <= above)) {
          ++tally.rises;
          tally.rise = d[i];
          if (bits(y[i]) - bits(above) != 1) ++tally.high_rises;
        }
        above = y[i];
      }
    }
    const std::lock_guard<std::mutex> lock(mutex);
    total.add(tally);
  };
  std::thread second(work);
  work();
  second.join();
  return total;
}

// A prime step, so that every position of every batch and every low bit is met.
std::uint32_t thin(std::uint32_t step) {
  if (test::quick()) return 10007;
  return test::scalar_is_active() ? 97 : step;
}

}  // namespace

TEST_CASE("exp: every non-positive float", "[kernels][exp]") {
  const std::uint32_t step = thin(1);
  const Tally t = sweep(1, step);
  WARN(
      "exp on " << attn::active_isa() << ": " << t.tried << " floats tried, maximum error " << t.max_ulp << " ULP at "
                << t.worst << ", " << t.misrounded << " results misrounded, " << t.rises << " rises of one ULP");
  INFO("lost NaN " << std::hex << bits(t.lost_nan) << ", bad flush at " << t.bad_flush << ", rise at " << t.rise);
  CHECK(t.tried == ((std::uint64_t{1} << 31) + step - 1) / step);
  CHECK(t.lost_nans == 0);
  CHECK(t.bad_flushes == 0);
  CHECK(t.high_rises == 0);
  // Published numbers: 1.01503 ULP, 8 049 437 misrounded of the 1 118 743 632 results that are not flushed, 35 306
  // rises. They do not depend on the instruction set; a C library whose exp rounds otherwise may move the counts by a
  // few.
  CHECK(t.max_ulp <= 1.0151);
  const double all = static_cast<double>(step);
  CHECK(static_cast<double>(t.misrounded) * all <= (step == 1 ? 8.05e6 : 8.5e6));
  CHECK(static_cast<double>(t.rises) * all <= (step == 1 ? 35400 : 200000));
}

TEST_CASE("exp: other scales are as exact", "[kernels][exp]") {
  const float scale = GENERATE(0.125f, 0.1020620726f /* 1 / sqrt(96) */, 3.7f);
  const Tally t = sweep(scale, thin(31));
  WARN(
      "exp of " << scale << " x on " << attn::active_isa() << ": maximum error " << t.max_ulp << " ULP at " << t.worst
                << ", " << t.misrounded << " of " << t.tried << " misrounded, rises " << t.rises);
  INFO("lost NaN " << std::hex << bits(t.lost_nan) << ", bad flush at " << t.bad_flush << ", rise at " << t.rise);
  CHECK(t.lost_nans == 0);
  CHECK(t.bad_flushes == 0);
  CHECK(t.high_rises == 0);
  CHECK(t.max_ulp <= 1.04);
}

TEST_CASE("exp: the ends", "[kernels][exp]") {
  const float infinity = std::numeric_limits<float>::infinity();
  const float scale = GENERATE(1.0f, 0.125f, 3.7f);
  const attn::simd::Exponent exponent = attn::make_exponent(static_cast<double>(scale));
  // d_min is the least float whose exact result is at least 2^-126.
  const double c = static_cast<double>(exponent.c_high) + static_cast<double>(exponent.c_low);
  CHECK(static_cast<double>(exponent.d_min) * c >= -126);
  CHECK(static_cast<double>(std::nextafter(exponent.d_min, -infinity)) * c < -126);

  const std::vector<float> d = {
      0.0f,
      -0.0f,
      -std::numeric_limits<float>::denorm_min(),
      -1e-30f,
      std::nextafter(exponent.d_min, -infinity),
      -1e30f,
      -std::numeric_limits<float>::max(),
      -infinity};
  const std::vector<float> want = {1, 1, 1, 1, 0, 0, 0, 0};
  std::vector<float> y(d.size(), 123.0f);
  test::active_kernels().exp_scaled(d.data(), y.data(), static_cast<std::ptrdiff_t>(d.size()), exponent);
  CHECK(test::bits_difference(y, want) == "");
}
