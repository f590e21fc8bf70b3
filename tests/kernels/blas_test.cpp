// The wrapper around BLAS against three loops, and the cases that BLAS implementations treat differently.
#include "blas/blas.hpp"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/random.hpp"

using attn::blas::Matrix;
using attn::blas::Op;
using attn::blas::Size;
using attn::blas::To;

namespace {

constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();

// C = A op(B), or that added to C, in double. Gaps between rows are left as they are.
std::vector<double> loops(
    const Size& size, Matrix<const float> a, Op op, Matrix<const float> b, To to, const std::vector<float>& c,
    std::int64_t c_stride) {
  std::vector<double> result(c.begin(), c.end());
  for (std::int64_t i = 0; i < size.rows; ++i)
    for (std::int64_t j = 0; j < size.columns; ++j) {
      double sum = 0;
      for (std::int64_t l = 0; l < size.depth; ++l) {
        const float factor = op == Op::none ? b.row(l)[j] : b.row(j)[l];
        sum += static_cast<double>(a.row(i)[l]) * static_cast<double>(factor);
      }
      double& at = result[i * c_stride + j];
      at = sum + (to == To::add ? at : 0);
    }
  return result;
}

}  // namespace

TEST_CASE("sgemm is the product of the two matrices", "[kernels][blas]") {
  test::Random random(11);
  CAPTURE(random.seed());
  for (const Op op : {Op::none, Op::transpose})
    for (const std::int64_t m : {1, 2, 5, 33})
      for (const std::int64_t n : {1, 7, 40})
        for (const std::int64_t k : {0, 1, 9, 65})
          for (const To to : {To::overwrite, To::add}) {
            CAPTURE(op == Op::transpose, m, n, k, to == To::add);
            const std::int64_t gap = 3;
            const std::int64_t b_rows = op == Op::none ? k : n, b_stride = (op == Op::none ? n : k) + gap;
            const std::vector<float> a = random.normals(m * (k + gap)), b = random.normals(b_rows * b_stride);
            std::vector<float> c = random.normals(m * (n + gap));
            const Matrix<const float> a_matrix{a.data(), k + gap}, b_matrix{b.data(), b_stride};
            const std::vector<double> want = loops({m, n, k}, a_matrix, op, b_matrix, to, c, n + gap);
            attn::blas::sgemm({m, n, k}, a_matrix, op, b_matrix, to, {c.data(), n + gap});
            REQUIRE(test::difference(c, want, 1e-4) == "");
          }
}

TEST_CASE("sgemm never reads what it overwrites", "[kernels][blas]") {
  for (const std::int64_t m : {1, 4})
    for (const std::int64_t k : {0, 3}) {
      CAPTURE(m, k);
      const std::vector<float> a(m * k, 1.0f), b(k * 20, 2.0f);
      std::vector<float> c(m * 20, not_a_number);
      attn::blas::sgemm({m, 20, k}, {a.data(), k}, Op::none, {b.data(), 20}, To::overwrite, {c.data(), 20});
      CHECK(c == std::vector<float>(c.size(), 2.0f * static_cast<float>(k)));
    }
}

TEST_CASE("sgemm without rows or columns writes nothing", "[kernels][blas]") {
  const float a = 1, b = 1;
  float c = 7;
  attn::blas::sgemm({0, 1, 1}, {&a, 1}, Op::none, {&b, 1}, To::overwrite, {&c, 1});
  attn::blas::sgemm({1, 0, 1}, {&a, 1}, Op::none, {&b, 0}, To::overwrite, {&c, 0});
  CHECK(c == 7);
}
