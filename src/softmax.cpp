#include "attn/softmax.hpp"

#include "base/exponent.hpp"
#include "check/check.hpp"
#include "dispatch.hpp"

namespace attn {

Status softmax(
    const float* x, float* y, std::int64_t rows, std::int64_t columns, std::int64_t x_row_stride,
    std::int64_t y_row_stride, float scale) noexcept {
  Status status = check::softmax(x, y, rows, columns, x_row_stride, y_row_stride, scale);
  if (!status.ok() || rows == 0 || columns == 0) return status;
  const simd::Kernels* kernels = dispatch::active(status);
  if (!kernels) return status;
  kernels->softmax_rows(
      {x, y, rows, columns, x_row_stride, y_row_stride, make_exponent(scale), scale < 0, nullptr, nullptr});
  return status;
}

}  // namespace attn
