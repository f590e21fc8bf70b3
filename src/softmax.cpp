#include "attn/softmax.hpp"

#include "base/exponent.hpp"
#include "check/check.hpp"
#include "dispatch.hpp"

namespace attn {

Status softmax(
    const float* x, float* y, std::int64_t rows, std::int64_t columns, std::int64_t x_row_stride,
    std::int64_t y_row_stride, float scale) noexcept {
  const Tensor from{x, DType::f32, 0, 0, x_row_stride}, to{y, DType::f32, 0, 0, y_row_stride};
  Status status = check::softmax(from, to, rows, columns, scale);
  if (!status.ok() || rows == 0 || columns == 0) return status;
  const simd::Kernels* kernels = dispatch::active(status);
  if (!kernels) return status;
  simd::SoftmaxRows all;
  all.x = x;
  all.y = y;
  all.rows = rows;
  all.columns = columns;
  all.x_stride = x_row_stride;
  all.y_stride = y_row_stride;
  all.exponent = make_exponent(scale);
  all.negate = scale < 0;
  kernels->softmax_rows(all);
  return status;
}

}  // namespace attn
