// The only file that includes <cblas.h>.
#include "blas/blas.hpp"

#include <cblas.h>

#include <algorithm>
#include <cassert>

namespace attn::blas {
namespace {

CBLAS_TRANSPOSE cblas(Op op) { return op == Op::transpose ? CblasTrans : CblasNoTrans; }

// BLAS refuses ld = 0, which a matrix without columns has.
int leading(std::int64_t ld) { return static_cast<int>(std::max<std::int64_t>(ld, 1)); }

// y[n] = alpha * x[k] op(B)[k, n] + beta * y. beta is not 0: there are BLAS that then keep a NaN of y (OpenBLAS issue
// 929). y = x B is y = B^T x to BLAS, which wants the matrix first; B is stored as [k, n], or [n, k] if op is
// transpose.
void gemv(Op op, std::int64_t n, std::int64_t k, float alpha, const float* x, const float* b, std::int64_t ldb,
          float beta, float* y) {
  const bool stored_transposed = op == Op::transpose;
  cblas_sgemv(CblasRowMajor, stored_transposed ? CblasNoTrans : CblasTrans, static_cast<int>(stored_transposed ? n : k),
              static_cast<int>(stored_transposed ? k : n), alpha, b, leading(ldb), x, 1, beta, y, 1);
}

[[maybe_unused]] bool fits(std::int64_t size) { return size >= 0 && size <= max_size; }

}  // namespace

void sgemm(Op op_a, Op op_b, std::int64_t m, std::int64_t n, std::int64_t k, float alpha, const float* a,
           std::int64_t lda, const float* b, std::int64_t ldb, float beta, float* c, std::int64_t ldc) noexcept {
  assert(fits(m) && fits(n) && fits(k) && fits(lda) && fits(ldb) && fits(ldc));
  if (m == 0 || n == 0) return;
  if (k == 0) {  // C = beta * C without BLAS: implementations differ on whether they touch C, and on NaN * 0
    for (std::int64_t i = 0; i < m; ++i)
      for (std::int64_t j = 0; j < n; ++j) c[i * ldc + j] = beta == 0 ? 0.0f : beta * c[i * ldc + j];
    return;
  }
  // One row: sgemm would copy all of B into panels first, which costs more than the product. x[1, 768] B[768, 2304]
  // takes 0.36 ms by sgemm and 0.08 ms by sgemv; x[1, 64] B[4096, 64]^T 62 us and 14 us.
  if (m == 1 && op_a == Op::none) {
    if (beta == 0) std::fill_n(c, n, 0.0f);  // see gemv
    return gemv(op_b, n, k, alpha, a, b, ldb, beta == 0 ? 1 : beta, c);
  }
  cblas_sgemm(CblasRowMajor, cblas(op_a), cblas(op_b), static_cast<int>(m), static_cast<int>(n), static_cast<int>(k),
              alpha, a, leading(lda), b, leading(ldb), beta, c, leading(ldc));
}

}  // namespace attn::blas
