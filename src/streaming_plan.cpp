#include "streaming_plan.hpp"

#include <algorithm>
#include <limits>

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

// Factors that no memory holds stop at the largest number: workspace_size() is asked before anyone checks them.
std::int64_t product(std::int64_t a, std::int64_t b) noexcept {
  return static_cast<std::int64_t>(
      std::min<std::size_t>(saturating_product(a, b), std::numeric_limits<std::int64_t>::max()));
}

// The most tasks that any phase of the call has: no more workers than these can ever work.
std::int64_t most_tasks(const Plan& plan) noexcept {
  const std::int64_t all_blocks = product(plan.pairs, plan.blocks);
  std::int64_t tasks = plan.pairs;
  if (plan.spread == Spread::direct_blocks) tasks = all_blocks;
  if (plan.spread == Spread::tiles) tasks = std::max(plan.blocks, plan.tiles);
  return plan.weighs ? std::max(tasks, all_blocks) : tasks;
}

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
  plan.pairs = product(args.batch, args.kv_heads);
  plan.group = args.kv_heads > 0 ? args.query_heads / args.kv_heads : 1;
  plan.rows = product(args.query_length, plan.group);
  plan.blocks = args.key_length / key_block + (args.key_length % key_block != 0);
  plan.output_stride = round_up(args.value_dim, simd::lane_count);

  const std::int64_t threads = args.parallel ? args.parallel->threads : 1;
  const double multiply_adds = static_cast<double>(plan.pairs) * static_cast<double>(plan.rows) *
                               static_cast<double>(args.key_length) *
                               static_cast<double>(args.head_dim + args.value_dim);
  plan.workers = multiply_adds < threads_pay ? 1 : threads;

  const bool many_pairs = plan.workers == 1 || plan.pairs / 4 >= plan.workers;
  if (plan.rows <= direct_rows) {
    plan.spread = many_pairs || plan.blocks < 2 ? Spread::direct : Spread::direct_blocks;
    plan.tile_rows = plan.rows;
  } else {
    plan.spread = many_pairs ? Spread::heads : Spread::tiles;
    const std::int64_t tiles = plan.rows / most_tile_rows + (plan.rows % most_tile_rows != 0);
    plan.tile_rows = round_up(plan.rows / tiles + (plan.rows % tiles != 0), 12);
  }
  plan.tiles = plan.rows == 0 ? 0 : plan.rows / plan.tile_rows + (plan.rows % plan.tile_rows != 0);
  plan.workers = std::max<std::int64_t>(1, std::min(plan.workers, most_tasks(plan)));
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

namespace {

// count pieces, each as take() takes it from the arena. Where the arena only counts, one stands for all.
template <class Piece, class Take>
Piece* take_all(Arena& arena, std::int64_t count, const Take& take) noexcept {
  Piece* const pieces = arena.take<Piece>(count);
  if (!pieces) arena.count(count, take);
  for (std::int64_t i = 0; pieces && i < count; ++i) pieces[i] = take();
  return pieces;
}

}  // namespace

Workspace lay_out(const Plan& plan, Arena& arena) noexcept {
  const bool direct = plan.spread == Spread::direct || plan.spread == Spread::direct_blocks;
  const std::int64_t packs = direct ? 0 : plan.spread == Spread::heads ? plan.workers : 1;
  const std::int64_t partials = plan.spread == Spread::direct_blocks ? product(plan.pairs, plan.blocks) : 0;
  const std::int64_t ahead_rows =
      2 * plan.tile_rows + (fits_l2(plan) ? 2 * (plan.args.key_length / std::max<std::int64_t>(plan.tiles, 1) + 1) : 0);
  Workspace w{};
  w.scratch = take_all<TileScratch>(arena, plan.workers, [&] {
    return TileScratch::take(arena, plan.args, plan.tile_rows, plan.output_stride, direct ? 0 : ahead_rows);
  });
  w.packed = take_all<Packed>(arena, packs, [&] { return take_packed(arena, plan); });
  w.partial =
      take_all<TileState>(arena, partials, [&] { return TileState::take(arena, plan.tile_rows, plan.output_stride); });
  if (!plan.weighs) return w;
  w.row_max = arena.take<float>(saturating_product(plan.pairs, plan.rows));
  w.row_sum = arena.take<float>(saturating_product(plan.pairs, plan.rows));
  w.wide = arena.take<std::uint8_t>(saturating_product(plan.pairs, plan.rows));
  const std::size_t sums = plan.args.key_weight_sums ? saturating_product(plan.group, key_block) : 0;
  w.weigh = take_all<WeightScratch>(arena, plan.workers, [&] {
    return WeightScratch{arena.take<float>(direct ? 0 : saturating_product(key_block, plan.args.head_dim)),
                         arena.take<float>(sums), arena.take<float>(sums)};
  });
  return w;
}

}  // namespace attn::streaming_path
