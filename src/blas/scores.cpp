#include <algorithm>
#include <cmath>
#include <limits>

#include "blas/rows.hpp"
#include "call/holes.hpp"
#include "call/wide_row.hpp"

namespace attn::blas_path {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

// s[j] <- s[j] * scale over some keys, of whose products some are not finite. A product beyond float may still be a
// score within it, unless the query is not finite.
void scale_in_double(const Rows& rows, std::int64_t r, KeyRange keys, float* s) noexcept {
  const Row wide = rows.row(r);
  const float scale = static_cast<float>(rows.problem.scoring.scale);
  const bool finite_query = rows.kernels.all_finite(rows.query.row(r), rows.problem.head_dim);
  for (std::int64_t j = keys.begin; j < keys.end; ++j)
    s[j] = !finite_query || std::isfinite(s[j]) ? s[j] * scale : wide_row::scaled_score(wide, j);
}

// s[j] <- s[j] + factor * bias over the keys of a row's range, and -inf where mask or bias exclude the key.
void add_bias_and_holes(const Row& row, simd::RowSteps steps, KeyRange range, float* s) noexcept {
  constexpr std::int64_t block = simd::key_block;
  steps.alibi = false;
  std::int64_t key = std::max(range.begin, row.problem.visibility.first_hole(row.sequence));
  for (; key < range.end; key += block) {
    const std::int64_t count = std::min(block, range.end - key);
    std::uint64_t allowed[block / 64];
    read_holes(row, key, {0, count}, allowed);
    if (row.biased) {
      float wide[block];
      steps.bias = bias_of(row, key, {0, count}, wide);
      row.kernels.step_scores({1, 0}, steps, s + key, count);
    }
    for (std::int64_t j = 0; j < count; ++j)
      if ((allowed[j / 64] >> (j % 64) & 1) == 0) s[key + j] = -infinity;
  }
}

void step_row(const Rows& rows, std::int64_t r) noexcept {
  const Problem& p = rows.problem;
  const Sequence& s = rows.sequence;
  const std::int64_t query = rows.first + r;
  float* const scores = rows.weights.row(r);
  const bool copy = p.extras.scores.data != nullptr;
  const KeyRange range = rows.range[r];
  // Scores are asked for of all keys; else only those in the range are wanted.
  const KeyRange wanted = copy ? KeyRange{0, s.key_length} : range;
  const auto step = [&](simd::ScoreSteps steps, const simd::RowSteps& row) {
    rows.kernels.step_scores(steps, row, scores + wanted.begin, wanted.end - wanted.begin);
  };
  const auto keep = [&](KeyRange keys) {  // only those in the range are read again
    std::fill(scores, scores + keys.begin, -infinity);
    std::fill(scores + keys.end, scores + p.batch.key_length, -infinity);
    rows.kernels.narrow(
        scores, p.extras.scores.dtype, p.batch.key_length,
        address_of(p.extras.scores, s.batch, rows.head, s.first_query + query));
  };

  simd::ScoreSteps steps = p.scoring.steps();
  if (!rows.kernels.all_finite(scores + wanted.begin, wanted.end - wanted.begin)) {
    scale_in_double(rows, r, wanted, scores);
    steps.scale = 1;
  }
  const simd::RowSteps row = p.scoring.row_steps(s, rows.head, query, wanted.begin);
  const ScoresStage stage = p.extras.scores_stage;
  if (copy && stage != ScoresStage::biased) {
    step({steps.scale, stage == ScoresStage::capped ? steps.softcap : 0}, {});
    keep(wanted);
    step({1, stage == ScoresStage::capped ? 0 : steps.softcap}, row);
  } else {
    step(steps, row);
  }
  if (p.visibility.has_holes()) add_bias_and_holes(rows.row(r), row, range, scores);
  if (copy && stage == ScoresStage::biased) keep(range);
}

}  // namespace

void step_scores(const Rows& rows) noexcept {
  for (std::int64_t r = 0; r < rows.count; ++r) step_row(rows, r);
}

}  // namespace attn::blas_path
