#include "streaming/workspace.hpp"

#include <algorithm>

#include "streaming/scales.hpp"
#include "streaming/sums.hpp"

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

// For so many tiles.
Kept take_kept(Arena& arena, const Sizes& z, std::int64_t tiles) noexcept {
  const std::int64_t rows = saturating_count(tiles, z.rows_per_tile, z.kept_blocks);
  const std::int64_t weighed = z.problem.weighs() ? rows : 0;
  Kept kept{z.rows_per_tile, z.kept_blocks, nullptr, nullptr, nullptr};
  kept.p = arena.take<float>(saturating_product(rows, simd::score_stride));
  kept.max = arena.take<float>(weighed);
  kept.seen = arena.take<KeptKeys>(weighed);
  return kept;
}

TileScratch take_scratch(Arena& arena, const Sizes& z) noexcept {
  const Problem& p = z.problem;
  const std::int64_t rows = z.rows_per_tile;
  const std::int64_t masked = p.visibility.has_holes() ? rows : 0;
  const std::int64_t stepped = p.scoring.stepped || p.scoring.bias.data ? rows : 0;
  const Bias& bias = p.scoring.bias;
  const bool copies_bias = bias.data && !(is_float(bias.dtype) && bias.column_stride == 1);
  TileScratch s{};
  const Extras& extras = p.extras;
  const bool halves = (extras.weights.data && !is_float(extras.weights.dtype)) ||
      (extras.scores.data && !is_float(extras.scores.dtype));
  s.query = arena.take<float>(saturating_product(rows, query_floats(p)));
  s.kept[0] = s.kept[1] = take_kept(arena, z, 1);
  if (p.weighs() && rules_of(p) > 1) s.kept[1] = take_kept(arena, z, 1);
  s.ends = arena.take<RowEnd>(p.weighs() ? rows : 0);
  s.weights = arena.take<float>(p.changes_weights() ? saturating_product(rows, simd::score_stride) : 0);
  s.key_scales = arena.take<float>(scales_of_a_block(p.key.dtype, p.head_dim));
  s.value_scales = arena.take<float>(scales_of_a_block(p.value.dtype, p.value_dim));
  s.row = arena.take<float>(halves ? key_block : 0);
  s.state = take_state(arena, z);
  s.block = take_state(arena, z);
  s.place = arena.take<Place>(rows);
  s.range = arena.take<KeyRange>(rows);
  s.begin = arena.take<std::int32_t>(rows);
  s.end = arena.take<std::int32_t>(rows);
  s.allowed = arena.take<const std::uint64_t*>(masked);
  s.allowed_bits = arena.take<std::uint64_t>(masked * (key_block / 64));
  s.known_bits = arena.take<std::uint64_t>(rows * known_blocks_of(p) * (key_block / 64));
  s.known = arena.take<std::int64_t>(masked);
  s.row_steps = arena.take<simd::RowSteps>(stepped);
  s.wide_bias = arena.take<float>(copies_bias ? rows * key_block : 0);
  s.pages = arena.take<const void*>(2 * listed_pages(p));
  s.prefetch = arena.take<const void*>(z.packs() ? 2 * rows + 2 * std::min(p.batch.key_length, most_listed_keys) : 0);
  return s;
}

Packed take_packed(Arena& arena, const Sizes& z) noexcept {
  const std::int64_t length = z.problem.batch.key_length, keys = round_up(length, z.kernels.panel_keys);
  return {
      arena.take<float>(z.problem.panels() ? 0 : saturating_product(keys, z.problem.head_dim)),
      arena.take<float>(saturating_product(keys, z.padded_value_dim())),
      arena.take<std::uint8_t>(ceil_divide(length, key_block))};
}

float* take_sums(Arena& arena, const Sizes& z) noexcept {
  return arena.take<float>(saturating_product(z.group, sums_stride(z.problem.batch.key_length)));
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
  w.partial.kept = {z.rows_per_tile, z.kept_blocks, nullptr, nullptr, nullptr};
  if (z.problem.weighs()) {
    w.partial.kept.p = arena.take<float>(saturating_product(z.state_rows, simd::score_stride));
    w.partial.kept.max = arena.take<float>(z.state_rows);
    w.partial.kept.seen = arena.take<KeptKeys>(z.state_rows);
  }
  w.biased = arena.take<std::uint8_t>(z.biased_rows);
  w.sums = take_all<float*>(arena, z, z.problem.extras.key_weight_sums ? z.workers : 0, take_sums);
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
