#include "blas/path.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "base/arena.hpp"
#include "base/exponent.hpp"
#include "base/log_sum_exp.hpp"
#include "blas/blas.hpp"
#include "blas/rows.hpp"
#include "call/holes.hpp"
#include "call/share.hpp"
#include "call/wide_row.hpp"

namespace attn::blas_path {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

// What a call needs beside the tensors:
//   scores                      of one block of rows, unless they stand in the weights
//   key_sums                    a block's part of the key weight sums
//   key, value, query, output   halves as float, which BLAS wants: keys and values of one head, a block of query rows
struct Scratch {
  float *scores, *key_sums, *key, *value, *query, *output;

  Scratch(const Problem& p, Arena& arena) noexcept {
    const std::int64_t rows = std::min(p.batch.query_length, row_block), keys = p.batch.key_length;
    scores = p.extras.weights.data ? nullptr : arena.take<float>(saturating_product(rows, keys));
    key_sums = p.extras.key_weight_sums ? arena.take<float>(keys) : nullptr;
    key = take(arena, p.key.dtype, keys, p.head_dim);
    value = take(arena, p.value.dtype, keys, p.value_dim);
    query = take(arena, p.query.dtype, rows, p.head_dim);
    output = take(arena, p.output.dtype, rows, p.value_dim);
  }

  static float* take(Arena& arena, DType type, std::int64_t rows, std::int64_t columns) noexcept {
    return is_float(type) ? nullptr : arena.take<float>(saturating_product(rows, columns));
  }
};

// BLAS wants a leading dimension of at least the columns, even where there is one row and the stride means nothing.
std::int64_t leading(std::int64_t stride, std::int64_t rows, std::int64_t columns) noexcept {
  return std::max<std::int64_t>({rows > 1 ? stride : 0, columns, 1});
}

// Where rows of a tensor begin, and how many they are.
struct From {
  std::int64_t batch, head, row, rows;
};
// Those rows as float: where they stand, or widened into `wide`.
Matrix<const float> as_float(
    const Tensor& t, From from, std::int64_t columns, float* wide, const simd::Kernels& kernels) noexcept {
  if (is_float(t.dtype)) return {row_of(t, from.batch, from.head, from.row), leading(t.row_stride, from.rows, columns)};
  for (std::int64_t r = 0; r < from.rows; ++r)
    kernels.widen(address_of(t, from.batch, from.head, from.row + r), t.dtype, columns, wide + r * columns);
  return {wide, leading(columns, from.rows, columns)};
}

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

// What a sink has spoilt, what overflow has lost, and the type of the output.
void finish_output(const Rows& rows, std::int64_t r, float row_sum) noexcept {
  const Problem& p = rows.problem;
  float* const output = rows.output.row(r);
  if (std::isnan(row_sum))  // a sink can spoil a row without keys
    std::fill_n(output, p.value_dim, row_sum);
  else if (wide_row::Softmax unused; !rows.kernels.all_finite(output, p.value_dim))
    wide_row::mend(rows.row(r), row_sum, false, output, unused);
  if (!is_float(p.output.dtype))
    rows.kernels.narrow(
        output, p.output.dtype, p.value_dim,
        address_of(p.output, rows.sequence.batch, rows.head, rows.sequence.first_query + rows.first + r));
}

// output = softmax(query key^T * scale) value for one block of rows.
void attend(Rows& rows, float* key_sums) noexcept {
  Softmax s;
  find_keys(rows);
  multiply_keys(rows);
  softmax(rows, s);
  for (std::int64_t r = 0; r < rows.count; ++r) finish_weights(rows, r, s, key_sums);
  multiply_values(rows);
  for (std::int64_t r = 0; r < rows.count; ++r) finish_output(rows, r, s.sum[r]);
}

// Rows first .. first + row_block of a head, whose keys and values are given.
void attend_block(Rows& rows, std::int64_t first, const Scratch& scratch) noexcept {
  const Problem& p = rows.problem;
  const Sequence& s = rows.sequence;
  rows.first = first;
  rows.count = std::min(row_block, s.query_length - first);
  rows.query = as_float(
      p.query, {s.batch, rows.head, s.first_query + first, rows.count}, p.head_dim, scratch.query, rows.kernels);
  const bool in_place = is_float(p.output.dtype);
  rows.output = {
      in_place ? row_of(p.output, s.batch, rows.head, s.first_query + first) : scratch.output,
      leading(in_place ? p.output.row_stride : p.value_dim, rows.count, p.value_dim)};
  rows.weights = {
      p.extras.weights.data ? row_of(p.extras.weights, s.batch, rows.head, first) : scratch.scores,
      leading(p.extras.weights.data ? p.extras.weights.row_stride : 0, p.batch.query_length, p.batch.key_length)};
  attend(rows, scratch.key_sums);
}

}  // namespace

std::size_t workspace_bytes(const Problem& problem) noexcept {
  Arena arena(0);
  const std::size_t nothing = arena.used();
  const Scratch scratch(problem, arena);
  return arena.used() == nothing ? 0 : arena.used();
}

void run(const Problem& p, const simd::Kernels& kernels, void* workspace) noexcept {
  Arena arena(reinterpret_cast<std::uintptr_t>(workspace));
  const Scratch scratch(p, arena);
  // Whole heads: BLAS may give a row other bits in a product of fewer rows.
  const Share share = share_of(p, {p.query_heads, 1, true});
  for (std::int64_t i = share.first_head; i < share.first_head + share.heads; ++i) {
    const std::int64_t h = i % p.query_heads;
    Rows rows{p, kernels, p.batch.at(i / p.query_heads), h, 0, 0, {}, {}, {}, {}, {}};
    const Sequence& s = rows.sequence;
    const From keys{s.batch, p.kv_head_of(h), s.first_key, s.key_length};
    rows.key = as_float(p.key, keys, p.head_dim, scratch.key, kernels);
    rows.value = as_float(p.value, keys, p.value_dim, scratch.value, kernels);
    float* const sums = p.extras.key_weight_sums ? p.key_weight_sums_at(s, h) : nullptr;
    if (sums) std::fill_n(sums, p.batch.capacity(s.item), 0.0f);
    for (std::int64_t first = 0; first < s.query_length; first += row_block) {
      if (sums) std::fill_n(scratch.key_sums, s.key_length, 0.0f);
      attend_block(rows, first, scratch);
      for (std::int64_t j = 0; sums && j < s.key_length; ++j) sums[j] += scratch.key_sums[j];
    }
  }
}

}  // namespace attn::blas_path
