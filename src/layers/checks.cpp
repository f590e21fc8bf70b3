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

void require_layout(WeightLayout layout) {
  if (layout != WeightLayout::in_out && layout != WeightLayout::out_in)
    bad("layout", "is not a value of WeightLayout", static_cast<std::int64_t>(layout));
}

Projection checked_projection(Projection projection) {
  if (projection != Projection::blas && projection != Projection::tiles)
    bad("projection", "is not a value of Projection", static_cast<std::int64_t>(projection));
  return blas::built ? projection : Projection::tiles;
}

void require_parallel(const Parallel* parallel) {
  if (!parallel) return;
  if (!parallel->run) throw std::invalid_argument("parallel->run is null");
  if (parallel->threads < 1) bad("parallel->threads", "must be at least 1", parallel->threads);
}

std::size_t floats(const char* name, std::int64_t a, std::int64_t b, std::int64_t c) {
  if (saturating_product(a, b, c, sizeof(float)) > std::numeric_limits<std::ptrdiff_t>::max())
    throw std::invalid_argument(
        std::string(name) + ": " + std::to_string(a) + " x " + std::to_string(b) + " x " + std::to_string(c) +
        " floats are more than memory can hold");
  return static_cast<std::size_t>(a * b * c);
}

}  // namespace attn
