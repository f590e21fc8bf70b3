#include "support/elements.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <stdexcept>

namespace test {
namespace {

using attn::DType;

constexpr double infinity = std::numeric_limits<double>::infinity();

std::size_t size_of(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return sizeof(float);
    case DType::f16:
      return sizeof(attn::f16);
    case DType::bf16:
      return sizeof(attn::bf16);
    case DType::i8:
    case DType::q8_0:
      break;
  }
  throw std::logic_error("no DType");
}

struct Format {
  int exponent_bits, fraction_bits;
  int bias() const { return (1 << (exponent_bits - 1)) - 1; }
};
Format format_of(DType dtype) {
  switch (dtype) {
    case DType::f32:
    case DType::i8:
    case DType::q8_0:
      break;
    case DType::f16:
      return {5, 10};
    case DType::bf16:
      return {8, 7};
  }
  throw std::logic_error("not a type of 16 bits");
}

std::uint16_t encode(double x, Format f) {
  const int sign = std::signbit(x) << 15, infinite = ((1 << f.exponent_bits) - 1) << f.fraction_bits;
  if (std::isnan(x)) return static_cast<std::uint16_t>(infinite | 1);
  if (std::isinf(x)) return static_cast<std::uint16_t>(sign | infinite);
  // |x| = fraction 2^(exponent - fraction_bits). The fraction's top bit adds the 1 that makes the exponent's field; a
  // subnormal has no such bit, and the field stays 0.
  const int exponent = std::max(x == 0 ? -1000 : std::ilogb(x), 1 - f.bias());
  const int fraction = static_cast<int>(std::nearbyint(std::ldexp(std::fabs(x), f.fraction_bits - exponent)));
  return static_cast<std::uint16_t>(sign | (fraction + ((exponent + f.bias() - 1) << f.fraction_bits)));
}

double decode(std::uint16_t bits, Format f) {
  const int field = (bits >> f.fraction_bits) & ((1 << f.exponent_bits) - 1), ones = (1 << f.exponent_bits) - 1;
  const int fraction = bits & ((1 << f.fraction_bits) - 1);
  const double sign = bits >> 15 ? -1 : 1;
  if (field == ones) return fraction ? std::nan("") : sign * infinity;
  const int implicit = field == 0 ? 0 : 1 << f.fraction_bits;
  return sign * std::ldexp(implicit + fraction, std::max(field, 1) - f.bias() - f.fraction_bits);
}

}  // namespace

DType dtype_named(const std::string& name) {
  if (name == "f32") return DType::f32;
  if (name == "f16") return DType::f16;
  if (name == "bf16") return DType::bf16;
  throw std::runtime_error("not a floating-point type: " + name);
}

Elements::Elements(const std::vector<double>& values, DType dtype) : Elements(values.size(), dtype) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    double stored;
    if (dtype == DType::f32) {
      const float x = static_cast<float>(values[i]);
      std::memcpy(bytes_.data() + i * sizeof x, &x, sizeof x);
      stored = static_cast<double>(x);
    } else {
      const std::uint16_t bits = encode(values[i], format_of(dtype));
      std::memcpy(bytes_.data() + i * sizeof bits, &bits, sizeof bits);
      stored = decode(bits, format_of(dtype));
    }
    if (stored != values[i] && !(std::fabs(stored - values[i]) <= 1e-7 * std::fabs(stored)))
      throw std::runtime_error("no number of its format: " + std::to_string(values[i]));
  }
}

Elements::Elements(std::size_t count, DType dtype) : dtype_(dtype), bytes_(count * size_of(dtype), 0xff) {}

std::vector<float> Elements::floats() const {
  std::vector<float> result(bytes_.size() / size_of(dtype_));
  for (std::size_t i = 0; i < result.size(); ++i)
    if (dtype_ == DType::f32) {
      std::memcpy(&result[i], bytes_.data() + i * sizeof(float), sizeof(float));
    } else {
      std::uint16_t bits;
      std::memcpy(&bits, bytes_.data() + i * sizeof bits, sizeof bits);
      result[i] = static_cast<float>(decode(bits, format_of(dtype_)));
    }
  return result;
}

}  // namespace test
