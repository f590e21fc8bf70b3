#include "streaming_path.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>

#include "keys.hpp"
#include "log_sum_exp.hpp"
#include "rows.hpp"
#include "streaming_plan.hpp"
#include "streaming_tile.hpp"
#include "streaming_weights.hpp"
#include "tasks.hpp"
#include "wide_row.hpp"

namespace attn::streaming_path {
namespace {

using simd::key_block;

// The state of a tile before its first block: no key seen.
void clear_state(const Plan& plan, std::int64_t rows, const TileState& state) noexcept {
  std::fill(state.row_max, state.row_max + rows, -std::numeric_limits<float>::infinity());
  std::fill(state.row_sum, state.row_sum + rows, 0.0f);
  std::fill(state.output, state.output + rows * plan.output_stride, 0.0f);
  std::fill(state.overflowed, state.overflowed + rows, std::uint8_t{0});
}

simd::Block merge_of(const Plan& plan, std::int64_t rows, const TileState& into, const TileState& from) noexcept {
  simd::Block merge{};
  merge.rows = rows;
  merge.exponent = plan.exponent;
  merge.output_stride = plan.output_stride;
  merge.row_max = into.row_max;
  merge.row_sum = into.row_sum;
  merge.output = into.output;
  merge.block_max = from.row_max;
  merge.block_sum = from.row_sum;
  merge.block_output = from.output;
  return merge;
}

// A sink is merged last, as a block of one key whose value is 0.
void merge_sinks(const Plan& plan, const Pair& pair, const Tile& tile, const TileState& state,
                 const TileState& scratch) noexcept {
  clear_state(plan, tile.rows, scratch);
  for (std::int64_t r = 0; r < tile.rows; ++r) {
    scratch.row_max[r] = plan.args.sinks[place_of(plan, pair, tile.first_row + r).head];
    scratch.row_sum[r] = 1.0f;
  }
  plan.kernels.merge_block(merge_of(plan, tile.rows, state, scratch));
}

// The caller's output and log-sum-exp of the tile's rows, and what the second pass needs of them.
void finish_tile(const Plan& plan, const Pair& pair, const Tile& tile, const TileState& state, const TileState& scratch,
                 const Workspace& w) noexcept {
  const AttentionArgs& a = plan.args;
  if (a.sinks) merge_sinks(plan, pair, tile, state, scratch);
  for (std::int64_t r = 0; r < tile.rows; ++r) {
    const Place place = place_of(plan, pair, tile.first_row + r);
    char* const out = address_of(a.output, pair.sequence.batch, place.head, pair.sequence.first_query + place.query);
    const bool in_place = a.output.dtype == DType::f32;
    float* const accumulated = state.output + r * plan.output_stride;
    float* const row = in_place ? reinterpret_cast<float*>(out) : accumulated;
    const bool finite = plan.kernels.finish_row(accumulated, state.row_sum[r], row, a.value_dim);
    float log_sum = a.logsumexp ? log_sum_exp(state.row_max[r], state.row_sum[r], plan.scale) : 0;
    bool again = false;
    if (!finite || state.overflowed[r]) {
      const wide_row::Row wide{a, plan.kernels, pair.sequence, place.head, place.query};
      wide_row::Softmax softmax;
      again = wide_row::mend(wide, state.row_sum[r], state.overflowed[r] != 0, row, softmax);
      if (again) {
        state.row_max[r] = softmax.max;
        state.row_sum[r] = static_cast<float>(softmax.sum);
        log_sum = log_sum_exp(softmax.max, state.row_sum[r], 1.0);
      }
    }
    if (plan.weighs) w.wide[pair.index * plan.rows + tile.first_row + r] = again;
    if (!in_place) plan.kernels.narrow(row, storage_of(a.output.dtype), a.value_dim, out);
    if (a.logsumexp) a.logsumexp[logsumexp_index(a, pair.sequence, place.head, place.query)] = log_sum;
  }
  if (plan.weighs) {
    const std::int64_t row = pair.index * plan.rows + tile.first_row;
    std::copy(state.row_max, state.row_max + tile.rows, w.row_max + row);
    std::copy(state.row_sum, state.row_sum + tile.rows, w.row_sum + row);
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
    if (tile < 0 || tile >= pair.tiles) return;
    for (std::int64_t r = tile * plan.tile_rows; r < std::min((tile + 1) * plan.tile_rows, pair.rows); ++r) {
      const Place place = place_of(plan, pair, r);
      ahead[count++] = address_of(tensor, pair.sequence.batch, place.head, pair.sequence.first_query + place.query);
    }
  };
  rows_of_tile(index, a.output);
  rows_of_tile(next_index, a.query);
  if (next_pair)
    for (std::int64_t j = next_pair->sequence.key_length * index / plan.tiles;
         j < next_pair->sequence.key_length * (index + 1) / plan.tiles; ++j) {
      ahead[count++] = next_pair->key_at(plan, j);
      ahead[count++] = next_pair->value_at(plan, j);
    }
  return count;
}

PackedBlock packed_at(const Plan& plan, const Packed& packed, std::int64_t index) noexcept {
  const std::int64_t key = index * key_block;
  return {packed.keys + key * plan.args.head_dim, packed.values + key * plan.output_stride, packed.finite[index] != 0};
}

void run_tile(const Plan& plan, const Pair& pair, std::int64_t index, const Packed* packed, const Workspace& w,
              std::int64_t worker, std::int64_t next_index = -1, const Pair* next_pair = nullptr) noexcept {
  const TileScratch& scratch = w.scratch[worker];
  const Tile tile = load_tile(plan, pair, index, scratch);
  std::int64_t ahead = packed ? look_ahead(plan, pair, index, next_index, next_pair, scratch.ahead) : 0;
  simd::Block block;
  block.row_max = scratch.state.row_max;
  block.row_sum = scratch.state.row_sum;
  block.output = scratch.state.output;
  block.overflowed = scratch.state.overflowed;
  block.first = true;
  std::fill(block.overflowed, block.overflowed + tile.rows, std::uint8_t{0});
  for (std::int64_t i = tile.blocks.first; i < tile.blocks.last; ++i) {
    PackedBlock packed_block{};
    if (packed) packed_block = packed_at(plan, *packed, i);
    if (!set_block(plan, pair, tile, i, packed ? &packed_block : nullptr, scratch, block)) continue;
    block.ahead_rows = ahead;
    plan.kernels.attend_block(block);
    block.first = false;
    ahead = 0;
  }
  if (block.first) clear_state(plan, tile.rows, scratch.state);
  finish_tile(plan, pair, tile, scratch.state, scratch.block, w);
}

void pack_block(const Plan& plan, const Pair& pair, std::int64_t index, const Packed& packed) noexcept {
  const AttentionArgs& a = plan.args;
  const std::int64_t key = index * key_block, count = std::min(key_block, pair.sequence.key_length - key);
  plan.kernels.pack_keys(pair.key_at(plan, key), storage_of(a.key.dtype), plan.key_stride, count, a.head_dim,
                         packed.keys + key * a.head_dim);
  packed.finite[index] =
      plan.kernels.pack_values(pair.value_at(plan, key), storage_of(a.value.dtype), plan.value_stride, count,
                               a.value_dim, packed.values + key * plan.output_stride);
}

// The blocks that any row of the pair sees: no other is packed. A window over a long cache needs few.
Blocks seen_blocks(const Plan& plan, const Pair& pair) noexcept {
  const AttentionArgs& a = plan.args;
  Blocks blocks;
  if (!a.causal && a.window_left < 0 && a.window_right < 0) {
    blocks.include({0, pair.sequence.key_length});
  } else {
    for (std::int64_t query = 0; query < pair.sequence.query_length; ++query)
      blocks.include(allowed_keys(a, pair.sequence, query));
  }
  return blocks;
}

void run_direct_blocks(const Plan& plan, const Workspace& w) noexcept {
  for_each(plan, plan.pairs * plan.blocks, [&](std::int64_t worker, std::int64_t i) {
    const Pair pair = pair_at(plan, i / plan.blocks);
    const Tile tile = load_tile(plan, pair, 0, w.scratch[worker]);
    const std::int64_t index = i % plan.blocks;
    if (index < tile.blocks.first || index >= tile.blocks.last) return;
    simd::Block block;
    block.row_max = w.partial[i].row_max;
    block.row_sum = w.partial[i].row_sum;
    block.output = w.partial[i].output;
    block.overflowed = w.partial[i].overflowed;
    block.first = true;
    std::fill(block.overflowed, block.overflowed + tile.rows, std::uint8_t{0});
    set_block(plan, pair, tile, index, nullptr, w.scratch[worker], block);
    plan.kernels.attend_block(block);  // also where a mask leaves no key: the result is that of none
  });
  for (std::int64_t p = 0; p < plan.pairs; ++p) {
    const Pair pair = pair_at(plan, p);
    if (pair.rows == 0) continue;
    const Tile tile = load_tile(plan, pair, 0, w.scratch[0]);
    const TileState* partial = w.partial + p * plan.blocks;
    const std::int64_t first = tile.blocks.empty() ? 0 : tile.blocks.first;
    const TileState& state = partial[first];
    if (tile.blocks.empty()) clear_state(plan, tile.rows, state);
    for (std::int64_t block = first + 1; block < tile.blocks.last; ++block) {
      plan.kernels.merge_block(merge_of(plan, tile.rows, state, partial[block]));
      for (std::int64_t r = 0; r < tile.rows; ++r) state.overflowed[r] |= partial[block].overflowed[r];
    }
    finish_tile(plan, pair, tile, state, w.scratch[0].block, w);
  }
}

// A task is a pair, which packs its K and V for itself; one of few rows (in a packed batch) reads them in place.
void run_heads(const Plan& plan, const Workspace& w) noexcept {
  for_each(plan, plan.pairs, [&](std::int64_t worker, std::int64_t p) {
    const Pair pair = pair_at(plan, p);
    const bool direct = pair.rows <= direct_rows;
    const bool more = p + plan.workers < plan.pairs && fits_l2(plan);
    const Pair next = more ? pair_at(plan, p + plan.workers) : pair;
    const Blocks seen = direct ? Blocks{} : seen_blocks(plan, pair);
    for (std::int64_t i = seen.first; i < seen.last; ++i) pack_block(plan, pair, i, w.packed[worker]);
    for (std::int64_t t = 0; t < pair.tiles; ++t)
      run_tile(plan, pair, t, direct ? nullptr : &w.packed[worker], w, worker, t + 1, more ? &next : nullptr);
  });
}

// Pair after pair: all threads pack, then all run tiles.
void run_tiles(const Plan& plan, const Workspace& w) noexcept {
  for (std::int64_t p = 0; p < plan.pairs; ++p) {
    const Pair pair = pair_at(plan, p);
    const Blocks seen = seen_blocks(plan, pair);
    for_each(plan, seen.empty() ? 0 : seen.last - seen.first,
             [&](std::int64_t, std::int64_t i) { pack_block(plan, pair, seen.first + i, w.packed[0]); });
    // Last tile first: under causal it has the most keys, and the short ones fill the end.
    for_each(plan, pair.tiles, [&](std::int64_t worker, std::int64_t i) {
      const std::int64_t tile = pair.tiles - 1 - i;
      run_tile(plan, pair, tile, w.packed, w, worker, tile - plan.workers);
    });
  }
}

void run_first_pass(const Plan& plan, const Workspace& w) noexcept {
  switch (plan.spread) {
    case Spread::direct:
      return for_each(plan, plan.pairs, [&](std::int64_t worker, std::int64_t p) {
        const Pair pair = pair_at(plan, p);
        if (pair.rows > 0) run_tile(plan, pair, 0, nullptr, w, worker);
      });
    case Spread::direct_blocks:
      return run_direct_blocks(plan, w);
    case Spread::heads:
      return run_heads(plan, w);
    case Spread::tiles:
      return run_tiles(plan, w);
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
  if (plan.pairs == 0) return;
  if (plan.rows == 0) return clear_key_weight_sums(args);
  Arena arena(reinterpret_cast<std::uintptr_t>(workspace));
  const Workspace w = lay_out(plan, arena);

  run_first_pass(plan, w);
  if (plan.weighs) weigh(plan, w);
}

}  // namespace attn::streaming_path
