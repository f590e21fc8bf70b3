// The random numbers of NumPy's RandomState(seed).randn, draw for draw.
#pragma once

#include <cmath>
#include <cstdint>
#include <random>

namespace attn {

// Standard normal draws: MT19937, 53-bit uniforms, Marsaglia's polar method.
// RandomState(42): 0.49671415, -0.1382643, 0.64768854, 1.52302986, ...
class RandomState {
 public:
  explicit RandomState(std::uint32_t seed) : bits_(seed) {}

  // A pair (x1, x2), uniform in the unit disc, gives two draws: x2 f now and x1 f at the next call.
  //   f^2 = -2 ln(r2) / r2,  r2 = x1^2 + x2^2
  double randn() {
    if (has_spare_) {
      has_spare_ = false;
      return spare_;
    }
    double x1, x2, r2;
    do {
      x1 = 2 * uniform() - 1;
      x2 = 2 * uniform() - 1;
      r2 = x1 * x1 + x2 * x2;
    } while (r2 >= 1 || r2 == 0);
    const double f = std::sqrt(-2 * std::log(r2) / r2);
    spare_ = x1 * f;
    has_spare_ = true;
    return x2 * f;
  }

 private:
  // In [0, 1): 27 high bits and 26 low bits over 2^53.
  double uniform() {
    const double high = static_cast<double>(bits_() >> 5), low = static_cast<double>(bits_() >> 6);
    return (high * 0x1p26 + low) * 0x1p-53;
  }

  std::mt19937 bits_;
  double spare_ = 0;
  bool has_spare_ = false;
};

}  // namespace attn
