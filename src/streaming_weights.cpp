#include "streaming_weights.hpp"

#include <algorithm>

#include "rows.hpp"
#include "streaming_tile.hpp"
#include "tasks.hpp"
#include "wide_row.hpp"

namespace attn::streaming_path {
namespace {

using simd::key_block;

// A key's weights are summed over the queries in groups of this many, at absolute multiples of it, and then group after
// group: part of the canonical order. The error grows with 64 + queries / 64 roundings, not with their number.
constexpr std::int64_t sum_group = 64;

// Keys [key, key + count) of one pair's heads.
struct Columns {
  std::int64_t key, count;
};

void clear_rows(const Plan& plan, const Pair& pair, const Tile& tile, Columns columns) noexcept {
  for (std::int64_t r = 0; plan.args.weights.data && r < tile.rows; ++r) {
    const Place place = place_of(plan, pair, tile.first_row + r);
    float* out = row_of(plan.args.weights, pair.sequence.batch, place.head, place.query) + columns.key;
    std::fill(out, out + columns.count, 0.0f);
  }
}

// The weights of row r of the tile, which stand in scratch.scores from scratch.begin to scratch.end.
void take_row(const Plan& plan, const Pair& pair, const Tile& tile, std::int64_t r, Columns columns,
              const TileScratch& scratch, const WeightScratch& sums) noexcept {
  const AttentionArgs& a = plan.args;
  const Place place = place_of(plan, pair, tile.first_row + r);
  const float* weights = scratch.scores + r * simd::score_stride;
  const std::int64_t begin = scratch.begin[r], end = std::max<std::int64_t>(scratch.end[r], begin);
  if (a.weights.data) {
    float* out = row_of(a.weights, pair.sequence.batch, place.head, place.query) + columns.key;
    std::copy(weights + begin, weights + end, out + begin);
    std::fill(out, out + begin, 0.0f);
    std::fill(out + end, out + columns.count, 0.0f);
  }
  if (a.key_weight_sums) {
    float* partial = sums.partial + (place.head % plan.group) * key_block;
    for (std::int64_t j = begin; j < end; ++j) partial[j] += weights[j];
  }
}

// The weights of the rows that were computed again in double.
void weigh_wide_rows(const Plan& plan, const Pair& pair, const Tile& tile, std::int64_t key, const TileScratch& scratch,
                     const Workspace& w) noexcept {
  for (std::int64_t r = 0; r < tile.rows; ++r) {
    const std::int64_t row = pair.index * plan.rows + tile.first_row + r;
    if (!w.wide[row] || scratch.begin[r] >= scratch.end[r]) continue;
    const Place place = place_of(plan, pair, tile.first_row + r);
    wide_row::weigh({plan.args, plan.kernels, pair.sequence, place.head, place.query},
                    {w.row_max[row], static_cast<double>(w.row_sum[row])},
                    {key + scratch.begin[r], key + scratch.end[r]},
                    scratch.scores + r * simd::score_stride + scratch.begin[r]);
  }
}

// total += partial; partial = 0.
void close_group(const Plan& plan, const WeightScratch& sums) noexcept {
  for (std::int64_t i = 0; i < plan.group * key_block; ++i) sums.total[i] += sums.partial[i], sums.partial[i] = 0.0f;
}

// One block of keys of one pair against all its tiles, in order.
void weigh_columns(const Plan& plan, const Pair& pair, std::int64_t index, const Workspace& w,
                   std::int64_t worker) noexcept {
  const AttentionArgs& a = plan.args;
  const TileScratch& scratch = w.scratch[worker];
  const WeightScratch& sums = w.weigh[worker];
  const std::int64_t key = index * key_block, keys = std::min(key_block, pair.sequence.key_length - key);
  const Columns columns{key, std::min(key_block, key_weight_sums_count(a, pair.sequence) - key)};
  if (a.key_weight_sums) {
    std::fill(sums.partial, sums.partial + plan.group * key_block, 0.0f);
    std::fill(sums.total, sums.total + plan.group * key_block, 0.0f);
  }

  bool packed = false;  // once a tile needs it
  const bool direct = pair.rows <= direct_rows;
  for (std::int64_t t = 0; t < pair.tiles; ++t) {
    const Tile tile = load_tile(plan, pair, t, scratch);
    simd::Block block;
    const PackedBlock panel{sums.keys, nullptr, false};
    const bool seen = index >= tile.blocks.first && index < tile.blocks.last &&
                      set_block(plan, pair, tile, index, direct ? nullptr : &panel, scratch, block);
    if (!seen) {
      clear_rows(plan, pair, tile, columns);
      if (!a.key_weight_sums) continue;
    } else {
      if (!direct && !packed)
        plan.kernels.pack_keys(pair.key_at(plan, key), storage_of(a.key.dtype), plan.key_stride, keys, a.head_dim,
                               sums.keys);
      packed = true;
      block.row_max = w.row_max + pair.index * plan.rows + tile.first_row;
      block.row_sum = w.row_sum + pair.index * plan.rows + tile.first_row;
      block.overflowed = scratch.state.overflowed;  // known from the first pass
      plan.kernels.weigh_block(block);
      weigh_wide_rows(plan, pair, tile, key, scratch, w);
    }
    for (std::int64_t r = 0; r < tile.rows; ++r) {
      const std::int64_t row = tile.first_row + r;
      if (a.key_weight_sums && row > 0 && row % (sum_group * plan.group) == 0) close_group(plan, sums);
      if (seen) take_row(plan, pair, tile, r, columns, scratch, sums);
    }
  }
  if (!a.key_weight_sums) return;
  close_group(plan, sums);
  for (std::int64_t g = 0; g < plan.group; ++g) {
    float* out = a.key_weight_sums + key_weight_sums_index(a, pair.sequence, pair.kv_head * plan.group + g) + key;
    std::copy(sums.total + g * key_block, sums.total + g * key_block + columns.count, out);
  }
}

}  // namespace

void weigh(const Plan& plan, const Workspace& w) noexcept {
  for_each(plan, plan.pairs * plan.blocks, [&](std::int64_t worker, std::int64_t i) {
    const Pair pair = pair_at(plan, i / plan.blocks);
    const std::int64_t block = i % plan.blocks;
    if (block * key_block < key_weight_sums_count(plan.args, pair.sequence))
      weigh_columns(plan, pair, block, w, worker);
  });
}

void clear_key_weight_sums(const AttentionArgs& args) noexcept {
  for (std::int64_t b = 0; args.key_weight_sums && b < args.batch; ++b) {
    const Sequence s = sequence_at(args, b);
    for (std::int64_t h = 0; h < args.query_heads; ++h) {
      float* sums = args.key_weight_sums + key_weight_sums_index(args, s, h);
      std::fill(sums, sums + key_weight_sums_count(args, s), 0.0f);
    }
  }
}

}  // namespace attn::streaming_path
