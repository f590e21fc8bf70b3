// Arrays of float32, f16 or bf16 for the tests, by conversions that share no code with the library.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "attn/tensor.hpp"

namespace test {

// Numbers as they lie in memory, as float32, f16 or bf16.
class Elements {
 public:
  Elements() = default;
  // Rounded to nearest. Throws if a value is further from a number of that format than decimals of eight digits are.
  Elements(const std::vector<double>& values, attn::DType dtype);
  // All bits 1, which is NaN in each format: what is not written shows.
  Elements(std::size_t count, attn::DType dtype);

  attn::DType dtype() const { return dtype_; }
  void* data() { return bytes_.data(); }
  std::vector<float> floats() const;

 private:
  attn::DType dtype_ = attn::DType::f32;
  std::vector<unsigned char> bytes_;
};

// "f32", "f16" or "bf16". Throws std::runtime_error.
attn::DType dtype_named(const std::string& name);

}  // namespace test
