// The public class Linear. Its products are in projection.cpp.
#include "check/view.hpp"
#include "layers/checks.hpp"
#include "layers/projection.hpp"
#include "layers/tiles.hpp"

namespace attn {

Linear::Linear(std::int64_t in_dim, std::int64_t out_dim, Projection projection)
    : in_dim_(in_dim), out_dim_(out_dim), projection_(projection) {
  std::size_t count = floats("w", in_dim, out_dim);
  if (projection == Projection::tiles) {
    const std::int64_t packed = tiles::packed_columns(out_dim);
    count = floats("packed w", in_dim, packed);
    b_.resize(static_cast<std::size_t>(packed));
  }
  w_ = weight_floats(count);
}

namespace {

// in_dim, once the arguments are right.
std::int64_t checked(std::int64_t in_dim, std::int64_t out_dim, const float* w, WeightLayout layout) {
  require_size("in_dim", in_dim, 1);
  require_size("out_dim", out_dim, 1);
  floats("w", in_dim, out_dim);
  require_data("w", w);
  require_layout(layout);
  return in_dim;
}

}  // namespace

Linear::Linear(
    std::int64_t in_dim, std::int64_t out_dim, const float* w, const float* b, WeightLayout layout,
    Projection projection)
    : Linear(checked(in_dim, out_dim, w, layout), out_dim, checked_projection(projection)) {
  Columns{0, out_dim}.set(*this, w, b, layout);
}

void Linear::forward_into(const float* x, std::int64_t rows, float* y, const Parallel* parallel) const {
  require_size("rows", rows, 0);
  require_parallel(parallel);
  if (rows == 0) return;
  require_data("x", x);
  require_data("y", y);
  check::View inputs[] = {check::view("x", x, static_cast<std::int64_t>(floats("x", rows, in_dim_)))};
  check::View results[] = {check::view("y", y, static_cast<std::int64_t>(floats("y", rows, out_dim_)))};
  throw_if_error(check::all_apart(inputs, results));
  Columns{0, out_dim_}.multiply(*this, {x, rows, y, out_dim_}, parallel);
}

}  // namespace attn
