#include "streaming/workspace.hpp"

#include <algorithm>

namespace attn::streaming {
namespace {

using simd::key_block;

simd::State take_state(Arena& arena, const Plan& plan) noexcept {
  const std::int64_t rows = plan.rows_per_tile, padded = round_up(rows, simd::lane_count);
  return {
      arena.take<float>(padded), arena.take<float>(padded),
      arena.take<float>(saturating_product(rows, plan.padded_value_dim)), plan.padded_value_dim,
      arena.take<std::uint8_t>(rows)};
}

// Rows of memory that a tile lists for prefetching.
std::int64_t prefetch_rows(const Plan& plan) noexcept {
  if (plan.in_place()) return 0;
  const std::int64_t keys = plan.problem.batch.key_length / std::max<std::int64_t>(plan.tiles, 1) + 1;
  return 2 * plan.rows_per_tile + (fits_l2(plan) ? 2 * keys : 0);
}

TileScratch take_scratch(Arena& arena, const Plan& plan) noexcept {
  const Problem& p = plan.problem;
  const std::int64_t rows = plan.rows_per_tile;
  const std::int64_t masked = p.visibility.has_holes() ? rows : 0, stepped = p.scoring.stepped ? rows : 0;
  const bool gathers = p.scoring.bias.data && p.scoring.bias.column_stride != 1;
  TileScratch s{};
  s.query = arena.take<float>(saturating_product(rows, p.head_dim));
  s.scores = arena.take<float>(rows * simd::score_stride);
  s.state = take_state(arena, plan);
  s.block = take_state(arena, plan);
  s.place = arena.take<Place>(rows);
  s.range = arena.take<KeyRange>(rows);
  s.begin = arena.take<std::int32_t>(rows);
  s.end = arena.take<std::int32_t>(rows);
  s.allowed = arena.take<const std::uint64_t*>(masked);
  s.allowed_bits = arena.take<std::uint64_t>(masked * (key_block / 64));
  s.gathered_mask = arena.take<std::uint8_t>(masked ? key_block : 0);
  s.row_steps = arena.take<simd::RowSteps>(stepped);
  s.gathered_bias = arena.take<float>(gathers ? rows * key_block : 0);
  s.prefetch = arena.take<const void*>(prefetch_rows(plan));
  return s;
}

Packed take_packed(Arena& arena, const Plan& plan) noexcept {
  const std::int64_t keys = round_up(plan.problem.batch.key_length, plan.kernels.panel_keys);
  return {
      arena.take<float>(saturating_product(keys, plan.problem.head_dim)),
      arena.take<float>(saturating_product(keys, plan.padded_value_dim)), arena.take<std::uint8_t>(plan.blocks)};
}

WeightScratch take_weigh(Arena& arena, const Plan& plan) noexcept {
  const Problem& p = plan.problem;
  const std::size_t sums = p.extras.key_weight_sums ? saturating_product(p.group, key_block) : 0;
  return {
      arena.take<float>(plan.in_place() ? 0 : saturating_product(key_block, p.head_dim)), arena.take<float>(sums),
      arena.take<float>(sums)};
}

// count pieces, each as take(arena, plan) takes it. Where the arena only counts, one stands for all.
template <class Piece>
Piece* take_all(Arena& arena, const Plan& plan, std::int64_t count, Piece (*take)(Arena&, const Plan&)) noexcept {
  Piece* const pieces = arena.take<Piece>(count);
  if (!pieces) arena.count(count, [&] { take(arena, plan); });
  for (std::int64_t i = 0; pieces && i < count; ++i) pieces[i] = take(arena, plan);
  return pieces;
}

}  // namespace

Workspace lay_out(const Plan& plan, Arena& arena) noexcept {
  const bool blocks = plan.schedule == Schedule::in_place_blocks;
  Workspace w{};
  w.scratch = take_all<TileScratch>(arena, plan, plan.workers, take_scratch);
  w.packed = take_all<Packed>(
      arena, plan,
      plan.in_place()                           ? 0
          : plan.schedule == Schedule::kv_heads ? plan.workers
                                                : 1,
      take_packed);
  w.partial = take_all<simd::State>(arena, plan, blocks ? saturating_count(plan.kv_heads, plan.blocks) : 0, take_state);
  if (plan.keeps_rows) {
    w.row_max = arena.take<float>(saturating_product(plan.kv_heads, plan.rows));
    w.row_sum = arena.take<float>(saturating_product(plan.kv_heads, plan.rows));
    w.wide = arena.take<std::uint8_t>(saturating_product(plan.kv_heads, plan.rows));
  }
  if (plan.second_pass) w.weigh = take_all<WeightScratch>(arena, plan, plan.workers, take_weigh);
  return w;
}

}  // namespace attn::streaming
