#include "streaming/tile.hpp"

#include "streaming/mask.hpp"

namespace attn::streaming {
namespace {

using simd::key_block;

// Row r's query, widened and with the sign that the exponent wants, into scratch.
void copy_query(const Plan& plan, const KvHead& kv, Place place, float* to) noexcept {
  const Problem& p = plan.problem;
  const char* from = address_of(p.query, kv.sequence.batch, place.head, kv.sequence.first_query + place.query);
  plan.kernels.widen(from, p.query.dtype, p.head_dim, to);
  for (std::int64_t d = 0; plan.negate && d < p.head_dim; ++d) to[d] = -to[d];
}

// The steps of row r, whose keys scratch.begin .. scratch.end of the block at `key` have been seen.
simd::RowSteps steps_of(
    const Plan& plan, const KvHead& kv, std::int64_t key, std::int64_t r, const TileScratch& scratch) noexcept {
  const Scoring& scoring = plan.problem.scoring;
  const Place place = scratch.place[r];
  simd::RowSteps steps = scoring.row_steps(kv.sequence, place.head, place.query, key);
  if (!scoring.bias.data || scratch.begin[r] >= scratch.end[r]) {
    steps.bias = nullptr;
  } else if (scoring.bias.column_stride != 1) {
    const float* bias = element_at(scoring.bias, kv.sequence.item, place.head, place.query, key);
    float* gathered = scratch.gathered_bias + r * key_block;
    for (std::int64_t j = scratch.begin[r] / simd::lane_count * simd::lane_count; j < scratch.end[r]; ++j)
      gathered[j] = bias[j * scoring.bias.column_stride];
    steps.bias = gathered;
  }
  return steps;
}

}  // namespace

Tile load_tile(const Plan& plan, const KvHead& kv, std::int64_t index, const TileScratch& scratch) noexcept {
  const Problem& p = plan.problem;
  Tile tile{index * plan.rows_per_tile, 0, {}, {}};
  tile.rows = std::min(plan.rows_per_tile, kv.rows - tile.first_row);
  const bool queries_in_place = p.group == 1 && !plan.negate && is_float(p.query.dtype);
  tile.queries = {scratch.query, tile.rows, p.head_dim, p.head_dim};
  if (queries_in_place) {
    const std::int64_t query = kv.first_row + tile.first_row;  // a group of one
    tile.queries.rows = row_of(p.query, kv.sequence.batch, kv.head, kv.sequence.first_query + query);
    tile.queries.stride = p.query.row_stride;
  }
  for (std::int64_t r = 0; r < tile.rows; ++r) {
    scratch.place[r] = place_of(plan, kv, tile.first_row + r);
    scratch.range[r] = p.visibility.range(kv.sequence, scratch.place[r].query);
    tile.blocks.include(scratch.range[r]);
    if (!queries_in_place) copy_query(plan, kv, scratch.place[r], scratch.query + r * p.head_dim);
  }
  return tile;
}

simd::KeyBlock block_at(const Plan& plan, const KvHead& kv, std::int64_t block, const Packed* packed) noexcept {
  const Problem& p = plan.problem;
  const KeyRange keys = keys_of_block(kv, block);
  simd::KeyBlock b;
  b.count = keys.end - keys.begin;
  b.value_dim = p.value_dim;
  if (packed) {
    b.packed = true;
    b.keys = packed->keys + keys.begin * p.head_dim;
    b.values = packed->values + keys.begin * plan.padded_value_dim;
    b.values_finite = packed->finite[block] != 0;
  } else {
    b.keys = key_at(plan, kv, keys.begin);
    b.values = value_at(plan, kv, keys.begin);
    b.key_type = p.key.dtype;
    b.value_type = p.value.dtype;
    b.key_stride = plan.key_stride;
    b.value_stride = plan.value_stride;
    b.fetch_ahead = plan.fetch_ahead;
  }
  return b;
}

bool see_block(
    const Plan& plan, const KvHead& kv, const Tile& tile, std::int64_t block, const TileScratch& scratch) noexcept {
  const std::int64_t key = block * key_block;
  bool any = false;
  BlockMask mask(plan, kv, key, scratch);
  for (std::int64_t r = 0; r < tile.rows; ++r) {
    scratch.begin[r] = static_cast<std::int32_t>(std::clamp<std::int64_t>(scratch.range[r].begin - key, 0, key_block));
    scratch.end[r] = static_cast<std::int32_t>(std::clamp<std::int64_t>(scratch.range[r].end - key, 0, key_block));
    mask.apply(r);
    if (plan.problem.scoring.stepped) scratch.row_steps[r] = steps_of(plan, kv, key, r, scratch);
    any |= scratch.begin[r] < scratch.end[r];
  }
  return any;
}

}  // namespace attn::streaming
