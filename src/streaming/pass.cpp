#include "streaming/pass.hpp"

#include <algorithm>
#include <cstdint>

#include "streaming/finish.hpp"
#include "streaming/pages.hpp"
#include "streaming/run_tile.hpp"
#include "streaming/sums.hpp"
#include "streaming/weights.hpp"

namespace attn::streaming {
namespace {

KeyRange all_keys(const KvHead& kv) noexcept { return {0, kv.sequence.key_length}; }

// From here on, weights of the worker with this scratch are added to sums number i.
void begin_unit(const Plan& plan, const Workspace& w, std::int64_t i, TileScratch& scratch) noexcept {
  if (!plan.problem.extras.key_weight_sums) return;
  scratch.sums = w.sums[i];
  clear_unit(plan, scratch.sums);
}

void pack_keys(const Plan& plan, const KvHead& kv, KeyRange keys, const Packed& packed) noexcept {
  const Problem& p = plan.problem;
  const std::int64_t count = keys.end - keys.begin;
  float* const panels = packed.keys + keys.begin * p.head_dim;
  const simd::PackedRows rows{key_at(plan, kv, keys.begin), p.key.dtype, plan.key_stride, count, p.head_dim, count};
  p.pairs() ? plan.kernels.pack_key_pairs(rows, panels) : plan.kernels.pack_keys(rows, panels);
}

void pack_block(const Plan& plan, const KvHead& kv, std::int64_t block, const Packed& packed) noexcept {
  const Problem& p = plan.problem;
  if (p.pages.table) return pack_pages(plan, kv, block, packed);
  const KeyRange keys = keys_of_block(kv, block);
  const std::int64_t count = keys.end - keys.begin;
  if (!p.panels()) pack_keys(plan, kv, keys, packed);
  const simd::PackedRows values{
      value_at(plan, kv, keys.begin), p.value.dtype, plan.value_stride, count, p.value_dim, count};
  float* const strips = packed.values + keys.begin * plan.padded_value_dim;
  packed.finite[block] =
      (p.bf16_weights && plan.kernels.pack_value_pairs(values, strips)) || plan.kernels.pack_values(values, strips);
}

// A task is a KV head, or a stack of those of one item: its tile, in place.
void run_in_place(const Plan& plan, const Workspace& w) noexcept {
  for_each(plan.team(), ceil_divide(plan.kv_heads, plan.stack), [&](std::int64_t worker, std::int64_t i) {
    const std::int64_t end = std::min((i + 1) * plan.stack, plan.kv_heads);
    for (std::int64_t h = i * plan.stack; h < end;) {
      KvHead kv = kv_head_at(plan, h);
      if (plan.stack > 1) kv.rows = kv.stacked = std::min(end - h, plan.problem.kv_heads - kv.head);
      h += kv.stacked;
      if (kv.rows == 0) continue;
      begin_unit(plan, w, worker, w.scratch[worker]);
      run_tile(plan, kv, 0, {}, w, worker);
      add_unit(plan, kv, all_keys(kv), w.scratch[worker].sums);
    }
  });
}

// The place of the result of one block of keys for the tile's part.
simd::State partial_of(
    const Plan& plan, const KvHead& kv, std::int64_t block, const Tile& tile, const Workspace& w) noexcept {
  return w.partial.at((kv.index * plan.blocks + block) * plan.rules + (plan.rules > 1 && tile.part.stepped));
}

// The scratch of a worker for a KV head whose blocks are tasks: what is kept is the KV head's own.
TileScratch scratch_of(const Plan& plan, const KvHead& kv, const Workspace& w, std::int64_t worker) noexcept {
  TileScratch scratch = w.scratch[worker];
  for (std::int64_t i = 0; plan.weighs && i < plan.rules; ++i)
    scratch.kept[i] = w.partial.kept_at(kv.index * plan.rules + i);
  return scratch;
}

// One block of keys of a KV head, for each part of its rows.
void run_block(
    const Plan& plan, const KvHead& kv, std::int64_t block, const Workspace& w, std::int64_t worker) noexcept {
  const Blocks blocks = plan.problem.extras.scores.data ? all_blocks(kv) : blocks_in_range(plan, kv);
  if (kv.rows == 0 || !blocks.contain(block)) return;  // before the queries are copied
  const TileScratch scratch = scratch_of(plan, kv, w, worker);
  Tile tile = load_tile(plan, kv, 0, scratch, w);
  for (const bool stepped : {false, true}) {
    if (!take_part(tile, stepped)) continue;
    const simd::State to = partial_of(plan, kv, block, tile, w);
    if (!attend_block(plan, kv, tile, {block, nullptr, {}, to}, scratch)) clear(to, tile.rows);
  }
}

// The blocks of a KV head, merged from left to right.
void merge_blocks(const Plan& plan, const KvHead& kv, const Workspace& w) noexcept {
  TileScratch scratch = scratch_of(plan, kv, w, 0);
  Tile tile = load_tile(plan, kv, 0, scratch, w);
  const std::int64_t first = tile.blocks.empty() ? 0 : tile.blocks.begin;
  for (const bool stepped : {false, true}) {
    if (!take_part(tile, stepped)) continue;
    const simd::State state = partial_of(plan, kv, first, tile, w);
    if (tile.blocks.empty()) clear(state, tile.rows);
    for (std::int64_t block = first + 1; block < tile.blocks.end; ++block)
      plan.kernels.merge(plan.exponents[stepped], tile.rows, state, partial_of(plan, kv, block, tile, w));
    finish_tile(plan, kv, tile, state, scratch);
  }
  if (!plan.weighs) return;
  begin_unit(plan, w, 0, scratch);
  weigh_tile(plan, kv, tile, scratch);
  add_unit(plan, kv, all_keys(kv), scratch.sums);
}

// A task is one block of keys of a KV head; then the calling thread merges them. What a bias means is found before,
// once for all blocks.
void run_in_place_blocks(const Plan& plan, const Workspace& w) noexcept {
  for_each(plan.team(), plan.problem.scoring.bias.data ? plan.kv_heads : 0, [&](std::int64_t worker, std::int64_t i) {
    const KvHead kv = kv_head_at(plan, i);
    if (kv.rows == 0) return;
    find_biased(plan, kv, load_tile(plan, kv, 0, w.scratch[worker], w), w.scratch[worker], w);
  });
  for_each(plan.team(), plan.kv_heads * plan.blocks, [&](std::int64_t worker, std::int64_t i) {
    run_block(plan, kv_head_at(plan, i / plan.blocks), i % plan.blocks, w, worker);
  });
  for (std::int64_t h = 0; h < plan.kv_heads; ++h) {
    const KvHead kv = kv_head_at(plan, h);
    if (kv.rows > 0) merge_blocks(plan, kv, w);
  }
}

// A task is a KV head, which packs its K and V for itself. One of few rows, in a packed batch, reads them in place.
void run_kv_heads(const Plan& plan, const Workspace& w) noexcept {
  for_each(plan.team(), plan.kv_heads, [&](std::int64_t worker, std::int64_t i) {
    const KvHead kv = kv_head_at(plan, i);
    const bool in_place = kv.rows <= plan.kernels.in_place_rows;
    const bool more = i + plan.workers < plan.kv_heads && fits_l2(plan);
    const KvHead next = more ? kv_head_at(plan, i + plan.workers) : kv;
    const Packed* const packed = in_place ? nullptr : &w.packed[worker];
    const Blocks blocks = in_place ? Blocks{} : blocks_of(plan, kv);
    for (std::int64_t b = blocks.begin; b < blocks.end; ++b) pack_block(plan, kv, b, *packed);
    for (std::int64_t t = 0; t < kv.tiles; ++t) {
      if (t % plan.unit_tiles == 0) begin_unit(plan, w, worker, w.scratch[worker]);
      run_tile(plan, kv, t, {packed, t + 1, more ? &next : nullptr}, w, worker);
      if ((t + 1) % plan.unit_tiles == 0 || t + 1 == kv.tiles) add_unit(plan, kv, all_keys(kv), w.scratch[worker].sums);
    }
  });
}

// The tiles of a KV head unit by unit, for sums of weights: as many units as there are workers, then their sums are
// added in order. So memory does not grow with the queries.
void run_units(const Plan& plan, const KvHead& kv, const Workspace& w) noexcept {
  const std::int64_t units = ceil_divide(kv.tiles, plan.unit_tiles), blocks = all_blocks(kv).end;
  for (std::int64_t first = 0; first < units; first += plan.workers) {
    const std::int64_t count = std::min(plan.workers, units - first);
    for_each(plan.team(), count, [&](std::int64_t worker, std::int64_t i) {
      begin_unit(plan, w, i, w.scratch[worker]);
      const std::int64_t tile = (first + i) * plan.unit_tiles, end = std::min(tile + plan.unit_tiles, kv.tiles);
      for (std::int64_t t = tile; t < end; ++t) run_tile(plan, kv, t, {w.packed, t + 1, nullptr}, w, worker);
    });
    for_each(plan.team(), blocks, [&](std::int64_t, std::int64_t block) {
      for (std::int64_t i = 0; i < count; ++i) add_unit(plan, kv, keys_of_block(kv, block), w.sums[i]);
    });
  }
}

// One KV head after the other: all threads pack, then all run tiles.
void run_tiles(const Plan& plan, const Workspace& w) noexcept {
  for (std::int64_t h = 0; h < plan.kv_heads; ++h) {
    const KvHead kv = kv_head_at(plan, h);
    const Blocks blocks = blocks_of(plan, kv);
    for_each(plan.team(), blocks.empty() ? 0 : blocks.end - blocks.begin, [&](std::int64_t, std::int64_t i) {
      pack_block(plan, kv, blocks.begin + i, w.packed[0]);
    });
    if (plan.problem.extras.key_weight_sums) {
      run_units(plan, kv, w);
      continue;
    }
    // Last tile first: under causal it has the most keys, and the short ones fill the end.
    for_each(plan.team(), kv.tiles, [&](std::int64_t worker, std::int64_t i) {
      const std::int64_t tile = kv.tiles - 1 - i;
      run_tile(plan, kv, tile, {w.packed, tile - plan.workers, nullptr}, w, worker);
    });
  }
}

}  // namespace

void run_pass(const Plan& plan, const Workspace& w) noexcept {
  switch (plan.schedule) {
    case Schedule::in_place:
      return run_in_place(plan, w);
    case Schedule::in_place_blocks:
      return run_in_place_blocks(plan, w);
    case Schedule::kv_heads:
      return run_kv_heads(plan, w);
    case Schedule::tiles:
      return run_tiles(plan, w);
  }
}

}  // namespace attn::streaming
