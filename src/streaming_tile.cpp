#include "streaming_tile.hpp"

#include <algorithm>

#include "rows.hpp"

namespace attn::streaming_path {
namespace {

using simd::key_block;

struct Seen {
  std::int32_t begin, end;
  const std::uint64_t* allowed;  // null: all of them
};

// The keys of [begin, end) that a row's mask allows. What it leaves is often one run (padding): then the row costs no
// more than one without a mask, and nothing outside the run is computed. Else whole vectors at the ends are cut off, so
// that rows with similar masks keep the same range and are multiplied together.
Seen apply_mask(const simd::Kernels& kernels, const std::uint8_t* mask, std::int64_t column_stride, std::int32_t begin,
                std::int32_t end, std::uint8_t* gathered, std::uint64_t* allowed) noexcept {
  if (column_stride != 1) {
    for (std::int64_t j = begin; j < end; ++j) gathered[j] = mask[j * column_stride];
    mask = gathered;
  }
  kernels.mask_to_bits(mask, begin, end, allowed);
  std::int32_t first = key_block, last = -1, count = 0;
  for (std::int32_t w = begin / 64; w < (end + 63) / 64; ++w) {
    if (allowed[w] == 0) continue;
    first = std::min(first, 64 * w + __builtin_ctzll(allowed[w]));
    last = 64 * w + 63 - __builtin_clzll(allowed[w]);
    count += __builtin_popcountll(allowed[w]);
  }
  if (count == 0) return {0, 0, nullptr};
  if (count == last + 1 - first) return {first, last + 1, nullptr};
  return {std::max(begin, first / 16 * 16), std::min(end, (last / 16 + 1) * 16), allowed};
}

// The keys that row r of the tile sees in the block at `key`.
struct RowKeys {
  std::int32_t begin, end;  // before the mask
  const std::uint8_t* mask;
};

RowKeys see_row(const Plan& plan, const Pair& pair, Place place, std::int64_t key, std::int64_t r,
                const RowKeys& previous, const TileScratch& scratch) noexcept {
  const AttentionArgs& a = plan.args;
  const KeyRange keys = allowed_keys(a, pair.sequence, place.query);
  RowKeys row{static_cast<std::int32_t>(std::clamp<std::int64_t>(keys.begin - key, 0, key_block)),
              static_cast<std::int32_t>(std::clamp<std::int64_t>(keys.end - key, 0, key_block)), nullptr};
  Seen seen{row.begin, row.end, nullptr};
  if (a.mask.data && row.begin < row.end) {
    row.mask = element_of(a.mask, pair.sequence.item, place.head, place.query, key);
    if (row.mask == previous.mask && row.begin == previous.begin && row.end == previous.end) {  // broadcast over rows
      seen = {scratch.begin[r - 1], scratch.end[r - 1], scratch.allowed[r - 1]};
    } else {
      seen = apply_mask(plan.kernels, row.mask, a.mask.column_stride, row.begin, row.end, scratch.gathered_mask,
                        scratch.allowed_bits + r * (key_block / 64));
    }
  }
  scratch.begin[r] = seen.begin;
  scratch.end[r] = seen.end;
  if (a.mask.data) scratch.allowed[r] = seen.allowed;
  return row;
}

simd::RowSteps row_steps(const Plan& plan, const Pair& pair, Place place, std::int64_t key, std::int64_t r,
                         const TileScratch& scratch) noexcept {
  const AttentionArgs& a = plan.args;
  simd::RowSteps steps{a.alibi_slopes != nullptr, 0, 0, nullptr};
  if (steps.alibi) {
    steps.slope = a.alibi_slopes[place.head];
    steps.distance = static_cast<float>(saturating_add(position_of(pair.sequence, place.query), -key));
  }
  if (a.bias.data && scratch.begin[r] < scratch.end[r]) {
    steps.bias = element_of(a.bias, pair.sequence.item, place.head, place.query, key);
    if (a.bias.column_stride != 1) {
      float* gathered = scratch.gathered_bias + r * key_block;
      for (std::int64_t j = scratch.begin[r] / 16 * 16; j < scratch.end[r]; ++j)
        gathered[j] = steps.bias[j * a.bias.column_stride];
      steps.bias = gathered;
    }
  }
  return steps;
}

}  // namespace

Tile load_tile(const Plan& plan, const Pair& pair, std::int64_t index, const TileScratch& scratch) noexcept {
  const AttentionArgs& a = plan.args;
  Tile tile{index * plan.tile_rows, 0, {}, scratch.query, a.head_dim};
  tile.rows = std::min(plan.tile_rows, pair.rows - tile.first_row);
  const bool in_place = plan.group == 1 && !plan.negate && a.query.dtype == DType::f32;
  if (in_place) {
    tile.query = row_of(a.query, pair.sequence.batch, pair.kv_head, pair.sequence.first_query + tile.first_row);
    tile.query_stride = a.query.row_stride;
  }
  for (std::int64_t r = 0; r < tile.rows; ++r) {
    const Place place = place_of(plan, pair, tile.first_row + r);
    if (!in_place) {
      float* to = scratch.query + r * a.head_dim;
      plan.kernels.widen(address_of(a.query, pair.sequence.batch, place.head, pair.sequence.first_query + place.query),
                         storage_of(a.query.dtype), a.head_dim, to);
      for (std::int64_t d = 0; plan.negate && d < a.head_dim; ++d) to[d] = -to[d];
    }
    tile.blocks.include(allowed_keys(a, pair.sequence, place.query));
  }
  return tile;
}

bool set_block(const Plan& plan, const Pair& pair, const Tile& tile, std::int64_t index, const PackedBlock* packed,
               const TileScratch& scratch, simd::Block& block) noexcept {
  const AttentionArgs& a = plan.args;
  const std::int64_t key = index * key_block;
  bool seen = false;
  RowKeys previous{0, 0, nullptr};
  for (std::int64_t r = 0; r < tile.rows; ++r) {
    const Place place = place_of(plan, pair, tile.first_row + r);
    previous = see_row(plan, pair, place, key, r, previous, scratch);
    if (plan.has_steps) scratch.row_steps[r] = row_steps(plan, pair, place, key, r, scratch);
    seen |= scratch.begin[r] < scratch.end[r];
  }
  block.rows = tile.rows;
  block.head_dim = a.head_dim;
  block.value_dim = a.value_dim;
  block.query = tile.query;
  block.query_stride = tile.query_stride;
  block.packed = packed != nullptr;
  block.keys = packed ? static_cast<const void*>(packed->keys) : pair.key_at(plan, key);
  block.values = packed ? static_cast<const void*>(packed->values) : pair.value_at(plan, key);
  block.key_storage = storage_of(a.key.dtype);
  block.value_storage = storage_of(a.value.dtype);
  block.values_finite = packed && packed->finite;
  block.key_stride = plan.key_stride;
  block.value_stride = plan.value_stride;
  block.value_keys = std::min(key_block, pair.sequence.key_length - key);
  block.begin = scratch.begin;
  block.end = scratch.end;
  block.allowed = a.mask.data ? scratch.allowed : nullptr;
  block.steps = plan.has_steps ? &plan.steps : nullptr;
  block.row_steps = scratch.row_steps;
  block.exponent = plan.exponent;
  block.ahead = scratch.ahead;
  block.ahead_rows = 0;
  block.ahead_bytes = std::max(a.head_dim, a.value_dim) * static_cast<std::int64_t>(sizeof(float));
  block.scores = scratch.scores;
  block.block_output = scratch.block.output;
  block.block_max = scratch.block.row_max;
  block.block_sum = scratch.block.row_sum;
  block.output_stride = plan.output_stride;
  return seen;
}

}  // namespace attn::streaming_path
