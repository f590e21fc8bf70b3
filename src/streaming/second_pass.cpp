#include <algorithm>

#include "call/wide_row.hpp"
#include "streaming/passes.hpp"
#include "streaming/tile.hpp"

namespace attn::streaming {
namespace {

using simd::key_block;

// A key's weights are summed over queries in groups of this many, at absolute multiples of it, then group after group:
// the canonical order. The error grows with 64 + queries / 64 roundings, not with their number.
constexpr std::int64_t sum_group = 64;

// Keys [begin, end) of a KV head that results are owed for: of one block, those from the key length on too.
KeyRange columns_of(const Plan& plan, const KvHead& kv, std::int64_t block) noexcept {
  const std::int64_t key = block * key_block;
  return {key, std::min<std::int64_t>(key + key_block, plan.problem.batch.capacity(kv.sequence.item))};
}

// The caller's weights of row r in these columns: what stands in scratch.scores where the row sees keys, else 0.
void write_row(
    const Plan& plan, const KvHead& kv, std::int64_t r, KeyRange columns, const TileScratch& scratch) noexcept {
  const Place place = scratch.place[r];
  float* const out = row_of(plan.problem.extras.weights, kv.sequence.batch, place.head, place.query) + columns.begin;
  const float* const weights = scratch.scores + r * simd::score_stride;
  const std::int64_t begin = scratch.begin[r], end = std::max(scratch.end[r], scratch.begin[r]);
  std::fill(out, out + begin, 0.0f);
  std::copy(weights + begin, weights + end, out + begin);
  std::fill(out + end, out + (columns.end - columns.begin), 0.0f);
}

void add_row(const Plan& plan, std::int64_t r, const TileScratch& scratch, const WeightScratch& sums) noexcept {
  const float* const weights = scratch.scores + r * simd::score_stride;
  float* const partial = sums.partial + scratch.place[r].head % plan.problem.group * key_block;
  for (std::int32_t j = scratch.begin[r]; j < scratch.end[r]; ++j) partial[j] += weights[j];
}

// Ends a group of queries.
void close_group(const Plan& plan, const WeightScratch& sums) noexcept {
  for (std::int64_t i = 0; i < plan.problem.group * key_block; ++i) {
    sums.total[i] += sums.partial[i];
    sums.partial[i] = 0.0f;
  }
}

// The weights of the rows of the tile's part that were computed again in double.
void weigh_wide_rows(
    const Plan& plan, const KvHead& kv, const Tile& tile, std::int64_t key, const Workspace& w,
    const TileScratch& scratch) noexcept {
  for (std::int64_t r = 0; r < tile.rows; ++r) {
    const std::int32_t begin = scratch.begin[r], end = scratch.end[r];
    const std::int64_t row = kv.index * plan.rows + tile.first_row + r;
    if (!w.wide[row] || begin >= end) continue;
    wide_row::weigh(
        {plan.problem, plan.kernels, kv.sequence, scratch.place[r].head, scratch.place[r].query, tile.is_biased(r)},
        {w.row_max[row], static_cast<double>(w.row_sum[row])}, {key + begin, key + end},
        scratch.scores + r * simd::score_stride + begin);
  }
}

// One block of keys of one KV head for all its tiles. It is made once a tile needs it, and packed into `panel` unless
// that is null.
class BlockOfKeys {
 public:
  BlockOfKeys(const Plan& plan, const KvHead& kv, std::int64_t block, float* panel) noexcept
      : plan_(plan), kv_(kv), block_(block), panel_(panel) {}

  std::int64_t block() const noexcept { return block_; }
  const simd::KeyBlock& get() noexcept {
    if (made_) return keys_;
    made_ = true;
    keys_ = block_at(plan_, kv_, block_, nullptr);
    if (!panel_) return keys_;
    plan_.kernels.pack_keys(keys_.keys, keys_.key_type, keys_.key_stride, keys_.count, plan_.problem.head_dim, panel_);
    keys_.packed = true;
    keys_.keys = panel_;
    return keys_;
  }

 private:
  const Plan& plan_;
  const KvHead& kv_;
  const std::int64_t block_;
  float* const panel_;
  bool made_ = false;
  simd::KeyBlock keys_;
};

// Of all blocks: what the first pass found of the rows of a tile.
simd::State all_of(const Plan& plan, const KvHead& kv, const Tile& tile, const Workspace& w) noexcept {
  simd::State all;
  all.max = w.row_max + kv.index * plan.rows + tile.first_row;
  all.sum = w.row_sum + kv.index * plan.rows + tile.first_row;
  return all;
}

// The weights of the tile's part: into scratch.scores, for keys scratch.begin .. scratch.end of the block.
void weigh_part(
    const Plan& plan, const KvHead& kv, const Tile& tile, BlockOfKeys& keys, const Workspace& w,
    const TileScratch& scratch) noexcept {
  if (tile.blocks.contain(keys.block()) && see_block(plan, kv, tile, keys.block(), scratch)) {
    plan.kernels.weigh(
        tile.queries, keys.get(), visible(plan, tile, scratch), rule(plan, tile, scratch), all_of(plan, kv, tile, w),
        scratch.scores);
    weigh_wide_rows(plan, kv, tile, keys.block() * key_block, w, scratch);
  } else {
    std::fill_n(scratch.begin, tile.rows, 0);
    std::fill_n(scratch.end, tile.rows, 0);
  }
}

// One block of keys of one KV head against all its tiles, in order.
void weigh_block(
    const Plan& plan, const KvHead& kv, std::int64_t block, const Workspace& w, std::int64_t worker) noexcept {
  const Problem& p = plan.problem;
  const TileScratch& scratch = w.scratch[worker];
  const WeightScratch& sums = w.weigh[worker];
  const KeyRange columns = columns_of(plan, kv, block);
  const bool wants_sums = p.extras.key_weight_sums != nullptr;
  if (wants_sums) {
    std::fill(sums.partial, sums.partial + p.group * key_block, 0.0f);
    std::fill(sums.total, sums.total + p.group * key_block, 0.0f);
  }
  BlockOfKeys keys(plan, kv, block, kv.rows <= plan.kernels.in_place_rows ? nullptr : sums.keys);
  for (std::int64_t t = 0; t < kv.tiles; ++t) {
    Tile tile = load_tile(plan, kv, t, scratch, w);
    for (std::int64_t begin = 0; begin < tile.rows; begin = tile.part.end) {
      take_run(tile, begin);
      weigh_part(plan, kv, tile, keys, w, scratch);
      for (std::int64_t r = begin; r < tile.part.end; ++r) {
        const std::int64_t row = tile.first_row + r;
        if (wants_sums && row > 0 && row % (sum_group * p.group) == 0) close_group(plan, sums);
        if (wants_sums) add_row(plan, r, scratch, sums);
        if (p.extras.weights.data) write_row(plan, kv, r, columns, scratch);
      }
    }
  }
  if (!wants_sums) return;
  close_group(plan, sums);
  for (std::int64_t g = 0; g < p.group; ++g) {
    float* const out = p.key_weight_sums_at(kv.sequence, kv.head * p.group + g) + columns.begin;
    std::copy_n(sums.total + g * key_block, columns.end - columns.begin, out);
  }
}

}  // namespace

void second_pass(const Plan& plan, const Workspace& w) noexcept {
  for_each(plan.team(), plan.kv_heads * plan.blocks, [&](std::int64_t worker, std::int64_t i) {
    const KvHead kv = kv_head_at(plan, i / plan.blocks);
    const std::int64_t block = i % plan.blocks;
    if (block * key_block < plan.problem.batch.capacity(kv.sequence.item)) weigh_block(plan, kv, block, w, worker);
  });
}

void clear_key_weight_sums(const Plan& plan) noexcept {
  const Problem& p = plan.problem;
  for (std::int64_t i = 0; p.extras.key_weight_sums && i < plan.kv_heads; ++i) {
    const KvHead kv = kv_head_at(plan, i);
    for (std::int64_t g = 0; g < p.group; ++g) {
      float* const sums = p.key_weight_sums_at(kv.sequence, kv.head * p.group + g);
      std::fill_n(sums, p.batch.capacity(kv.sequence.item), 0.0f);
    }
  }
}

}  // namespace attn::streaming
