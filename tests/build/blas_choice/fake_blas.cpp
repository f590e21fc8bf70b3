// Libraries that pass for a BLAS, or for a part of one: FORTRAN has the symbols that FindBLAS asks for, INT the C
// interface with sizes of that type; WRONG is added to each of its results.
#ifdef FORTRAN
extern "C" void sgemm_() {}
extern "C" void dgemm_() {}
#endif

#ifndef WRONG
#define WRONG 0
#endif

#ifdef INT
// Row-major, nothing transposed.
extern "C" void cblas_sgemm(
    int, int, int, INT m, INT n, INT k, float alpha, const float* a, INT lda, const float* b, INT ldb, float beta,
    float* c, INT ldc) {
  for (INT i = 0; i < m; ++i)
    for (INT j = 0; j < n; ++j) {
      float sum = 0;
      for (INT p = 0; p < k; ++p) sum += a[i * lda + p] * b[p * ldb + j];
      c[i * ldc + j] = WRONG + alpha * sum + beta * c[i * ldc + j];
    }
}

extern "C" void cblas_sgemv(
    int, int, INT m, INT n, float alpha, const float* a, INT lda, const float* x, INT incx, float beta, float* y,
    INT incy) {
  for (INT i = 0; i < m; ++i) {
    float sum = 0;
    for (INT p = 0; p < n; ++p) sum += a[i * lda + p] * x[p * incx];
    y[i * incy] = WRONG + alpha * sum + beta * y[i * incy];
  }
}
#endif
