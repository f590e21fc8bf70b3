#include "layers/checks.hpp"

#include <limits>
#include <stdexcept>

#include "base/saturating.hpp"
#include "blas/blas.hpp"

namespace attn {

void bad(const std::string& name, const std::string& rule, std::int64_t value) {
  throw std::invalid_argument(name + " " + rule + ", got " + std::to_string(value));
}

void require_size(const char* name, std::int64_t value, std::int64_t least) {
  if (value < least) bad(name, "must be at least " + std::to_string(least), value);
  if (value > blas::max_size) bad(name, "must be at most " + std::to_string(blas::max_size), value);
}

void require_data(const char* name, const float* data) {
  if (!data) throw std::invalid_argument(std::string(name) + " is null");
}

std::size_t floats(const char* name, std::int64_t a, std::int64_t b, std::int64_t c) {
  if (saturating_product(a, b, c, sizeof(float)) > std::numeric_limits<std::ptrdiff_t>::max())
    throw std::invalid_argument(
        std::string(name) + ": " + std::to_string(a) + " x " + std::to_string(b) + " x " + std::to_string(c) +
        " floats are more than memory can hold");
  return static_cast<std::size_t>(a * b * c);
}

void require_rows(std::int64_t batch, std::int64_t length) {
  if (batch < 0) bad("batch", "must be at least 0", batch);
  if (length < 0) bad("length", "must be at least 0", length);
  if (batch > 0 && length > blas::max_size / batch)
    bad("length",
        "must be at most " + std::to_string(blas::max_size / batch) + " for a batch of " + std::to_string(batch),
        length);
}

}  // namespace attn
