// One block of query rows: products, softmax, and what is owed for each row.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "base/exponent.hpp"
#include "base/log_sum_exp.hpp"
#include "blas/blas.hpp"
#include "blas/rows.hpp"
#include "call/holes.hpp"
#include "call/wide_row.hpp"

namespace attn::blas_path {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

// What a sink changes in a row that was normalized without it.
void add_sink(float sink, float* weights, KeyRange range, float& row_max, float& row_sum) noexcept {
  const double m = std::fmax(row_max, sink);
  if (sink == -infinity || std::isnan(row_sum)) return;
  const double keys = row_sum == 0 ? 0.0 : static_cast<double>(row_sum) * std::exp(static_cast<double>(row_max) - m);
  const double sum = keys + std::exp(static_cast<double>(sink) - m);
  for (std::int64_t j = range.begin; j < range.end; ++j)
    weights[j] = static_cast<float>(static_cast<double>(weights[j]) * (keys / sum));
  row_max = static_cast<float>(m);
  row_sum = static_cast<float>(sum);
}

// The keys that each row sees, that some row sees, and that every row sees; the rows that a bias changes.
void find_keys(Rows& rows) noexcept {
  BiasedRows biased;
  BiasedRows::Kept nothing;
  rows.all = {rows.problem.batch.key_length, 0};
  rows.common = {0, rows.problem.batch.key_length};
  for (std::int64_t r = 0; r < rows.count; ++r) {
    const KeyRange range = rows.range[r] = rows.problem.visibility.range(rows.sequence, rows.first + r);
    if (!range.empty()) rows.all = {std::min(rows.all.begin, range.begin), std::max(rows.all.end, range.end)};
    rows.biased[r] = rows.problem.scoring.bias.data && biased.next(rows.row(r), range, nothing);
    rows.common = {std::max(rows.common.begin, range.begin), std::min(rows.common.end, range.end)};
  }
  if (rows.all.empty()) rows.all = {0, 0};
}

// weights = query key^T for all keys that some row sees; for every key if scores are asked for.
void multiply_keys(const Rows& rows) noexcept {
  const KeyRange keys = rows.problem.extras.scores.data ? KeyRange{0, rows.sequence.key_length} : rows.all;
  blas::sgemm(
      {rows.count, keys.end - keys.begin, rows.problem.head_dim}, rows.query, blas::Op::transpose,
      {rows.key.row(keys.begin), rows.key.stride}, blas::To::overwrite,
      {rows.weights.data + keys.begin, rows.weights.stride});
}

// weights = softmax(scale * products) over each row's range.
void softmax(const Rows& rows, Softmax& s) noexcept {
  const Problem& p = rows.problem;
  bool stepped = p.scoring.stepped || p.visibility.has_holes() || p.extras.scores.data;
  for (std::int64_t r = 0; r < rows.count && !stepped; ++r)  // a product beyond float: the steps mend it
    stepped =
        !rows.kernels.all_finite(rows.weights.row(r) + rows.range[r].begin, rows.range[r].end - rows.range[r].begin);
  if (stepped) step_scores(rows);
  s.scale = stepped ? 1.0 : p.scoring.scale;

  const simd::Exponent exponent = make_exponent(s.scale);
  const bool together = !stepped && rows.all.begin == rows.common.begin && rows.all.end == rows.common.end;
  const std::int64_t step = together ? rows.count : 1;
  for (std::int64_t r = 0; r < rows.count; r += step) {
    const KeyRange range = together ? rows.all : rows.range[r];
    float* const scores = rows.weights.row(r) + range.begin;
    rows.kernels.softmax_rows(
        {scores, scores, step, range.end - range.begin, rows.weights.stride, rows.weights.stride, exponent, s.scale < 0,
         s.max + r, s.sum + r});
  }
}

// What is owed for row r beside its output: zeros where it sees no key, the sink, log-sum-exp and key weight sums.
void finish_weights(const Rows& rows, std::int64_t r, Softmax& s, float* key_sums) noexcept {
  const Problem& p = rows.problem;
  float* const weights = rows.weights.row(r);
  const KeyRange range = rows.range[r];
  std::fill(weights, weights + range.begin, 0.0f);
  std::fill(weights + range.end, weights + p.batch.key_length, 0.0f);
  if (p.scoring.sinks) add_sink(p.scoring.sinks[rows.head], weights, range, s.max[r], s.sum[r]);
  if (p.visibility.has_holes() && std::isnan(s.sum[r]))  // an excluded key weighs 0 in a NaN row, too
    for (std::int64_t j = range.begin; j < range.end; ++j)
      if (!rows.unmasked(r, j)) weights[j] = 0;
  if (p.extras.logsumexp)
    *p.logsumexp_at(rows.sequence, rows.head, rows.first + r) = log_sum_exp(s.max[r], s.sum[r], s.scale);
  for (std::int64_t j = range.begin; p.extras.key_weight_sums && j < range.end; ++j) key_sums[j] += weights[j];
}

// What a sink has spoilt, what overflow has lost, and the types of output and weights.
void finish_output(const Rows& rows, std::int64_t r, float row_sum) noexcept {
  const Problem& p = rows.problem;
  float* const output = rows.output.row(r);
  if (std::isnan(row_sum))  // a sink can spoil a row without keys
    std::fill_n(output, p.value_dim, row_sum);
  else if (wide_row::Softmax unused; !rows.kernels.all_finite(output, p.value_dim))
    wide_row::mend(rows.row(r), row_sum, false, output, unused);
  const Sequence& s = rows.sequence;
  const std::int64_t row = s.first_query + rows.first + r;
  if (!is_float(p.output.dtype))
    rows.kernels.narrow(output, p.output.dtype, p.value_dim, address_of(p.output, s.batch, rows.head, row));
  const Output& weights = p.extras.weights;
  if (weights.data && !is_float(weights.dtype))
    rows.kernels.narrow(
        rows.weights.row(r), weights.dtype, p.batch.key_length, address_of(weights, s.batch, rows.head, row));
}

}  // namespace

void attend(Rows& rows, float* key_sums) noexcept {
  Softmax s;
  find_keys(rows);
  multiply_keys(rows);
  softmax(rows, s);
  for (std::int64_t r = 0; r < rows.count; ++r) finish_weights(rows, r, s, key_sums);
  multiply_values(rows);
  for (std::int64_t r = 0; r < rows.count; ++r) finish_output(rows, r, s.sum[r]);
}

}  // namespace attn::blas_path
