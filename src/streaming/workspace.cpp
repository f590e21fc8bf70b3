#include "streaming/workspace.hpp"

#include <algorithm>

namespace attn::streaming {
namespace {

using simd::key_block;

// Floats of the maxima of a partial state, and of its sums.
std::int64_t padded_rows(const Sizes& z) noexcept { return round_up(z.kernels.in_place_rows, simd::lane_count); }

simd::State take_state(Arena& arena, const Sizes& z) noexcept {
  const std::int64_t rows = z.rows_per_tile, padded = round_up(rows, simd::lane_count);
  return {
      arena.take<float>(padded), arena.take<float>(padded),
      arena.take<float>(saturating_product(rows, z.padded_value_dim())), z.padded_value_dim(),
      arena.take<std::uint8_t>(rows)};
}

TileScratch take_scratch(Arena& arena, const Sizes& z) noexcept {
  const Problem& p = z.problem;
  const std::int64_t rows = z.rows_per_tile;
  const std::int64_t masked = p.visibility.has_holes() ? rows : 0;
  const std::int64_t stepped = p.scoring.stepped || p.scoring.bias.data ? rows : 0;
  const Bias& bias = p.scoring.bias;
  const bool copies_bias = bias.data && !(is_float(bias.dtype) && bias.column_stride == 1);
  TileScratch s{};
  s.query = arena.take<float>(saturating_product(rows, p.head_dim));
  s.scores = arena.take<float>(rows * simd::score_stride);
  s.state = take_state(arena, z);
  s.block = take_state(arena, z);
  s.place = arena.take<Place>(rows);
  s.range = arena.take<KeyRange>(rows);
  s.begin = arena.take<std::int32_t>(rows);
  s.end = arena.take<std::int32_t>(rows);
  s.allowed = arena.take<const std::uint64_t*>(masked);
  s.allowed_bits = arena.take<std::uint64_t>(masked * (key_block / 64));
  s.kept_bits = arena.take<std::uint64_t>(rows * kept_blocks_of(p) * (key_block / 64));
  s.kept = arena.take<std::int64_t>(masked);
  s.row_steps = arena.take<simd::RowSteps>(stepped);
  s.wide_bias = arena.take<float>(copies_bias ? rows * key_block : 0);
  s.prefetch = arena.take<const void*>(z.packs() ? 2 * rows + 2 * std::min(p.batch.key_length, most_listed_keys) : 0);
  return s;
}

Packed take_packed(Arena& arena, const Sizes& z) noexcept {
  const std::int64_t length = z.problem.batch.key_length, keys = round_up(length, z.kernels.panel_keys);
  return {
      arena.take<float>(saturating_product(keys, z.problem.head_dim)),
      arena.take<float>(saturating_product(keys, z.padded_value_dim())),
      arena.take<std::uint8_t>(ceil_divide(length, key_block))};
}

WeightScratch take_weigh(Arena& arena, const Sizes& z) noexcept {
  const Problem& p = z.problem;
  const std::size_t sums = p.extras.key_weight_sums ? saturating_product(z.group, key_block) : 0;
  return {
      arena.take<float>(z.packs() ? saturating_product(key_block, p.head_dim) : 0), arena.take<float>(sums),
      arena.take<float>(sums)};
}

// count pieces, each as take(arena, z) takes it. Where the arena only counts, one stands for all.
template <class Piece>
Piece* take_all(Arena& arena, const Sizes& z, std::int64_t count, Piece (*take)(Arena&, const Sizes&)) noexcept {
  Piece* const pieces = arena.take<Piece>(count);
  if (!pieces) arena.count(count, [&] { take(arena, z); });
  for (std::int64_t i = 0; pieces && i < count; ++i) pieces[i] = take(arena, z);
  return pieces;
}

}  // namespace

Workspace lay_out(const Sizes& z, Arena& arena) noexcept {
  Workspace w{};
  w.scratch = take_all<TileScratch>(arena, z, z.workers, take_scratch);
  w.packed = take_all<Packed>(arena, z, z.packed, take_packed);
  arena.take<std::uint8_t>(z.packed_memory);
  w.partial.rows = z.rows_per_tile;
  w.partial.stride = z.padded_value_dim();
  w.partial.padded = padded_rows(z);
  w.partial.max = arena.take<float>(saturating_product(z.states, w.partial.padded));
  w.partial.sum = arena.take<float>(saturating_product(z.states, w.partial.padded));
  w.partial.output = arena.take<float>(saturating_product(z.state_rows, w.partial.stride));
  w.partial.overflowed = arena.take<std::uint8_t>(saturating_product(z.states, simd::lane_count * sizeof(float)));
  w.biased = arena.take<std::uint8_t>(z.biased_rows);
  w.row_max = arena.take<float>(z.kept_rows);
  w.row_sum = arena.take<float>(z.kept_rows);
  w.wide = arena.take<std::uint8_t>(z.kept_rows);
  w.weigh = take_all<WeightScratch>(arena, z, z.second_pass ? z.workers : 0, take_weigh);
  return w;
}

std::size_t packed_bytes(const Problem& p, const simd::Kernels& kernels) noexcept {
  Sizes one{p, kernels};
  one.packed = 1;
  Arena arena(0);
  const std::size_t nothing = arena.used();
  take_packed(arena, one);
  return saturating_sum(arena.used() - nothing, 64);
}

std::size_t bytes_of(const Sizes& z) noexcept {
  Arena arena(0);
  lay_out(z, arena);
  return arena.used();
}

}  // namespace attn::streaming
