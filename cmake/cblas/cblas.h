// What attn calls of the C interface to BLAS, as every BLAS with 32-bit sizes has it. Declared here, so that it cannot
// matter which cblas.h the system has, or whether it has one.
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

typedef enum CBLAS_ORDER { CblasRowMajor = 101, CblasColMajor = 102 } CBLAS_ORDER;
typedef enum CBLAS_TRANSPOSE { CblasNoTrans = 111, CblasTrans = 112, CblasConjTrans = 113 } CBLAS_TRANSPOSE;

void cblas_sgemm(
    CBLAS_ORDER order, CBLAS_TRANSPOSE op_a, CBLAS_TRANSPOSE op_b, int m, int n, int k, float alpha, const float* a,
    int lda, const float* b, int ldb, float beta, float* c, int ldc);
void cblas_sgemv(
    CBLAS_ORDER order, CBLAS_TRANSPOSE op, int m, int n, float alpha, const float* a, int lda, const float* x, int incx,
    float beta, float* y, int incy);

#ifdef __cplusplus
}
#endif
