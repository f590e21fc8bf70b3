// Row-major sgemm. blas.cpp is the only file that includes <cblas.h>.
#pragma once

#include <cstdint>
#include <limits>

namespace attn::blas {

// Every size and leading dimension that reaches BLAS must fit its int; callers check against this.
inline constexpr std::int64_t max_size = std::numeric_limits<int>::max();

enum class Op { none, transpose };

// C[m, n] = alpha * op(A)[m, k] * op(B)[k, n] + beta * C, row-major; ld*: floats from row to row of the stored matrix.
// m, n or k of 0 is fine (k = 0: C = beta * C, and beta = 0 writes zeros whatever C held). One row goes to BLAS's gemv.
void sgemm(Op op_a, Op op_b, std::int64_t m, std::int64_t n, std::int64_t k, float alpha, const float* a,
           std::int64_t lda, const float* b, std::int64_t ldb, float beta, float* c, std::int64_t ldc) noexcept;

}  // namespace attn::blas
