// The rules for the arguments of layers: each throws std::invalid_argument that names the argument and its value.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>

#include "base/saturating.hpp"
#include "blas/blas.hpp"

namespace attn {

[[noreturn]] inline void bad(const std::string& name, const std::string& rule, std::int64_t value) {
  throw std::invalid_argument(name + " " + rule + ", got " + std::to_string(value));
}

// A size of at least `least` that BLAS can hold.
inline void require_size(const char* name, std::int64_t value, std::int64_t least) {
  if (value < least) bad(name, "must be at least " + std::to_string(least), value);
  if (value > blas::max_size) bad(name, "must be at most " + std::to_string(blas::max_size), value);
}

inline void require_data(const char* name, const float* data) {
  if (!data) throw std::invalid_argument(std::string(name) + " is null");
}

// a * b * c, the floats of `name`, if memory can hold them. None is negative.
inline std::size_t floats(const char* name, std::int64_t a, std::int64_t b, std::int64_t c = 1) {
  if (saturating_product(a, b, c, sizeof(float)) > std::numeric_limits<std::ptrdiff_t>::max())
    throw std::invalid_argument(std::string(name) + ": " + std::to_string(a) + " x " + std::to_string(b) + " x " +
                                std::to_string(c) + " floats are more than memory can hold");
  return static_cast<std::size_t>(a * b * c);
}

// The rows of x are one dimension to BLAS.
inline void require_rows(std::int64_t batch, std::int64_t length) {
  if (batch < 0) bad("batch", "must be at least 0", batch);
  if (length < 0) bad("length", "must be at least 0", length);
  if (batch > 0 && length > blas::max_size / batch)
    bad("length",
        "must be at most " + std::to_string(blas::max_size / batch) + " for a batch of " + std::to_string(batch),
        length);
}

}  // namespace attn
