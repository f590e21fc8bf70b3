#include "streaming_plan.hpp"

#include <algorithm>

#include "exponent.hpp"
#include "keys.hpp"
#include "rows.hpp"

namespace attn::streaming_path {
namespace {

using simd::key_block;

// Rows of a packed tile: 48 to 96 were equal within 2 %; a multiple of every ISA's tile_rows.
constexpr std::int64_t most_tile_rows = 48;
// Below this many multiply-adds (about 30 microseconds) a second thread costs more than it brings.
constexpr double threads_pay = 1.5e6;

Packed take_packed(Arena& arena, const Plan& plan) noexcept {
  const std::int64_t keys = round_up(plan.args.key_length, plan.kernels.panel_keys);
  return {arena.take<float>(saturating_product(keys, plan.args.head_dim)),
          arena.take<float>(saturating_product(keys, plan.output_stride)), arena.take<std::uint8_t>(plan.blocks)};
}

}  // namespace

Plan make_plan(const AttentionArgs& args, const simd::Kernels& kernels) noexcept {
  Plan plan{args,           kernels,         0,     0,     0,  0,   0, 1, 0, 0, 0, 0, 0, 1,
            Spread::direct, has_steps(args), false, false, {}, 1.0, {}};
  if (plan.has_steps) {
    plan.steps = {static_cast<float>(effective_scale(args)), args.softcap};
  } else {
    plan.scale = effective_scale(args);
    plan.negate = plan.scale < 0;
  }
  plan.exponent = make_exponent(plan.scale);
  plan.weighs = args.weights.data || args.key_weight_sums;
  if (args.key_length > 1) plan.key_stride = args.key.row_stride, plan.value_stride = args.value.row_stride;
  plan.key_bytes = plan.key_stride * size_of(args.key.dtype);
  plan.value_bytes = plan.value_stride * size_of(args.value.dtype);
  plan.pairs = static_cast<std::int64_t>(saturating_product(args.batch, args.kv_heads));
  plan.group = args.kv_heads > 0 ? args.query_heads / args.kv_heads : 1;
  plan.rows = static_cast<std::int64_t>(saturating_product(args.query_length, plan.group));
  plan.blocks = args.key_length / key_block + (args.key_length % key_block != 0);
  plan.output_stride = round_up(args.value_dim, simd::lane_count);

  const std::int64_t threads = args.parallel ? args.parallel->threads : 1;
  const double multiply_adds = static_cast<double>(plan.pairs) * static_cast<double>(plan.rows) *
                               static_cast<double>(args.key_length) *
                               static_cast<double>(args.head_dim + args.value_dim);
  plan.workers = multiply_adds < threads_pay ? 1 : threads;

  const bool many_pairs = plan.workers == 1 || plan.pairs >= 4 * plan.workers;
  if (plan.rows <= direct_rows) {
    plan.spread = many_pairs || plan.blocks < 2 ? Spread::direct : Spread::direct_blocks;
    plan.tile_rows = plan.rows;
  } else {
    plan.spread = many_pairs ? Spread::heads : Spread::tiles;
    const std::int64_t tiles = plan.rows / most_tile_rows + (plan.rows % most_tile_rows != 0);
    plan.tile_rows = round_up(plan.rows / tiles + (plan.rows % tiles != 0), 12);
  }
  plan.tiles = plan.rows == 0 ? 0 : plan.rows / plan.tile_rows + (plan.rows % plan.tile_rows != 0);
  return plan;
}

Pair pair_at(const Plan& plan, std::int64_t index) noexcept {
  const AttentionArgs& a = plan.args;
  const Sequence s = sequence_at(a, index / a.kv_heads);
  const std::int64_t h = index % a.kv_heads, rows = s.query_length * plan.group;
  const std::int64_t tiles = rows == 0 ? 0 : (rows - 1) / plan.tile_rows + 1;
  return {s,
          index,
          h,
          rows,
          tiles,
          address_of(a.key, s.batch, h, s.first_key),
          address_of(a.value, s.batch, h, s.first_key)};
}

bool fits_l2(const Plan& plan) noexcept {
  return plan.spread == Spread::heads &&
         saturating_product(plan.args.key_length, plan.args.head_dim + plan.args.value_dim, sizeof(float)) <=
             256 * 1024;
}

Workspace lay_out(const Plan& plan, Arena& arena) noexcept {
  const bool direct = plan.spread == Spread::direct || plan.spread == Spread::direct_blocks;
  const std::int64_t packs = direct ? 0 : plan.spread == Spread::heads ? plan.workers : 1;
  const std::int64_t partials = plan.spread == Spread::direct_blocks ? plan.pairs * plan.blocks : 0;
  Workspace w{arena.take<TileScratch>(plan.workers),
              arena.take<Packed>(packs),
              arena.take<TileState>(partials),
              nullptr,
              nullptr,
              nullptr};
  const std::int64_t ahead_rows =
      2 * plan.tile_rows + (fits_l2(plan) ? 2 * (plan.args.key_length / std::max<std::int64_t>(plan.tiles, 1) + 1) : 0);
  for (std::int64_t i = 0; i < plan.workers; ++i) {
    const TileScratch scratch =
        TileScratch::take(arena, plan.args, plan.tile_rows, plan.output_stride, direct ? 0 : ahead_rows);
    if (w.scratch) w.scratch[i] = scratch;
  }
  for (std::int64_t i = 0; i < packs; ++i) {
    const Packed packed = take_packed(arena, plan);
    if (w.packed) w.packed[i] = packed;
  }
  for (std::int64_t i = 0; i < partials; ++i) {
    const TileState partial = TileState::take(arena, plan.tile_rows, plan.output_stride);
    if (w.partial) w.partial[i] = partial;
  }
  if (!plan.weighs) return w;
  w.row_max = arena.take<float>(saturating_product(plan.pairs, plan.rows));
  w.row_sum = arena.take<float>(saturating_product(plan.pairs, plan.rows));
  w.weigh = arena.take<WeightScratch>(plan.workers);
  const std::int64_t sums = plan.args.key_weight_sums ? plan.group * key_block : 0;
  for (std::int64_t i = 0; i < plan.workers; ++i) {
    const WeightScratch scratch{arena.take<float>(direct ? 0 : saturating_product(key_block, plan.args.head_dim)),
                                arena.take<float>(sums), arena.take<float>(sums)};
    if (w.weigh) w.weigh[i] = scratch;
  }
  return w;
}

}  // namespace attn::streaming_path
