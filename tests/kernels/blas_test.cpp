// The wrapper around BLAS against three loops, and the cases that BLAS implementations treat differently.
#include "blas/blas.hpp"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/random.hpp"

using attn::blas::Op;

namespace {

constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();

// C = alpha op(A) op(B) + beta C in double. Gaps between rows are left as they are.
std::vector<double> loops(Op op_a, Op op_b, std::int64_t m, std::int64_t n, std::int64_t k, double alpha,
                          const std::vector<float>& a, std::int64_t lda, const std::vector<float>& b, std::int64_t ldb,
                          double beta, const std::vector<float>& c, std::int64_t ldc) {
  std::vector<double> result(c.begin(), c.end());
  for (std::int64_t i = 0; i < m; ++i)
    for (std::int64_t j = 0; j < n; ++j) {
      double sum = 0;
      for (std::int64_t l = 0; l < k; ++l) {
        const std::int64_t at_a = op_a == Op::none ? i * lda + l : l * lda + i;
        const std::int64_t at_b = op_b == Op::none ? l * ldb + j : j * ldb + l;
        sum += static_cast<double>(a[at_a]) * static_cast<double>(b[at_b]);
      }
      double& to = result[i * ldc + j];
      to = alpha * sum + (beta == 0 ? 0 : beta * to);
    }
  return result;
}

}  // namespace

TEST_CASE("sgemm is the product of the two matrices", "[kernels][blas]") {
  test::Random random(11);
  CAPTURE(random.seed());
  for (const Op op_a : {Op::none, Op::transpose})
    for (const Op op_b : {Op::none, Op::transpose})
      for (const std::int64_t m : {1, 2, 5, 33})
        for (const std::int64_t n : {1, 7, 40})
          for (const std::int64_t k : {0, 1, 9, 65})
            for (const float beta : {0.0f, 1.0f, -0.5f}) {
              CAPTURE(op_a == Op::transpose, op_b == Op::transpose, m, n, k, beta);
              const std::int64_t gap = 3;
              const std::int64_t lda = (op_a == Op::none ? k : m) + gap, ldb = (op_b == Op::none ? n : k) + gap,
                                 ldc = n + gap;
              const std::vector<float> a = random.normals((op_a == Op::none ? m : k) * lda);
              const std::vector<float> b = random.normals((op_b == Op::none ? k : n) * ldb);
              std::vector<float> c = random.normals(m * ldc);
              const std::vector<double> want =
                  loops(op_a, op_b, m, n, k, 0.75, a, lda, b, ldb, static_cast<double>(beta), c, ldc);
              attn::blas::sgemm(op_a, op_b, m, n, k, 0.75f, a.data(), lda, b.data(), ldb, beta, c.data(), ldc);
              REQUIRE(test::difference(c, want, 1e-4) == "");
            }
}

TEST_CASE("sgemm with beta = 0 never reads C", "[kernels][blas]") {
  for (const std::int64_t m : {1, 4})
    for (const std::int64_t k : {0, 3}) {
      CAPTURE(m, k);
      const std::vector<float> a(m * k, 1.0f), b(k * 20, 2.0f);
      std::vector<float> c(m * 20, not_a_number);
      attn::blas::sgemm(Op::none, Op::none, m, 20, k, 1, a.data(), k, b.data(), 20, 0, c.data(), 20);
      CHECK(c == std::vector<float>(c.size(), 2.0f * static_cast<float>(k)));
    }
}

TEST_CASE("sgemm without rows or columns writes nothing", "[kernels][blas]") {
  const float a = 1, b = 1;
  float c = 7;
  attn::blas::sgemm(Op::none, Op::none, 0, 1, 1, 1, &a, 1, &b, 1, 0, &c, 1);
  attn::blas::sgemm(Op::none, Op::none, 1, 0, 1, 1, &a, 1, &b, 0, 0, &c, 0);
  CHECK(c == 7);
}
