#include "blas_path.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "arena.hpp"
#include "blas.hpp"
#include "exponent.hpp"
#include "keys.hpp"
#include "log_sum_exp.hpp"
#include "rows.hpp"
#include "wide_row.hpp"

namespace attn::blas_path {
namespace {

// Query rows of one pair of products. Under causal, keys that no row of the block sees are not multiplied.
constexpr std::int64_t row_block = 256;

constexpr float infinity = std::numeric_limits<float>::infinity();

// One block of query rows of one head. Pointers stand at the block's first row and at key 0 of the sequence.
struct Rows {
  Sequence sequence;
  std::int64_t head, first, count;  // query rows first .. first + count
  const float *query, *key, *value;
  float *output, *weights;  // weights: scores, then weights
  std::int64_t query_stride, key_stride, value_stride, output_stride, weights_stride;
  KeyRange range[row_block];
};

bool all_finite(const float* x, KeyRange range, const simd::Kernels& kernels) {
  return kernels.all_finite(x + range.begin, range.end - range.begin);
}

// Of the values of some keys.
bool finite(const Rows& rows, KeyRange keys, std::int64_t columns, const simd::Kernels& kernels) {
  for (std::int64_t j = keys.begin; j < keys.end; ++j)
    if (!kernels.all_finite(rows.value + j * rows.value_stride, columns)) return false;
  return true;
}

// Does the mask allow key j to row r? (The range is another matter.)
bool unmasked(const AttentionArgs& a, const Rows& rows, std::int64_t r, std::int64_t j) {
  return !a.mask.data || *element_of(a.mask, rows.sequence.item, rows.head, rows.first + r, j) != 0;
}

// output[r] = sum over the allowed j of weights[r][j] value[j]. `all` holds every row's keys, `common` those that all
// rows see.
void multiply_values(const AttentionArgs& a, const Rows& rows, KeyRange all, KeyRange common,
                     const simd::Kernels& kernels) {
  const auto product = [&](KeyRange keys) {
    blas::sgemm(blas::Op::none, blas::Op::none, rows.count, a.value_dim, keys.end - keys.begin, 1.0f,
                rows.weights + keys.begin, rows.weights_stride, rows.value + keys.begin * rows.value_stride,
                rows.value_stride, 0.0f, rows.output, rows.output_stride);
  };
  // A weight of 0 times NaN or Inf is NaN, so a key that some row must not see may be multiplied only if it is finite.
  if (common.begin >= common.end || a.mask.data) common = {all.end, all.end};
  if (finite(rows, {all.begin, common.begin}, a.value_dim, kernels) &&
      finite(rows, {common.end, all.end}, a.value_dim, kernels))
    return product(all);

  product(common);
  for (std::int64_t r = 0; r < rows.count; ++r)
    for (std::int64_t j = rows.range[r].begin; j < rows.range[r].end; ++j) {
      if ((j >= common.begin && j < common.end) || !unmasked(a, rows, r, j)) continue;
      for (std::int64_t e = 0; e < a.value_dim; ++e)
        rows.output[r * rows.output_stride + e] +=
            rows.weights[r * rows.weights_stride + j] * rows.value[j * rows.value_stride + e];
    }
}

// The scores of row r as the softmax wants them, in place of products, and a copy at the stage that is asked for.
void step_row(const AttentionArgs& a, const Rows& rows, std::int64_t r, const simd::Kernels& kernels) {
  const Sequence& s = rows.sequence;
  float* const scores = rows.weights + r * rows.weights_stride;
  float* const copy = a.scores.data ? row_of(a.scores, s.batch, rows.head, rows.first + r) : nullptr;
  const KeyRange range = rows.range[r];
  // Scores are asked for of all keys; else only those in the range are wanted.
  const KeyRange wanted = copy ? KeyRange{0, s.key_length} : range;
  const auto steps = [&](simd::ScoreSteps all, simd::RowSteps row) {
    kernels.step_scores(all, row, scores + wanted.begin, wanted.end - wanted.begin);
  };
  const auto keep = [&](KeyRange keys) {
    std::fill(copy, copy + a.key_length, -infinity);
    std::copy(scores + keys.begin, scores + keys.end, copy + keys.begin);
  };

  float scale = static_cast<float>(effective_scale(a));
  if (!all_finite(scores, wanted, kernels)) {
    // A product beyond float may still be a score within it; not if the query is not finite.
    const bool finite_query = kernels.all_finite(rows.query + r * rows.query_stride, a.head_dim);
    for (std::int64_t j = wanted.begin; j < wanted.end; ++j)
      scores[j] = !finite_query || std::isfinite(scores[j])
                      ? scores[j] * scale
                      : wide_row::scaled_score({a, kernels, s, rows.head, rows.first + r}, j);
    scale = 1;
  }
  simd::RowSteps row{a.alibi_slopes != nullptr, 0, 0, nullptr};
  if (row.alibi) {
    row.slope = a.alibi_slopes[rows.head];
    row.distance = static_cast<float>(saturating_add(position_of(s, rows.first + r), -wanted.begin));
  }
  if (copy && a.scores_stage != ScoresStage::biased) {
    steps({scale, a.scores_stage == ScoresStage::capped ? a.softcap : 0}, {});
    keep(wanted);
    steps({1, a.scores_stage == ScoresStage::capped ? 0 : a.softcap}, row);
  } else {
    steps({scale, a.softcap}, row);
  }
  for (std::int64_t j = range.begin; j < range.end; ++j) {
    if (a.bias.data) scores[j] += *element_of(a.bias, s.item, rows.head, rows.first + r, j);
    if (!unmasked(a, rows, r, j)) scores[j] = -infinity;
  }
  if (copy && a.scores_stage == ScoresStage::biased) keep(range);
}

// What a sink changes in a row that was normalized without it.
void add_sink(float sink, float* weights, KeyRange range, float& row_max, float& row_sum) {
  const double m = std::fmax(row_max, sink);
  if (sink == -infinity || std::isnan(row_sum)) return;
  const double keys = row_sum == 0 ? 0.0 : static_cast<double>(row_sum) * std::exp(static_cast<double>(row_max) - m);
  const double sum = keys + std::exp(static_cast<double>(sink) - m);
  for (std::int64_t j = range.begin; j < range.end; ++j)
    weights[j] = static_cast<float>(static_cast<double>(weights[j]) * (keys / sum));
  row_max = static_cast<float>(m);
  row_sum = static_cast<float>(sum);
}

void attend(const AttentionArgs& a, const Rows& rows, const simd::Kernels& kernels, float* key_sums) {
  KeyRange all{a.key_length, 0}, common{0, a.key_length};
  for (std::int64_t r = 0; r < rows.count; ++r) {
    const KeyRange range = rows.range[r];
    if (range.begin < range.end) all = {std::min(all.begin, range.begin), std::max(all.end, range.end)};
    common = {std::max(common.begin, range.begin), std::min(common.end, range.end)};
  }
  if (all.begin >= all.end) all = {0, 0};

  const KeyRange scored = a.scores.data ? KeyRange{0, rows.sequence.key_length} : all;
  blas::sgemm(blas::Op::none, blas::Op::transpose, rows.count, scored.end - scored.begin, a.head_dim, 1.0f, rows.query,
              rows.query_stride, rows.key + scored.begin * rows.key_stride, rows.key_stride, 0.0f,
              rows.weights + scored.begin, rows.weights_stride);

  bool stepped = has_steps(a) || a.mask.data || a.scores.data;
  for (std::int64_t r = 0; r < rows.count && !stepped; ++r)
    stepped = !all_finite(rows.weights + r * rows.weights_stride, rows.range[r], kernels);  // step_row mends them
  const double scale = stepped ? 1.0 : effective_scale(a);

  float row_max[row_block], row_sum[row_block];
  const simd::Exponent exponent = make_exponent(scale);
  const bool same = !stepped && all.begin == common.begin && all.end == common.end;
  for (std::int64_t r = 0; r < rows.count; r += same ? rows.count : 1) {
    if (stepped) step_row(a, rows, r, kernels);
    const KeyRange range = same ? all : rows.range[r];
    float* scores = rows.weights + r * rows.weights_stride + range.begin;
    kernels.softmax_rows({scores, scores, same ? rows.count : 1, range.end - range.begin, rows.weights_stride,
                          rows.weights_stride, exponent, scale < 0, row_max + r, row_sum + r});
  }
  for (std::int64_t r = 0; r < rows.count; ++r) {
    float* weights = rows.weights + r * rows.weights_stride;
    const KeyRange range = rows.range[r];
    std::fill(weights, weights + range.begin, 0.0f);
    std::fill(weights + range.end, weights + a.key_length, 0.0f);
    if (a.sinks) add_sink(a.sinks[rows.head], weights, range, row_max[r], row_sum[r]);
    if (a.mask.data && std::isnan(row_sum[r]))  // an excluded key weighs 0 in a NaN row, too
      for (std::int64_t j = range.begin; j < range.end; ++j)
        if (!unmasked(a, rows, r, j)) weights[j] = 0;
    if (a.logsumexp)
      a.logsumexp[logsumexp_index(a, rows.sequence, rows.head, rows.first + r)] =
          log_sum_exp(row_max[r], row_sum[r], scale);
    for (std::int64_t j = range.begin; a.key_weight_sums && j < range.end; ++j) key_sums[j] += weights[j];
  }
  multiply_values(a, rows, all, common, kernels);
  for (std::int64_t r = 0; r < rows.count; ++r) {
    float* const output = rows.output + r * rows.output_stride;
    if (std::isnan(row_sum[r]))  // a sink can spoil a row without keys
      std::fill_n(output, a.value_dim, row_sum[r]);
    else if (wide_row::Softmax unused; !kernels.all_finite(output, a.value_dim))
      wide_row::mend({a, kernels, rows.sequence, rows.head, rows.first + r}, row_sum[r], false, output, unused);
  }
}

// BLAS wants a leading dimension of at least the columns, also where there is one row and the stride means nothing.
std::int64_t leading(std::int64_t stride, std::int64_t rows, std::int64_t columns) {
  return std::max<std::int64_t>({rows > 1 ? stride : 0, columns, 1});
}

// What a call needs beside the tensors: the scores of one block of rows, unless they stand in the weights, a block's
// part of the key weight sums, and as float, which BLAS wants, what is stored as halves: keys and values of one head,
// queries and results of one block of rows.
struct Scratch {
  float *scores, *key_sums, *key, *value, *query, *output;

  Scratch(const AttentionArgs& a, Arena& arena)
      : scores(a.weights.data
                   ? nullptr
                   : arena.take<float>(saturating_product(std::min(a.query_length, row_block), a.key_length))),
        key_sums(a.key_weight_sums ? arena.take<float>(a.key_length) : nullptr),
        key(take(arena, a.key.dtype, a.key_length, a.head_dim)),
        value(take(arena, a.value.dtype, a.key_length, a.value_dim)),
        query(take(arena, a.query.dtype, std::min(a.query_length, row_block), a.head_dim)),
        output(take(arena, a.output.dtype, std::min(a.query_length, row_block), a.value_dim)) {}

  static float* take(Arena& arena, DType type, std::int64_t rows, std::int64_t columns) {
    return type == DType::f32 ? nullptr : arena.take<float>(saturating_product(rows, columns));
  }
};

// The rows of a tensor from (batch, head, row) on as float: where they stand, or widened into `wide`.
struct Wide {
  const float* data;
  std::int64_t stride;
};
Wide widened(const Tensor& t, std::int64_t batch, std::int64_t head, std::int64_t row, std::int64_t rows,
             std::int64_t columns, float* wide, const simd::Kernels& kernels) {
  if (t.dtype == DType::f32) return {row_of(t, batch, head, row), leading(t.row_stride, rows, columns)};
  for (std::int64_t r = 0; r < rows; ++r)
    kernels.widen(address_of(t, batch, head, row + r), storage_of(t.dtype), columns, wide + r * columns);
  return {wide, leading(columns, rows, columns)};
}

}  // namespace

std::size_t workspace_size(const AttentionArgs& args) noexcept {
  Arena arena(0);
  const std::size_t nothing = arena.used();
  const Scratch scratch(args, arena);
  return arena.used() == nothing ? 0 : arena.used();
}

void run(const AttentionArgs& args, const simd::Kernels& kernels, void* workspace) noexcept {
  Arena arena(reinterpret_cast<std::uintptr_t>(workspace));
  const Scratch scratch(args, arena);
  const std::int64_t group = args.query_heads > 0 ? args.query_heads / args.kv_heads : 1;
  Rows rows;
  rows.weights_stride = leading(args.weights.data ? args.weights.row_stride : 0, args.query_length, args.key_length);

  for (std::int64_t b = 0; b < args.batch; ++b) {
    const Sequence s = rows.sequence = sequence_at(args, b);
    for (std::int64_t h = rows.head = 0; h < args.query_heads; rows.head = ++h) {
      const Wide key =
          widened(args.key, s.batch, h / group, s.first_key, s.key_length, args.head_dim, scratch.key, kernels);
      const Wide value =
          widened(args.value, s.batch, h / group, s.first_key, s.key_length, args.value_dim, scratch.value, kernels);
      rows.key = key.data, rows.key_stride = key.stride;
      rows.value = value.data, rows.value_stride = value.stride;
      float* sums = args.key_weight_sums ? args.key_weight_sums + key_weight_sums_index(args, s, h) : nullptr;
      if (sums) std::fill(sums, sums + key_weight_sums_count(args, s), 0.0f);
      for (std::int64_t t = 0; t < s.query_length; t += row_block) {
        rows.first = t;
        rows.count = std::min(row_block, s.query_length - t);
        for (std::int64_t r = 0; r < rows.count; ++r) rows.range[r] = allowed_keys(args, s, t + r);
        const Wide query =
            widened(args.query, s.batch, h, s.first_query + t, rows.count, args.head_dim, scratch.query, kernels);
        rows.query = query.data, rows.query_stride = query.stride;
        rows.output = scratch.output ? scratch.output : row_of(args.output, s.batch, h, s.first_query + t);
        rows.output_stride =
            leading(scratch.output ? args.value_dim : args.output.row_stride, rows.count, args.value_dim);
        rows.weights = args.weights.data ? row_of(args.weights, s.batch, h, t) : scratch.scores;
        if (sums) std::fill(scratch.key_sums, scratch.key_sums + s.key_length, 0.0f);
        attend(args, rows, kernels, scratch.key_sums);
        for (std::int64_t r = 0; scratch.output && r < rows.count; ++r)
          kernels.narrow(rows.output + r * rows.output_stride, storage_of(args.output.dtype), args.value_dim,
                         address_of(args.output, s.batch, h, s.first_query + t + r));
        for (std::int64_t j = 0; sums && j < s.key_length; ++j) sums[j] += scratch.key_sums[j];
      }
    }
  }
}

}  // namespace attn::blas_path
