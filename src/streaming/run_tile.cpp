#include "streaming/run_tile.hpp"

#include <algorithm>
#include <cstdint>

#include "streaming/finish.hpp"
#include "streaming/scales.hpp"
#include "streaming/scores.hpp"
#include "streaming/weights.hpp"

namespace attn::streaming {
namespace {

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
    const KeyRange needed = feed.next_kv->needed;
    const std::int64_t keys = needed.end - needed.begin, begin = needed.begin + keys * index / plan.tiles;
    const std::int64_t end = std::min(needed.begin + keys * (index + 1) / plan.tiles, begin + most_listed_keys);
    for (std::int64_t j = begin; j < end; ++j) {
      rows[count++] = key_at(plan, *feed.next_kv, j);
      rows[count++] = value_at(plan, *feed.next_kv, j);
    }
  }
  return {rows, count, std::max(p.head_dim, p.value_dim) * static_cast<std::int64_t>(sizeof(float))};
}

// The part of a tile against all its blocks; against all that there are where scores are asked for.
void run_part(
    const Plan& plan, const KvHead& kv, const Tile& tile, const Packed* packed, simd::Prefetch prefetch,
    const TileScratch& scratch) noexcept {
  bool first = true;
  const Blocks blocks = plan.problem.extras.scores.data ? all_blocks(kv) : tile.blocks;
  for (std::int64_t i = blocks.begin; i < blocks.end; ++i) {
    const simd::State& to = first ? scratch.state : scratch.block;
    if (!attend_block(plan, kv, tile, {i, packed, prefetch, to}, scratch)) continue;
    if (!first) plan.kernels.merge(plan.exponents[tile.part.stepped], tile.rows, scratch.state, scratch.block);
    first = false;
    prefetch.count = 0;
  }
  if (first) clear(scratch.state, tile.rows);
}

}  // namespace

bool attend_block(
    const Plan& plan, const KvHead& kv, const Tile& tile, const BlockOfTile& b, const TileScratch& scratch) noexcept {
  const bool scores = plan.problem.extras.scores.data != nullptr;
  simd::KeyBlock keys = block_at(plan, kv, b.block, b.packed, scratch);
  if (scores) {
    take_key_scales(plan, kv, b.block, {0, keys.count}, scratch, keys);
    multiply_all(plan, tile, keys, b.block, scratch);
  }
  const bool any = see_block(plan, kv, tile, b.block, scratch);
  if (scores) write_scores(plan, kv, tile, b.block, scratch);
  if (!any) {
    keep_nothing(plan, tile, b.block, scratch);
    return false;
  }
  if (plan.problem.scaled()) {
    const KeyRange seen = seen_in_block(tile, scratch);
    if (!scores) take_key_scales(plan, kv, b.block, seen, scratch, keys);
    take_value_scales(plan, kv, b.block, seen, scratch, keys);
  }
  std::fill_n(b.to.overflowed, tile.rows, std::uint8_t{0});
  plan.kernels.attend(
      tile.queries, keys, visible(plan, tile, scratch), rule(plan, tile, scratch),
      {kept_of(plan, tile.part.stepped, scratch).of_block(b.block), scratch.weights, b.prefetch, scores}, b.to);
  keep_block(plan, tile, b.block, b.to, scratch);
  return true;
}

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
    finish_tile(plan, kv, tile, scratch.state, scratch);
  }
  if (plan.weighs) weigh_tile(plan, kv, tile, scratch);
}

}  // namespace attn::streaming
