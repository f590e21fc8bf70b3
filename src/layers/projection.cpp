#include "layers/projection.hpp"

#include <algorithm>

#include "blas/blas.hpp"
#include "layers/checks.hpp"
#include "layers/huge_pages.hpp"

namespace attn {

std::vector<float> result_floats(std::size_t count) {
  std::vector<float> result;
  result.reserve(count);
  prefer_huge_pages(result.data(), count * sizeof(float));
  result.resize(count);
  return result;
}

std::unique_ptr<float[]> scratch_floats(std::size_t count) {
  std::unique_ptr<float[]> scratch(new float[count]);
  prefer_huge_pages(scratch.get(), count * sizeof(float));
  return scratch;
}

Linear Columns::zeros(std::int64_t in_dim, std::int64_t out_dim, Projection projection) {
  return Linear(in_dim, out_dim, projection);
}

void Columns::set(Linear& linear, const float* w, const float* b, WeightLayout layout) const {
  const std::int64_t in = linear.in_dim_, out = linear.out_dim_;
  float* to = linear.w_.data() + first;
  for (std::int64_t i = 0; i < in; ++i)
    for (std::int64_t j = 0; j < count; ++j)
      to[i * out + j] = layout == WeightLayout::in_out ? w[i * count + j] : w[j * in + i];
  if (!b) return;
  linear.b_.resize(static_cast<std::size_t>(out));
  std::copy_n(b, count, linear.b_.data() + first);
}

namespace {

// The bias is laid down first and sgemm adds to it: then sgemm skips its own pass that writes zeros. 512 rows, 768 to
// 2304: 17.6 ms with biases, 17.3 ms without.
void multiply_by_blas(
    const Rows& rows, blas::Matrix<const float> x, blas::Matrix<const float> w, const float* b, std::int64_t columns) {
  if (b)
    for (std::int64_t r = 0; r < rows.count; ++r) std::copy_n(b, columns, rows.y + r * rows.stride);
  blas::sgemm(
      {rows.count, columns, x.stride}, x, blas::Op::none, w, b ? blas::To::add : blas::To::overwrite,
      {rows.y, rows.stride});
}

}  // namespace

void Columns::multiply(const Linear& linear, const Rows& rows, [[maybe_unused]] const Parallel* parallel) const {
  if (rows.count == 0) return;
  const float* b = linear.b_.empty() ? nullptr : linear.b_.data() + first;
  multiply_by_blas(rows, {rows.x, linear.in_dim_}, {linear.w_.data() + first, linear.out_dim_}, b, count);
}

}  // namespace attn
