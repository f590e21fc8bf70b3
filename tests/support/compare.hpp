// Comparisons that a NaN cannot pass. Each returns "" if all is well, else a sentence for CHECK(... == "").
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

namespace test {

// Is `got` within `tolerance` of `want`? A wanted NaN or infinity must be met exactly (NaN by any NaN).
inline bool close(double got, double want, double tolerance) {
  if (std::isnan(want)) return std::isnan(got);
  if (std::isinf(want) || std::isinf(got)) return got == want;
  return std::fabs(got - want) <= tolerance;  // false if got or tolerance is NaN
}

inline std::string sizes_differ(std::size_t got, std::size_t want) {
  return "sizes differ: got " + std::to_string(got) + ", want " + std::to_string(want);
}

// All of `got` within `tolerance` of `want`; names the first that is not.
template <class Got, class Want>
std::string difference(const std::vector<Got>& got, const std::vector<Want>& want, double tolerance) {
  if (got.size() != want.size()) return sizes_differ(got.size(), want.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double g = static_cast<double>(got[i]), w = static_cast<double>(want[i]);
    if (!close(g, w, tolerance)) {
      char line[160];
      std::snprintf(
          line, sizeof line, "element %zu: got %.9g, want %.9g, differ by %.3g, tolerance %.3g", i, g, w,
          std::fabs(g - w), tolerance);
      return line;
    }
  }
  return "";
}

inline std::uint32_t bits(float x) {
  std::uint32_t u;
  std::memcpy(&u, &x, sizeof u);
  return u;
}
inline float from_bits(std::uint32_t u) {
  float x;
  std::memcpy(&x, &u, sizeof x);
  return x;
}

inline constexpr std::uint32_t canonical_nan = 0x7fc00000;  // the only NaN that softmax and the streaming path give

// All bits of all floats.
inline std::string bits_difference(const std::vector<float>& got, const std::vector<float>& want) {
  if (got.size() != want.size()) return sizes_differ(got.size(), want.size());
  for (std::size_t i = 0; i < got.size(); ++i)
    if (bits(got[i]) != bits(want[i])) {
      char line[160];
      std::snprintf(
          line, sizeof line, "element %zu: got %.9g (0x%08x), want %.9g (0x%08x)", i, static_cast<double>(got[i]),
          bits(got[i]), static_cast<double>(want[i]), bits(want[i]));
      return line;
    }
  return "";
}

inline bool bits_equal(const std::vector<float>& a, const std::vector<float>& b) {
  return bits_difference(a, b).empty();
}

}  // namespace test
