#include "call/wide_product.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace attn::wide_row {
namespace {

constexpr std::int64_t step = 64;  // elements of a row at a time, on the stack

// The columns of a query row as float: where they stand, or widened into `wide`.
const float* query_of(const Row& row, Columns columns, float* wide) noexcept {
  const Tensor& q = row.problem.query;
  const char* const x = address_of(q, row.sequence.batch, row.head, row.sequence.first_query + row.query);
  return as_float(row.kernels, x, q.dtype, columns, wide);
}

// Calls add(q, k, count) for some elements of the two rows after the other, at most `step`, of some columns.
template <class Add>
void for_each_step(const Row& row, std::int64_t j, Columns columns, const Add& add) noexcept {
  float q[step], k[step];
  for (std::int64_t d = 0; d < columns.count; d += step) {
    const Columns some{columns.first + d, std::min(step, columns.count - d)};
    add(query_of(row, some, q), stored_key(cache_of(row), j, some, k), some.count);
  }
}

// Calls visit(columns) for those of each scale of a key: all of them, or block after block.
template <class Visit>
void for_each_group(const Row& row, const Visit& visit) noexcept {
  const std::int64_t head_dim = row.problem.head_dim, group = scale_columns(row.problem.key.dtype, head_dim);
  for (std::int64_t d = 0; d < head_dim; d += group) visit(Columns{d, group});
}

// As integers, in eight maxima, which a compiler turns into vectors.
double largest_of(const float* x, std::int64_t count) noexcept {
  std::int32_t max[8] = {}, bits[step] = {};
  std::memcpy(bits, x, static_cast<std::size_t>(count) * sizeof(float));
  for (std::int64_t e = 0; e < step; e += 8)
    for (std::int64_t i = 0; i < 8; ++i) max[i] = std::max(max[i], bits[e + i] & 0x7fffffff);
  float result;
  std::memcpy(&result, std::max_element(max, max + 8), sizeof result);
  return static_cast<double>(result);
}

// The larger; NaN if one is.
double larger(double a, double b) noexcept { return a > b || std::isnan(a) ? a : b; }

}  // namespace

// Four sums hide the latency of one.
double exact_product(const Row& row, std::int64_t j) noexcept {
  double product = 0;
  for_each_group(row, [&](Columns columns) {
    double sums[4] = {};
    for_each_step(row, j, columns, [&](const float* q, const float* k, std::int64_t count) {
      std::int64_t d = 0;
      for (; d + 4 <= count; d += 4)
        for (std::int64_t i = 0; i < 4; ++i) sums[i] += static_cast<double>(q[d + i]) * static_cast<double>(k[d + i]);
      for (; d < count; ++d) sums[d % 4] += static_cast<double>(q[d]) * static_cast<double>(k[d]);
    });
    product +=
        ((sums[0] + sums[1]) + (sums[2] + sums[3])) * static_cast<double>(key_scale(cache_of(row), j, columns.first));
  });
  return product;
}

float float_product(const Row& row, std::int64_t j) noexcept {
  const bool pairs = row.problem.pairs();
  float product = 0;
  for_each_group(row, [&](Columns columns) {
    float sum = 0;
    for_each_step(row, j, columns, [&](const float* q, const float* k, std::int64_t count) {
      for (std::int64_t i = 0; i < count; ++i) {
        const std::int64_t d = pairs && (i ^ 1) < count ? i ^ 1 : i;
        sum = std::fma(q[d], k[d], sum);
      }
    });
    const float scale = key_scale(cache_of(row), j, columns.first);
    product = columns.first == 0 ? sum * scale : std::fma(sum, scale, product);
  });
  return product;
}

double largest_of_query(const Row& row) noexcept {
  double most = 0;
  for (std::int64_t d = 0; d < row.problem.head_dim; d += step) {
    float wide[step];
    const Columns some{d, std::min(step, row.problem.head_dim - d)};
    most = larger(most, largest_of(query_of(row, some, wide), some.count));
  }
  return most;
}

double largest_of_key(const Row& row, std::int64_t j) noexcept {
  double most = 0;
  for_each_group(row, [&](Columns columns) {
    // Of int8 the sums before the scale can overflow, too.
    const double scale = larger(std::fabs(static_cast<double>(key_scale(cache_of(row), j, columns.first))), 1);
    for_each_step(row, j, columns, [&](const float*, const float* k, std::int64_t count) {
      most = larger(most, largest_of(k, count) * scale);
    });
  });
  return most;
}

}  // namespace attn::wide_row
