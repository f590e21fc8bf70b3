#include <algorithm>
#include <cstdint>

#include "streaming/finish.hpp"
#include "streaming/passes.hpp"
#include "streaming/tile.hpp"

namespace attn::streaming {
namespace {

// Where a tile's keys and values stand, and what this worker will probably run after it: its own next tile and the next
// KV head, or nothing.
struct Feed {
  const Packed* packed = nullptr;  // null: in place
  std::int64_t next_tile = -1;
  const KvHead* next_kv = nullptr;
};

// With fewer keys a tile is done before anything could arrive: 16 keys lost 7 %, 128 gain 2 %.
constexpr std::int64_t look_ahead_pays = 48;

// Lists what is wanted after the current products: output rows of this tile, queries of the next, a share of the next
// KV head's keys and values. bert512 +2 %, vit197 +6 %.
simd::Prefetch look_ahead(
    const Plan& plan, const KvHead& kv, std::int64_t index, const Feed& feed, const void** rows) noexcept {
  const Problem& p = plan.problem;
  std::int64_t count = 0;
  const auto add_tile = [&](std::int64_t tile, const auto& tensor) {
    if (tile < 0 || tile >= kv.tiles) return;
    for (std::int64_t r = tile * plan.rows_per_tile; r < std::min((tile + 1) * plan.rows_per_tile, kv.rows); ++r) {
      const Place place = place_of(plan, kv, r);
      rows[count++] = address_of(tensor, kv.sequence.batch, place.head, kv.sequence.first_query + place.query);
    }
  };
  add_tile(index, p.output);
  add_tile(feed.next_tile, p.query);
  if (feed.next_kv) {
    const std::int64_t keys = feed.next_kv->sequence.key_length, begin = keys * index / plan.tiles;
    const std::int64_t end = std::min(keys * (index + 1) / plan.tiles, begin + most_listed_keys);
    for (std::int64_t j = begin; j < end; ++j) {
      rows[count++] = key_at(plan, *feed.next_kv, j);
      rows[count++] = value_at(plan, *feed.next_kv, j);
    }
  }
  return {rows, count, std::max(p.head_dim, p.value_dim) * static_cast<std::int64_t>(sizeof(float))};
}

// The part of a tile against all its blocks.
void run_part(
    const Plan& plan, const KvHead& kv, const Tile& tile, const Packed* packed, simd::Prefetch prefetch,
    const TileScratch& scratch) noexcept {
  bool first = true;
  for (std::int64_t i = tile.blocks.begin; i < tile.blocks.end; ++i) {
    if (!see_block(plan, kv, tile, i, scratch)) continue;
    const simd::State& to = first ? scratch.state : scratch.block;
    std::fill_n(to.overflowed, tile.rows, std::uint8_t{0});
    plan.kernels.attend(
        tile.queries, block_at(plan, kv, i, packed), visible(plan, tile, scratch), rule(plan, tile, scratch),
        {scratch.scores, prefetch}, to);
    if (!first) plan.kernels.merge(plan.exponents[tile.part.stepped], tile.rows, scratch.state, scratch.block);
    first = false;
    prefetch.count = 0;
  }
  if (first) clear(scratch.state, tile.rows);
}

// Tile `index` of a KV head against all its blocks.
void run_tile(
    const Plan& plan, const KvHead& kv, std::int64_t index, const Feed& feed, const Workspace& w,
    std::int64_t worker) noexcept {
  const TileScratch& scratch = w.scratch[worker];
  Tile tile = load_tile(plan, kv, index, scratch, w);
  find_biased(plan, kv, tile, scratch, w);
  simd::Prefetch prefetch;
  if (feed.packed && kv.sequence.key_length >= look_ahead_pays)
    prefetch = look_ahead(plan, kv, index, feed, scratch.prefetch);
  for (const bool stepped : {false, true}) {
    if (!take_part(tile, stepped)) continue;
    run_part(plan, kv, tile, feed.packed, prefetch, scratch);
    finish_tile(plan, kv, tile, scratch.state, scratch, w);
  }
}

void pack_block(const Plan& plan, const KvHead& kv, std::int64_t block, const Packed& packed) noexcept {
  const Problem& p = plan.problem;
  const KeyRange keys = keys_of_block(kv, block);
  const std::int64_t count = keys.end - keys.begin;
  plan.kernels.pack_keys(
      key_at(plan, kv, keys.begin), p.key.dtype, plan.key_stride, count, p.head_dim,
      packed.keys + keys.begin * p.head_dim);
  packed.finite[block] = plan.kernels.pack_values(
      value_at(plan, kv, keys.begin), p.value.dtype, plan.value_stride, count, p.value_dim,
      packed.values + keys.begin * plan.padded_value_dim);
}

// A task is a KV head, or a stack of those of one item: its tile, in place.
void run_in_place(const Plan& plan, const Workspace& w) noexcept {
  for_each(plan.team(), ceil_divide(plan.kv_heads, plan.stack), [&](std::int64_t worker, std::int64_t i) {
    const std::int64_t end = std::min((i + 1) * plan.stack, plan.kv_heads);
    for (std::int64_t h = i * plan.stack; h < end;) {
      KvHead kv = kv_head_at(plan, h);
      if (plan.stack > 1) kv.rows = kv.stacked = std::min(end - h, plan.problem.kv_heads - kv.head);
      h += kv.stacked;
      if (kv.rows > 0) run_tile(plan, kv, 0, {}, w, worker);
    }
  });
}

// The place of the result of one block of keys for the tile's part.
simd::State partial_of(
    const Plan& plan, const KvHead& kv, std::int64_t block, const Tile& tile, const Workspace& w) noexcept {
  return w.partial.at((kv.index * plan.blocks + block) * plan.rules + (plan.rules > 1 && tile.part.stepped));
}

// One block of keys of a KV head, for each part of its rows.
void run_block(
    const Plan& plan, const KvHead& kv, std::int64_t block, const TileScratch& scratch, const Workspace& w) noexcept {
  if (!blocks_in_range(plan, kv).contain(block)) return;  // before the queries are copied
  Tile tile = load_tile(plan, kv, 0, scratch, w);
  for (const bool stepped : {false, true}) {
    if (!take_part(tile, stepped)) continue;
    const simd::State to = partial_of(plan, kv, block, tile, w);
    if (see_block(plan, kv, tile, block, scratch)) {
      std::fill(to.overflowed, to.overflowed + tile.rows, std::uint8_t{0});
      plan.kernels.attend(
          tile.queries, block_at(plan, kv, block, nullptr), visible(plan, tile, scratch), rule(plan, tile, scratch),
          {scratch.scores, {}}, to);
    } else {
      clear(to, tile.rows);  // a mask has left no key
    }
  }
}

// The blocks of a KV head, merged from left to right.
void merge_blocks(const Plan& plan, const KvHead& kv, const Workspace& w) noexcept {
  const TileScratch& scratch = w.scratch[0];
  Tile tile = load_tile(plan, kv, 0, scratch, w);
  const std::int64_t first = tile.blocks.empty() ? 0 : tile.blocks.begin;
  for (const bool stepped : {false, true}) {
    if (!take_part(tile, stepped)) continue;
    const simd::State state = partial_of(plan, kv, first, tile, w);
    if (tile.blocks.empty()) clear(state, tile.rows);
    for (std::int64_t block = first + 1; block < tile.blocks.end; ++block)
      plan.kernels.merge(plan.exponents[stepped], tile.rows, state, partial_of(plan, kv, block, tile, w));
    finish_tile(plan, kv, tile, state, scratch, w);
  }
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
    run_block(plan, kv_head_at(plan, i / plan.blocks), i % plan.blocks, w.scratch[worker], w);
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
    for (std::int64_t t = 0; t < kv.tiles; ++t)
      run_tile(plan, kv, t, {packed, t + 1, more ? &next : nullptr}, w, worker);
  });
}

// One KV head after the other: all threads pack, then all run tiles.
void run_tiles(const Plan& plan, const Workspace& w) noexcept {
  for (std::int64_t h = 0; h < plan.kv_heads; ++h) {
    const KvHead kv = kv_head_at(plan, h);
    const Blocks blocks = blocks_of(plan, kv);
    for_each(plan.team(), blocks.empty() ? 0 : blocks.end - blocks.begin, [&](std::int64_t, std::int64_t i) {
      pack_block(plan, kv, blocks.begin + i, w.packed[0]);
    });
    // Last tile first: under causal it has the most keys, and the short ones fill the end.
    for_each(plan.team(), kv.tiles, [&](std::int64_t worker, std::int64_t i) {
      const std::int64_t tile = kv.tiles - 1 - i;
      run_tile(plan, kv, tile, {w.packed, tile - plan.workers, nullptr}, w, worker);
    });
  }
}

}  // namespace

void first_pass(const Plan& plan, const Workspace& w) noexcept {
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
