#include <cmath>
#include <cstdlib>

#include "check/check.hpp"
#include "check/view.hpp"

namespace attn::check {

Status softmax(const Tensor& x, const Tensor& y, std::int64_t rows, std::int64_t columns, float scale) noexcept {
  if (rows < 0) return bad("rows", rows, "must not be negative");
  if (columns < 0) return bad("columns", columns, "must not be negative");
  if (!(std::fabs(scale) <= 0x1p126f))
    return Status(
        StatusCode::invalid_argument, "scale must be from -2^126 to 2^126, got %g", static_cast<double>(scale));
  View in = view("x", x, 1, 1, rows, columns);
  View out = view("y", y, 1, 1, rows, columns);
  for (View* v : {&in, &out}) {
    if (Status s = measure(*v); !s.ok()) return s;
    if (!v->empty() && rows > 1 && std::llabs(v->stride[2]) < columns)
      return bad(v == &in ? "x_row_stride" : "y_row_stride", v->stride[2], "must be at least columns");
  }
  if (x.data == y.data && (rows <= 1 || x.row_stride == y.row_stride)) return {};
  return disjoint(out, in);
}

}  // namespace attn::check
