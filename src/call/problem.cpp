#include "call/problem.hpp"

#include <cmath>

namespace attn {
namespace {

// 1 / sqrt(head_dim) in double, also for the floats that users compute of it: what means the same gives the same bits.
double scale_of(const AttentionArgs& a) noexcept {
  const double by_default = 1.0 / std::sqrt(static_cast<double>(a.head_dim));
  const bool same =
      a.scale == static_cast<float>(by_default) || a.scale == 1.0f / std::sqrt(static_cast<float>(a.head_dim));
  return a.scale == 0 || same ? by_default : static_cast<double>(a.scale);
}

Scoring make_scoring(const AttentionArgs& a) noexcept {
  const bool tiny_scale = a.scale != 0 && std::fabs(a.scale) < 0x1p-121f;
  Scoring s;
  s.scale = scale_of(a);
  s.softcap = a.softcap;
  s.bias = a.bias;
  s.alibi_slopes = a.alibi_slopes;
  s.sinks = a.sinks;
  s.stepped = a.softcap > 0 || a.alibi_slopes || a.sinks || tiny_scale;
  return s;
}

Batch make_batch(const AttentionArgs& a) noexcept {
  Batch b;
  b.count = a.batch;
  b.query_length = a.query_length;
  b.key_length = a.key_length;
  b.alignment = a.alignment;
  b.query_offsets = a.query_offsets;
  b.key_lengths = a.key_lengths;
  b.cu_query_lengths = a.cu_query_lengths;
  b.cu_key_lengths = a.cu_key_lengths;
  return b;
}

}  // namespace

Problem make_problem(const AttentionArgs& a) noexcept {
  Problem p;
  p.query_heads = a.query_heads;
  p.kv_heads = a.kv_heads;
  p.group = a.kv_heads > 0 ? a.query_heads / a.kv_heads : 1;
  p.head_dim = a.head_dim;
  p.value_dim = a.value_dim;
  p.batch = make_batch(a);
  p.query = a.query;
  p.key = a.key;
  p.value = a.value;
  p.key_scales = a.key_scales;
  p.value_scales = a.value_scales;
  p.key_layout = a.key_layout;
  p.pages = {a.page_table, a.page_table_stride, a.page_length};
  p.bf16_weights = a.bf16_weights;
  p.output = a.output;
  p.visibility = {a.causal, a.window_left, a.window_right, a.mask, a.mask_columns, a.bias};
  if (a.mask_columns == 1) p.visibility.mask.column_stride = 1;  // of one column it means nothing, and may be any
  p.scoring = make_scoring(a);
  p.extras = {a.weights, a.scores, a.scores_stage, a.logsumexp, a.key_weight_sums};
  p.parallel = a.parallel;
  p.share_index = a.share_index;
  p.share_count = a.share_count;
  return p;
}

float* Problem::logsumexp_at(const Sequence& s, std::int64_t head, std::int64_t query) const noexcept {
  if (batch.packed()) return extras.logsumexp + head * batch.cu_query_lengths[batch.count] + s.first_query + query;
  return extras.logsumexp + (s.item * query_heads + head) * batch.query_length + query;
}

float* Problem::key_weight_sums_at(const Sequence& s, std::int64_t head) const noexcept {
  if (batch.packed()) return extras.key_weight_sums + head * batch.cu_key_lengths[batch.count] + s.first_key;
  return extras.key_weight_sums + (s.item * query_heads + head) * batch.key_length;
}

}  // namespace attn
