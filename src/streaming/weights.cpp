#include "streaming/weights.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "call/wide_row.hpp"
#include "streaming/sums.hpp"

namespace attn::streaming {
namespace {

using simd::key_block;

constexpr float infinity = std::numeric_limits<float>::infinity();

// f_b of the tile's rows, in place of their maxima in block b. (-inf) - (-inf) would be NaN.
void make_factors(const Plan& plan, const Tile& tile, bool stepped, const TileScratch& scratch) noexcept {
  const Kept& kept = kept_of(plan, stepped, scratch);
  for (std::int64_t b = tile.blocks.begin; b < tile.blocks.end; ++b) {
    float* const f = kept.max_of(b);
    for (std::int64_t r = 0; r < tile.rows; ++r) f[r] -= scratch.ends[r].max == -infinity ? 0.0f : scratch.ends[r].max;
    plan.kernels.exp_scaled(f, f, tile.rows, plan.exponents[stepped]);
    for (std::int64_t r = 0; r < tile.rows; ++r)
      f[r] *= scratch.ends[r].sum == 0.0f ? 0.0f : 1.0f / scratch.ends[r].sum;
  }
}

// The weights themselves in place of the exponentials, for rows that are rare: NaN for all keys that the row sees, or
// computed again in double.
void weigh_rare_row(
    const Plan& plan, const KvHead& kv, const Tile& tile, std::int64_t r, const Kept& kept,
    const TileScratch& scratch) noexcept {
  const Place place = scratch.place[r];
  const RowEnd& end = scratch.ends[r];
  const Row row{plan.problem, plan.kernels, kv.sequence, place.head, place.query, tile.is_biased(r)};
  for (std::int64_t b = tile.blocks.begin; b < tile.blocks.end; ++b) {
    const KeptKeys seen = kept.seen_of(b)[r];
    float* const p = kept.row_of(b, r);
    kept.max_of(b)[r] = 1.0f;
    if (seen.begin >= seen.end) continue;
    std::fill(p + seen.begin / simd::lane_count * simd::lane_count, p + seen.begin, 0.0f);
    std::fill(p + seen.end, p + round_up(seen.end, simd::lane_count), 0.0f);
    if (end.wide)
      wide_row::weigh(
          row, {end.max, static_cast<double>(end.sum)}, {b * key_block + seen.begin, b * key_block + seen.end},
          p + seen.begin);
    for (std::int64_t j = seen.begin; !end.wide && j < seen.end; ++j)
      p[j] = plan.problem.visibility.unmasked(kv.sequence, place.head, place.query, b * key_block + j)
          ? std::numeric_limits<float>::quiet_NaN()
          : 0.0f;
  }
}

// Row r: into the caller's weights, and onto the sums.
void weigh_row(
    const Plan& plan, const KvHead& kv, const Tile& tile, std::int64_t r, const TileScratch& scratch) noexcept {
  const Problem& p = plan.problem;
  const Place place = scratch.place[r];
  const RowEnd& end = scratch.ends[r];
  const Kept& kept = kept_of(plan, tile.stepped(r), scratch);
  if (end.wide || std::isnan(end.sum)) weigh_rare_row(plan, kv, tile, r, kept, scratch);

  const Output& weights = p.extras.weights;
  const bool in_place = weights.data && is_float(weights.dtype);
  char* const out =
      address_of(weights, kv.sequence.batch, place.head, kv.sequence.first_query + place.query);  // unused if null
  float* const sums = scratch.sums ? sums_of_head(plan, place.head, scratch.sums) : nullptr;
  const std::int64_t columns = weights.data ? p.batch.key_length : kv.sequence.key_length;
  for (std::int64_t key = 0; key < columns; key += key_block) {
    const std::int64_t b = key / key_block, count = std::min<std::int64_t>(key_block, columns - key);
    const KeptKeys seen = tile.blocks.contain(b) ? kept.seen_of(b)[r] : KeptKeys{0, 0};
    // Whole vectors: keys in them that the row does not see weigh 0.
    const std::int64_t first = seen.begin / simd::lane_count * simd::lane_count;
    const std::int64_t last =
        seen.begin < seen.end ? std::min<std::int64_t>(round_up(seen.end, simd::lane_count), count) : first;
    float* const to = in_place ? reinterpret_cast<float*>(out) + key : weights.data ? scratch.row : nullptr;
    if (to) std::fill(to, to + first, 0.0f);
    if (first < last)
      plan.kernels.weigh(
          kept.row_of(b, r) + first, kept.max_of(b)[r], last - first, to ? to + first : nullptr,
          sums ? sums + key + first : nullptr);
    if (to) std::fill(to + last, to + count, 0.0f);
    if (to && !in_place) plan.kernels.narrow(to, weights.dtype, count, out + key * size_of(weights.dtype));
  }
}

}  // namespace

void keep_block(
    const Plan& plan, const Tile& tile, std::int64_t block, const simd::State& of_block,
    const TileScratch& scratch) noexcept {
  const Kept& kept = kept_of(plan, tile.part.stepped, scratch);
  for (std::int64_t r = 0; plan.weighs && r < tile.rows; ++r) {
    kept.max_of(block)[r] = of_block.max[r];
    kept.seen_of(block)[r] = {scratch.begin[r], scratch.end[r]};
  }
}

void keep_nothing(const Plan& plan, const Tile& tile, std::int64_t block, const TileScratch& scratch) noexcept {
  const Kept& kept = kept_of(plan, tile.part.stepped, scratch);
  for (std::int64_t r = 0; plan.weighs && r < tile.rows; ++r) {
    kept.max_of(block)[r] = -infinity;
    kept.seen_of(block)[r] = {0, 0};
  }
}

void weigh_tile(const Plan& plan, const KvHead& kv, Tile& tile, const TileScratch& scratch) noexcept {
  for (const bool stepped : {false, true})
    if (take_part(tile, stepped)) make_factors(plan, tile, stepped, scratch);
  for (std::int64_t r = 0; r < tile.rows; ++r) weigh_row(plan, kv, tile, r, scratch);
}

}  // namespace attn::streaming
