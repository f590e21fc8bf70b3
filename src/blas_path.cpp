#include "blas_path.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "arena.hpp"
#include "blas.hpp"
#include "exponent.hpp"
#include "keys.hpp"
#include "log_sum_exp.hpp"
#include "rows.hpp"

namespace attn::blas_path {
namespace {

// Query rows of one pair of products. Under causal, keys that no row of the block sees are not multiplied.
constexpr std::int64_t row_block = 256;

// One block of query rows of one head. Pointers stand at the block's first row and at key 0.
struct Rows {
  std::int64_t count, head_dim, value_dim, key_length;
  const float *query, *key, *value;
  float *output, *weights;  // weights: scores, then weights
  std::int64_t query_stride, key_stride, value_stride, output_stride, weights_stride;
  KeyRange range[row_block];
};

bool finite(const float* x, std::int64_t stride, std::int64_t begin, std::int64_t end, std::int64_t columns) {
  for (std::int64_t j = begin; j < end; ++j)
    for (std::int64_t e = 0; e < columns; ++e)
      if (!std::isfinite(x[j * stride + e])) return false;
  return true;
}

// output[r] = sum over the allowed j of weights[r][j] value[j]. `all` holds every row's keys, `common` those that all
// rows see.
void multiply_values(const Rows& rows, KeyRange all, KeyRange common) {
  const auto product = [&](KeyRange keys) {
    blas::sgemm(blas::Op::none, blas::Op::none, rows.count, rows.value_dim, keys.end - keys.begin, 1.0f,
                rows.weights + keys.begin, rows.weights_stride, rows.value + keys.begin * rows.value_stride,
                rows.value_stride, 0.0f, rows.output, rows.output_stride);
  };
  // A weight of 0 times NaN or Inf is NaN, so a key that some row must not see may be multiplied only if it is finite.
  if (common.begin >= common.end) common = {all.end, all.end};
  if (finite(rows.value, rows.value_stride, all.begin, common.begin, rows.value_dim) &&
      finite(rows.value, rows.value_stride, common.end, all.end, rows.value_dim))
    return product(all);

  product(common);
  for (std::int64_t r = 0; r < rows.count; ++r)
    for (std::int64_t j = rows.range[r].begin; j < rows.range[r].end; ++j) {
      if (j >= common.begin && j < common.end) continue;
      for (std::int64_t e = 0; e < rows.value_dim; ++e)
        rows.output[r * rows.output_stride + e] +=
            rows.weights[r * rows.weights_stride + j] * rows.value[j * rows.value_stride + e];
    }
}

void attend(const Rows& rows, const simd::Kernels& kernels, double scale, float* logsumexp) {
  KeyRange all{rows.key_length, 0}, common{0, rows.key_length};
  for (std::int64_t r = 0; r < rows.count; ++r) {
    const KeyRange range = rows.range[r];
    if (range.begin < range.end) all = {std::min(all.begin, range.begin), std::max(all.end, range.end)};
    common = {std::max(common.begin, range.begin), std::min(common.end, range.end)};
  }
  if (all.begin >= all.end) all = {0, 0};

  blas::sgemm(blas::Op::none, blas::Op::transpose, rows.count, all.end - all.begin, rows.head_dim, 1.0f, rows.query,
              rows.query_stride, rows.key + all.begin * rows.key_stride, rows.key_stride, 0.0f,
              rows.weights + all.begin, rows.weights_stride);

  float row_max[row_block], row_sum[row_block];
  const simd::Exponent exponent = make_exponent(scale);
  const bool same = all.begin == common.begin && all.end == common.end;
  for (std::int64_t r = 0; r < rows.count; r += same ? rows.count : 1) {
    const KeyRange range = same ? all : rows.range[r];
    float* scores = rows.weights + r * rows.weights_stride + range.begin;
    kernels.softmax_rows({scores, scores, same ? rows.count : 1, range.end - range.begin, rows.weights_stride,
                          rows.weights_stride, exponent, scale < 0, row_max + r, row_sum + r});
  }
  for (std::int64_t r = 0; r < rows.count; ++r) {
    float* weights = rows.weights + r * rows.weights_stride;
    std::fill(weights, weights + rows.range[r].begin, 0.0f);
    std::fill(weights + rows.range[r].end, weights + rows.key_length, 0.0f);
    if (logsumexp) logsumexp[r] = log_sum_exp(row_max[r], row_sum[r], scale);
  }
  multiply_values(rows, all, common);
}

// BLAS wants a leading dimension of at least the columns, also where there is one row and the stride means nothing.
std::int64_t leading(std::int64_t stride, std::int64_t rows, std::int64_t columns) {
  return std::max<std::int64_t>({rows > 1 ? stride : 0, columns, 1});
}

// The scores of one block of rows.
std::size_t score_count(const AttentionArgs& args) {
  return saturating_product(std::min(args.query_length, row_block), args.key_length);
}

}  // namespace

std::size_t workspace_size(const AttentionArgs& args) noexcept {
  if (args.weights.data) return 0;
  Arena arena(0);
  arena.take<float>(score_count(args));
  return arena.used();
}

void run(const AttentionArgs& args, const simd::Kernels& kernels, void* workspace) noexcept {
  const double scale = effective_scale(args);
  Arena arena(reinterpret_cast<std::uintptr_t>(workspace));
  float* const scratch = args.weights.data ? nullptr : arena.take<float>(score_count(args));
  const std::int64_t group = args.query_heads > 0 ? args.query_heads / args.kv_heads : 1;
  Rows rows;
  rows.head_dim = args.head_dim;
  rows.value_dim = args.value_dim;
  rows.key_length = args.key_length;
  rows.query_stride = leading(args.query.row_stride, args.query_length, args.head_dim);
  rows.key_stride = leading(args.key.row_stride, args.key_length, args.head_dim);
  rows.value_stride = leading(args.value.row_stride, args.key_length, args.value_dim);
  rows.output_stride = leading(args.output.row_stride, args.query_length, args.value_dim);
  rows.weights_stride = leading(args.weights.data ? args.weights.row_stride : 0, args.query_length, args.key_length);

  for (std::int64_t b = 0; b < args.batch; ++b)
    for (std::int64_t h = 0; h < args.query_heads; ++h) {
      const std::int64_t kv = h / group;
      rows.key = row_of(args.key, b, kv, 0);
      rows.value = row_of(args.value, b, kv, 0);
      for (std::int64_t t = 0; t < args.query_length; t += row_block) {
        rows.count = std::min(row_block, args.query_length - t);
        for (std::int64_t r = 0; r < rows.count; ++r) rows.range[r] = allowed_keys(args, b, t + r);
        rows.query = row_of(args.query, b, h, t);
        rows.output = row_of(args.output, b, h, t);
        rows.weights = args.weights.data ? row_of(args.weights, b, h, t) : scratch;
        attend(rows, kernels, scale,
               args.logsumexp ? args.logsumexp + (b * args.query_heads + h) * args.query_length + t : nullptr);
      }
    }
}

}  // namespace attn::blas_path
