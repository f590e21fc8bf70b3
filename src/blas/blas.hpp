// Row-major sgemm. blas.cpp is the only file that includes <cblas.h>.
#pragma once

#include <cstdint>
#include <limits>

namespace attn::blas {

// Is there a BLAS in this build? Without one (ATTN_BLAS=OFF) this header stays, but no file of blas/ is compiled.
#ifdef ATTN_NO_BLAS
inline constexpr bool built = false;
#else
inline constexpr bool built = true;
#endif

// Every size and stride that reaches BLAS must fit its int; callers check against this.
inline constexpr std::int64_t max_size = std::numeric_limits<int>::max();

// A row-major matrix of floats: `stride` of them from row to row.
template <class T>
struct Matrix {
  T* data = nullptr;
  std::int64_t stride = 0;

  T* row(std::int64_t r) const noexcept { return data + r * stride; }
};

struct Size {
  std::int64_t rows, columns, depth;
};

// Does sgemm use threads of its own? Known of OpenBLAS, where the object format has weak symbols (ELF); of others
// false.
bool has_threads() noexcept;

enum class Op { none, transpose };
enum class To { overwrite, add };

//   C[rows, columns] = A[rows, depth] op(B)[depth, columns], or that added to C
// Any size may be 0: without depth the product is 0. What is overwritten is not read, and one row goes to BLAS's gemv.
void sgemm(const Size& size, Matrix<const float> a, Op op, Matrix<const float> b, To to, Matrix<float> c) noexcept;

}  // namespace attn::blas
