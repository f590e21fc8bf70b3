#include "streaming/scores.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "call/wide_row.hpp"
#include "streaming/mask.hpp"

namespace attn::streaming {
namespace {

using simd::key_block;

constexpr float infinity = std::numeric_limits<float>::infinity();

// The caller's scores of row r, from key number `key` on: `count` of them.
struct Piece {
  char* to;
  bool in_place;  // as float; else they are made in scratch.row first
  std::int64_t count;

  float* floats(const TileScratch& scratch) const noexcept {
    return in_place ? reinterpret_cast<float*>(to) : scratch.row;
  }
};

Piece piece_at(
    const Plan& plan, const KvHead& kv, std::int64_t r, std::int64_t key, std::int64_t end,
    const TileScratch& scratch) noexcept {
  const Output& scores = plan.problem.extras.scores;
  const Place place = scratch.place[r];
  char* const row = address_of(scores, kv.sequence.batch, place.head, kv.sequence.first_query + place.query);
  return {row + key * size_of(scores.dtype), is_float(scores.dtype), std::min<std::int64_t>(key_block, end - key)};
}

void store(const Plan& plan, const Piece& piece, const TileScratch& scratch) noexcept {
  if (!piece.in_place) plan.kernels.narrow(scratch.row, plan.problem.extras.scores.dtype, piece.count, piece.to);
}

// s[j] <- s[j] * scale, of products of which some are not finite. A product beyond float may still be a score within
// it, unless the query is not finite.
void scale_in_double(
    const Plan& plan, const Tile& tile, const Row& row, std::int64_t r, KeyRange keys, float* s) noexcept {
  const bool finite_query = plan.kernels.all_finite(tile.queries.rows + r * tile.queries.stride, plan.problem.head_dim);
  for (std::int64_t j = keys.begin; j < keys.end; ++j, ++s)
    *s = !finite_query || std::isfinite(*s) ? *s * plan.steps.scale : wide_row::scaled_score(row, j);
}

// -inf outside the keys of the block that row r sees.
void exclude(std::int64_t r, std::int64_t count, const Plan& plan, const TileScratch& scratch, float* s) noexcept {
  const std::int64_t begin = std::min<std::int64_t>(scratch.begin[r], count);
  const std::int64_t end = std::max<std::int64_t>(begin, scratch.end[r]);
  std::fill(s, s + begin, -infinity);
  std::fill(s + end, s + count, -infinity);
  const std::uint64_t* const allowed = plan.problem.visibility.has_holes() ? scratch.allowed[r] : nullptr;
  for (std::int64_t j = begin; allowed && j < end; ++j)
    if ((allowed[j / 64] >> (j % 64) & 1) == 0) s[j] = -infinity;
}

void write_row(
    const Plan& plan, const KvHead& kv, const Tile& tile, std::int64_t block, std::int64_t r,
    const TileScratch& scratch) noexcept {
  const ScoresStage stage = plan.problem.extras.scores_stage;
  const std::int64_t key = block * key_block;
  const Piece piece = piece_at(plan, kv, r, key, kv.sequence.key_length, scratch);
  const Place place = scratch.place[r];
  float* const s = piece.floats(scratch);
  std::copy_n(kept_of(plan, tile.part.stepped, scratch).row_of(block, r), piece.count, s);

  simd::ScoreSteps steps = plan.steps;
  if (stage == ScoresStage::scaled) steps.softcap = 0;
  // Only keys that the row sees have a bias that may be read.
  const bool biased = stage == ScoresStage::biased && tile.part.stepped;
  const std::int64_t begin = biased ? scratch.begin[r] / simd::lane_count * simd::lane_count : 0;
  const std::int64_t end = biased ? std::max<std::int64_t>(begin, scratch.end[r]) : piece.count;
  simd::RowSteps row_steps;
  if (biased) {
    row_steps = scratch.row_steps[r];
    row_steps.distance -= static_cast<float>(begin);
    if (row_steps.bias) row_steps.bias += begin;
  }
  if (!plan.kernels.all_finite(s + begin, end - begin)) {
    const Row row{plan.problem, plan.kernels, kv.sequence, place.head, place.query, tile.is_biased(r)};
    scale_in_double(plan, tile, row, r, {key + begin, key + end}, s + begin);
    steps.scale = 1;
  }
  plan.kernels.step_scores(steps, row_steps, s + begin, end - begin);
  if (stage == ScoresStage::biased) exclude(r, piece.count, plan, scratch, s);
  store(plan, piece, scratch);
}

}  // namespace

void multiply_all(
    const Plan& plan, const Tile& tile, const simd::KeyBlock& keys, std::int64_t block,
    const TileScratch& scratch) noexcept {
  std::fill_n(scratch.begin, tile.rows, 0);
  std::fill_n(scratch.end, tile.rows, static_cast<std::int32_t>(keys.count));
  plan.kernels.multiply_keys(
      tile.queries, keys, {scratch.begin, scratch.end, nullptr},
      {kept_of(plan, tile.part.stepped, scratch).of_block(block), nullptr, {}, false});
}

void write_scores(
    const Plan& plan, const KvHead& kv, const Tile& tile, std::int64_t block, const TileScratch& scratch) noexcept {
  for (std::int64_t r = 0; r < tile.rows; ++r)
    if (tile.in_part(r)) write_row(plan, kv, tile, block, r, scratch);
}

void end_scores(const Plan& plan, const KvHead& kv, std::int64_t r, const TileScratch& scratch) noexcept {
  const std::int64_t end = plan.problem.batch.key_length;
  for (std::int64_t key = kv.sequence.key_length; key < end; key += key_block) {
    const Piece piece = piece_at(plan, kv, r, key, end, scratch);
    std::fill_n(piece.floats(scratch), piece.count, -infinity);
    store(plan, piece, scratch);
  }
}

}  // namespace attn::streaming
