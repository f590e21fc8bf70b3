// The only file that includes <cblas.h>.
#include "blas/blas.hpp"

#include <cblas.h>

#include <algorithm>
#include <cassert>

#ifdef __ELF__
extern "C" [[gnu::weak]] int openblas_get_num_threads();  // null where the BLAS is another
#endif

namespace attn::blas {
namespace {

// BLAS refuses a leading dimension of 0, which a matrix without columns has.
int leading(std::int64_t stride) { return static_cast<int>(std::max<std::int64_t>(stride, 1)); }

//   y[columns] += x[depth] op(B)[depth, columns]
// BLAS wants the matrix first, and y = x B is y = B^T x. B is [depth, columns], or [columns, depth] if op is transpose.
void gemv(const Size& size, const float* x, Op op, Matrix<const float> b, float* y) {
  const int depth = static_cast<int>(size.depth), columns = static_cast<int>(size.columns);
  if (op == Op::transpose)
    cblas_sgemv(CblasRowMajor, CblasNoTrans, columns, depth, 1.0f, b.data, leading(b.stride), x, 1, 1.0f, y, 1);
  else
    cblas_sgemv(CblasRowMajor, CblasTrans, depth, columns, 1.0f, b.data, leading(b.stride), x, 1, 1.0f, y, 1);
}

[[maybe_unused]] bool fits(std::int64_t size) { return size >= 0 && size <= max_size; }

}  // namespace

bool has_threads() noexcept {
#ifdef __ELF__
  return openblas_get_num_threads && openblas_get_num_threads() > 1;
#else
  return false;
#endif
}

void sgemm(const Size& size, Matrix<const float> a, Op op, Matrix<const float> b, To to, Matrix<float> c) noexcept {
  assert(fits(size.rows) && fits(size.columns) && fits(size.depth));
  assert(fits(a.stride) && fits(b.stride) && fits(c.stride));
  if (size.rows == 0 || size.columns == 0) return;
  // Zeros without BLAS: implementations differ on whether they touch C when there is no depth. For gemv too, because
  // some BLAS keep a NaN of y under a beta of 0 (OpenBLAS issue 929).
  const bool zeros = size.depth == 0 || size.rows == 1;
  for (std::int64_t r = 0; zeros && to == To::overwrite && r < size.rows; ++r)
    std::fill_n(c.row(r), size.columns, 0.0f);
  if (size.depth == 0) return;
  // One row: sgemm would copy all of B into panels first, which costs more than the product. x[1, 768] B[768, 2304]
  // takes 0.36 ms by sgemm and 0.08 ms by sgemv; x[1, 64] B[4096, 64]^T 62 us and 14 us.
  if (size.rows == 1) return gemv(size, a.data, op, b, c.data);
  cblas_sgemm(
      CblasRowMajor, CblasNoTrans, op == Op::transpose ? CblasTrans : CblasNoTrans, static_cast<int>(size.rows),
      static_cast<int>(size.columns), static_cast<int>(size.depth), 1.0f, a.data, leading(a.stride), b.data,
      leading(b.stride), to == To::add ? 1.0f : 0.0f, c.data, leading(c.stride));
}

}  // namespace attn::blas
