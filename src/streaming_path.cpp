#include "streaming_path.hpp"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <limits>

#include "keys.hpp"
#include "log_sum_exp.hpp"
#include "rows.hpp"
#include "streaming_plan.hpp"

namespace attn::streaming_path {
namespace {

using simd::key_block;

// The query and the query head of a row of a pair.
struct Place {
  std::int64_t query, head;
};
Place place_of(const Plan& plan, const Pair& pair, std::int64_t row) noexcept {
  return {row / plan.group, pair.kv_head * plan.group + row % plan.group};
}

// The key blocks that some rows see.
struct Blocks {
  std::int64_t first = std::numeric_limits<std::int64_t>::max(), last = 0;

  bool empty() const noexcept { return first >= last; }
  void include(KeyRange keys) noexcept {
    if (keys.begin >= keys.end) return;
    first = std::min(first, keys.begin / key_block);
    last = std::max(last, (keys.end + key_block - 1) / key_block);
  }
};

// Some rows of a pair: their queries, and the blocks that any of them sees.
struct Tile {
  std::int64_t first_row, rows;
  Blocks blocks;
  const float* query;  // the caller's where rows are queries one after the other, else copied into scratch
  std::int64_t query_stride;
};

Tile load_tile(const Plan& plan, const Pair& pair, std::int64_t index, const TileScratch& scratch) noexcept {
  const AttentionArgs& a = plan.args;
  Tile tile{index * plan.tile_rows, 0, {}, scratch.query, a.head_dim};
  tile.rows = std::min(plan.tile_rows, plan.rows - tile.first_row);
  const float sign = a.scale < 0 ? -1.0f : 1.0f;
  const bool in_place = plan.group == 1 && a.scale >= 0;
  if (in_place) {
    tile.query = row_of(a.query, pair.batch, pair.kv_head, tile.first_row);
    tile.query_stride = a.query.row_stride;
  }
  for (std::int64_t r = 0; r < tile.rows; ++r) {
    const Place place = place_of(plan, pair, tile.first_row + r);
    if (!in_place) {
      const float* from = row_of(a.query, pair.batch, place.head, place.query);
      float* to = scratch.query + r * a.head_dim;
      for (std::int64_t d = 0; d < a.head_dim; ++d) to[d] = sign * from[d];
    }
    tile.blocks.include(allowed_keys(a, pair.batch, place.query));
  }
  return tile;
}

// The state of the tile after key block `index`. `packed` is null to read K and V in place.
void attend_block(const Plan& plan, const Pair& pair, const Tile& tile, std::int64_t index, const Packed* packed,
                  const TileScratch& scratch, const TileState& state, bool first, std::int64_t ahead_rows) noexcept {
  const AttentionArgs& a = plan.args;
  const std::int64_t key = index * key_block;
  for (std::int64_t r = 0; r < tile.rows; ++r) {
    const KeyRange keys = allowed_keys(a, pair.batch, (tile.first_row + r) / plan.group);
    scratch.begin[r] = static_cast<std::int32_t>(std::clamp<std::int64_t>(keys.begin - key, 0, key_block));
    scratch.end[r] = static_cast<std::int32_t>(std::clamp<std::int64_t>(keys.end - key, 0, key_block));
  }
  simd::Block block;
  block.rows = tile.rows;
  block.head_dim = a.head_dim;
  block.value_dim = a.value_dim;
  block.query = tile.query;
  block.query_stride = tile.query_stride;
  block.packed = packed != nullptr;
  block.keys = packed ? packed->keys + key * a.head_dim : pair.keys + key * plan.key_stride;
  block.values = packed ? packed->values + key * plan.output_stride : pair.values + key * plan.value_stride;
  block.key_stride = plan.key_stride;
  block.value_stride = plan.value_stride;
  block.value_keys = std::min(key_block, pair.key_length - key);
  block.begin = scratch.begin;
  block.end = scratch.end;
  block.exponent = plan.exponent;
  block.ahead = scratch.ahead;
  block.ahead_rows = ahead_rows;
  block.ahead_bytes = std::max(a.head_dim, a.value_dim) * static_cast<std::int64_t>(sizeof(float));
  block.first = first;
  block.row_max = state.row_max;
  block.row_sum = state.row_sum;
  block.output = state.output;
  block.scores = scratch.scores;
  block.block_output = scratch.block.output;
  block.block_max = scratch.block.row_max;
  block.block_sum = scratch.block.row_sum;
  block.output_stride = plan.output_stride;
  plan.kernels.attend_block(block);
}

// The caller's output and log-sum-exp of the tile's rows.
void finish_tile(const Plan& plan, const Pair& pair, const Tile& tile, const TileState& state) noexcept {
  const AttentionArgs& a = plan.args;
  const bool empty = tile.blocks.empty();
  for (std::int64_t r = 0; r < tile.rows; ++r) {
    const Place place = place_of(plan, pair, tile.first_row + r);
    float* out = row_of(a.output, pair.batch, place.head, place.query);
    if (empty) {
      std::fill(out, out + a.value_dim, 0.0f);
    } else {
      plan.kernels.finish_row(state.output + r * plan.output_stride, state.row_sum[r], out, a.value_dim);
    }
    if (a.logsumexp)
      a.logsumexp[(pair.batch * a.query_heads + place.head) * a.query_length + place.query] =
          empty ? -std::numeric_limits<float>::infinity() : log_sum_exp(state.row_max[r], state.row_sum[r], plan.scale);
  }
}

// Lists what this worker will want after the current products: the output rows of this tile, the queries of its next
// one, and a share of the next pair's keys and values (null if there is none or they would not stay in L2).
// bert512 +2 %, vit197 +6 %.
std::int64_t look_ahead(const Plan& plan, const Pair& pair, std::int64_t index, std::int64_t next_index,
                        const Pair* next_pair, const void** ahead) noexcept {
  const AttentionArgs& a = plan.args;
  std::int64_t count = 0;
  const auto rows_of_tile = [&](std::int64_t tile, const auto& tensor) {
    if (tile < 0 || tile >= plan.tiles) return;
    for (std::int64_t r = tile * plan.tile_rows; r < std::min((tile + 1) * plan.tile_rows, plan.rows); ++r) {
      const Place place = place_of(plan, pair, r);
      ahead[count++] = row_of(tensor, pair.batch, place.head, place.query);
    }
  };
  rows_of_tile(index, a.output);
  rows_of_tile(next_index, a.query);
  if (next_pair)
    for (std::int64_t j = next_pair->key_length * index / plan.tiles;
         j < next_pair->key_length * (index + 1) / plan.tiles; ++j) {
      ahead[count++] = next_pair->keys + j * plan.key_stride;
      ahead[count++] = next_pair->values + j * plan.value_stride;
    }
  return count;
}

void run_tile(const Plan& plan, const Pair& pair, std::int64_t index, const Packed* packed, const TileScratch& scratch,
              std::int64_t next_index = -1, const Pair* next_pair = nullptr) noexcept {
  const Tile tile = load_tile(plan, pair, index, scratch);
  const std::int64_t ahead = packed ? look_ahead(plan, pair, index, next_index, next_pair, scratch.ahead) : 0;
  for (std::int64_t i = tile.blocks.first; i < tile.blocks.last; ++i)
    attend_block(plan, pair, tile, i, packed, scratch, scratch.state, i == tile.blocks.first,
                 i == tile.blocks.first ? ahead : 0);
  finish_tile(plan, pair, tile, scratch.state);
}

void pack_block(const Plan& plan, const Pair& pair, std::int64_t index, const Packed& packed) noexcept {
  const AttentionArgs& a = plan.args;
  const std::int64_t key = index * key_block, count = std::min(key_block, pair.key_length - key);
  plan.kernels.pack_keys(pair.keys + key * plan.key_stride, plan.key_stride, count, a.head_dim,
                         packed.keys + key * a.head_dim);
  plan.kernels.pack_values(pair.values + key * plan.value_stride, plan.value_stride, count, a.value_dim,
                           packed.values + key * plan.output_stride);
}

// The blocks that any row of the pair sees: no other is packed. A window over a long cache needs few.
Blocks seen_blocks(const Plan& plan, const Pair& pair) noexcept {
  const AttentionArgs& a = plan.args;
  Blocks blocks;
  if (!a.causal && a.window_left < 0 && a.window_right < 0) {
    blocks.include({0, pair.key_length});
  } else {
    for (std::int64_t query = 0; query < a.query_length; ++query) blocks.include(allowed_keys(a, pair.batch, query));
  }
  return blocks;
}

// Calls task(worker, i) for every i in [0, count): each of the workers takes the next i that is left.
template <class Task>
void for_each(const Plan& plan, std::int64_t count, const Task& task) noexcept {
  struct Shared {
    const Task& task;
    std::int64_t count;
    std::atomic<std::int64_t> next;
  } shared{task, count, {0}};
  const auto work = [](void* argument, std::int64_t worker) {
    Shared& s = *static_cast<Shared*>(argument);
    for (std::int64_t i; (i = s.next.fetch_add(1, std::memory_order_relaxed)) < s.count;) s.task(worker, i);
  };
  const std::int64_t workers = std::min(plan.workers, count);
  if (workers <= 1) return work(&shared, 0);
  plan.args.parallel->run(plan.args.parallel->context, workers, work, &shared);
}

void run_direct_blocks(const Plan& plan, const Workspace& w) noexcept {
  for_each(plan, plan.pairs * plan.blocks, [&](std::int64_t worker, std::int64_t i) {
    const Pair pair = pair_at(plan, i / plan.blocks);
    const Tile tile = load_tile(plan, pair, 0, w.scratch[worker]);
    const std::int64_t block = i % plan.blocks;
    if (block >= tile.blocks.first && block < tile.blocks.last)
      attend_block(plan, pair, tile, block, nullptr, w.scratch[worker], w.partial[i], true, 0);
  });
  for (std::int64_t p = 0; p < plan.pairs; ++p) {
    const Pair pair = pair_at(plan, p);
    const Tile tile = load_tile(plan, pair, 0, w.scratch[0]);
    const TileState* partial = w.partial + p * plan.blocks;
    if (tile.blocks.empty()) {
      finish_tile(plan, pair, tile, partial[0]);
      continue;
    }
    simd::Block merge{};
    merge.rows = tile.rows;
    merge.exponent = plan.exponent;
    merge.output_stride = plan.output_stride;
    merge.row_max = partial[tile.blocks.first].row_max;
    merge.row_sum = partial[tile.blocks.first].row_sum;
    merge.output = partial[tile.blocks.first].output;
    for (std::int64_t block = tile.blocks.first + 1; block < tile.blocks.last; ++block) {
      merge.block_max = partial[block].row_max;
      merge.block_sum = partial[block].row_sum;
      merge.block_output = partial[block].output;
      plan.kernels.merge_block(merge);
    }
    finish_tile(plan, pair, tile, {merge.row_max, merge.row_sum, merge.output});
  }
}

}  // namespace

std::size_t workspace_size(const AttentionArgs& args, const simd::Kernels& kernels) noexcept {
  const Plan plan = make_plan(args, kernels);
  if (plan.pairs == 0 || plan.rows == 0) return 0;
  Arena arena(0);
  lay_out(plan, arena);
  return arena.used();
}

void run(const AttentionArgs& args, const simd::Kernels& kernels, void* workspace) noexcept {
  const Plan plan = make_plan(args, kernels);
  if (plan.pairs == 0 || plan.rows == 0) return;
  Arena arena(reinterpret_cast<std::uintptr_t>(workspace));
  const Workspace w = lay_out(plan, arena);

  switch (plan.spread) {
    case Spread::direct:
      return for_each(plan, plan.pairs, [&](std::int64_t worker, std::int64_t p) {
        run_tile(plan, pair_at(plan, p), 0, nullptr, w.scratch[worker]);
      });
    case Spread::direct_blocks:
      return run_direct_blocks(plan, w);
    case Spread::heads:
      return for_each(plan, plan.pairs, [&](std::int64_t worker, std::int64_t p) {
        const Pair pair = pair_at(plan, p);
        const bool more = p + plan.workers < plan.pairs && fits_l2(plan);
        const Pair next = more ? pair_at(plan, p + plan.workers) : pair;
        const Blocks seen = seen_blocks(plan, pair);
        for (std::int64_t i = seen.first; i < seen.last; ++i) pack_block(plan, pair, i, w.packed[worker]);
        for (std::int64_t t = 0; t < plan.tiles; ++t)
          run_tile(plan, pair, t, &w.packed[worker], w.scratch[worker], t + 1, more ? &next : nullptr);
      });
    case Spread::tiles:
      for (std::int64_t p = 0; p < plan.pairs; ++p) {
        const Pair pair = pair_at(plan, p);
        const Blocks seen = seen_blocks(plan, pair);
        for_each(plan, seen.empty() ? 0 : seen.last - seen.first,
                 [&](std::int64_t, std::int64_t i) { pack_block(plan, pair, seen.first + i, w.packed[0]); });
        // Last tile first: under causal it has the most keys, and the short ones fill the end.
        for_each(plan, plan.tiles, [&](std::int64_t worker, std::int64_t i) {
          const std::int64_t tile = plan.tiles - 1 - i;
          run_tile(plan, pair, tile, w.packed, w.scratch[worker], tile - plan.workers);
        });
      }
  }
}

}  // namespace attn::streaming_path
