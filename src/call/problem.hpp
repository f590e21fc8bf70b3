// A call of attention() with everything resolved, made once: the rest of the library reads this and no arguments.
#pragma once

#include <cstdint>

#include "attn/attention.hpp"
#include "call/addresses.hpp"
#include "call/visible.hpp"
#include "simd/kernels.hpp"

namespace attn {

// From a product q . k to a score.
struct Scoring {
  double scale = 1;  // what the call asks for; 1 / sqrt(head_dim) in double if it asks for none
  float softcap = 0;
  Bias bias;
  const float* alibi_slopes = nullptr;
  const float* sinks = nullptr;
  // The scores of every row pass through steps in their own units; else they are products, and the exponent of the
  // softmax holds the scale, but in rows that a bias changes (holes.hpp). True with
  //   softcap, ALiBi or sinks
  //   a scale of less than 2^-121 in size: two products may differ by more than float holds, 2^128,
  //                         and their scores by less than the 88 that make a weight 0
  bool stepped = false;

  simd::ScoreSteps steps() const noexcept { return {static_cast<float>(scale), softcap}; }
  // Does a row go through steps? `biased`: a bias changes it.
  bool steps_row(bool biased) const noexcept { return stepped || biased; }
  // The scale that the exponent holds.
  double exponent_scale(bool row_is_stepped) const noexcept { return row_is_stepped ? 1.0 : scale; }
  // The steps of one row, whose first key is `key`, but for the values of its bias.
  simd::RowSteps row_steps(const Sequence& s, std::int64_t head, std::int64_t query, std::int64_t key) const noexcept {
    simd::RowSteps row;
    row.alibi = alibi_slopes != nullptr;
    if (row.alibi) {
      row.slope = alibi_slopes[head];
      row.distance = static_cast<float>(saturating_add(s.position(query), -key));
    }
    if (bias.data && bias.head_factors) row.factor = bias.head_factors[head];
    return row;
  }
};

// What is asked for beside the output. Null: not wanted.
struct Extras {
  Output weights, scores;
  ScoresStage scores_stage = ScoresStage::scaled;
  float* logsumexp = nullptr;
  float* key_weight_sums = nullptr;
};

// Where a row of keys or values stands: the indices into its tensor. Of keys in panels `row` counts keys, too.
struct CacheRow {
  std::int64_t batch, row;
};

// Keys and values in pages: row j of item b is row j % length of page table[b * stride + j / length].
struct Pages {
  const std::int32_t* table = nullptr;  // null: none
  std::int64_t stride = 0, length = 0;

  CacheRow row(std::int64_t item, std::int64_t j) const noexcept {
    return {table[item * stride + j / length], j % length};
  }
};

struct Problem {
  std::int64_t query_heads = 1, kv_heads = 1, group = 1;  // group: query heads of a KV head
  std::int64_t head_dim = 0, value_dim = 0;
  Batch batch;
  Tensor query, key, value;
  Scales key_scales, value_scales;
  KeyLayout key_layout = KeyLayout::rows;
  Pages pages;
  bool bf16_weights = false;
  Output output;
  Visibility visibility;
  Scoring scoring;
  Extras extras;
  const Parallel* parallel = nullptr;
  std::int64_t share_index = 0, share_count = 1;

  bool panels() const noexcept { return key_layout == KeyLayout::panels; }
  // Do keys or values have scales?
  bool scaled() const noexcept { return !is_floating(key.dtype) || !is_floating(value.dtype); }
  // Are weights or their sums wanted?
  bool weighs() const noexcept { return extras.weights.data || extras.key_weight_sums; }
  // Are both factors of the scores bf16? The chain over the head dimension then goes 1, 0, 3, 2, ...
  bool pairs() const noexcept { return query.dtype == DType::bf16 && key.dtype == DType::bf16; }
  // Are weights scaled or rounded before they multiply values?
  bool changes_weights() const noexcept { return bf16_weights || !is_floating(value.dtype); }
  std::int64_t kv_head_of(std::int64_t query_head) const noexcept { return query_head / group; }
  // The keys of a sequence that are read: what some query may see, or all for scores that are asked for.
  KeyRange needed(const Sequence& s) const noexcept {
    return extras.scores.data && s.query_length > 0 ? KeyRange{0, s.key_length} : visibility.needed(s);
  }
  // Of key j, which is needed.
  CacheRow cache_row(const Sequence& s, std::int64_t j) const noexcept {
    return pages.table ? pages.row(s.item, j) : CacheRow{s.batch, s.first_key + j};
  }
  // The places of a row's log-sum-exp and of the first key weight sum of a head.
  float* logsumexp_at(const Sequence& s, std::int64_t head, std::int64_t query) const noexcept;
  float* key_weight_sums_at(const Sequence& s, std::int64_t head) const noexcept;
};

// One query row: of a query head, and of the sequence.
struct Row {
  const Problem& problem;
  const simd::Kernels& kernels;
  Sequence sequence;
  std::int64_t head, query;
  bool biased = false;  // a bias changes its scores (holes.hpp)
};

// args have passed check::sizes().
Problem make_problem(const AttentionArgs& args) noexcept;

}  // namespace attn
