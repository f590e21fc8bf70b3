#include "streaming/plan.hpp"

#include <algorithm>

#include "base/exponent.hpp"
#include "streaming/workspace.hpp"

namespace attn::streaming {
namespace {

// Rows of a packed tile: 48 to 96 were equal within 2 %.
constexpr std::int64_t most_rows_per_tile = 48;
// Below this many multiply-adds (about 30 microseconds) a second thread costs more than it brings.
constexpr double threads_pay = 1.5e6;

// Keys and values of a call above this size come from memory: decode4k, of 33 MB, gains 5 to 20 % by being fetched
// ahead, and 12 heads of 1024 keys, 6 MB, lose as much.
constexpr std::size_t caches = 8 << 20;

std::size_t bytes_in_place(const Plan& plan) noexcept {
  const Problem& p = plan.problem;
  const std::size_t columns =
      saturating_product(p.head_dim, size_of(p.key.dtype)) + saturating_product(p.value_dim, size_of(p.value.dtype));
  return saturating_product(plan.kv_heads, p.batch.key_length, columns);
}

double multiply_adds(const Plan& plan) noexcept {
  const Problem& p = plan.problem;
  return static_cast<double>(plan.kv_heads) * static_cast<double>(plan.rows) * static_cast<double>(p.batch.key_length) *
      static_cast<double>(p.head_dim + p.value_dim);
}

// The most tasks that any phase of the call has: no more workers than these can ever work.
std::int64_t most_tasks(const Plan& plan) noexcept {
  const std::int64_t all_blocks = saturating_count(plan.kv_heads, plan.blocks);
  std::int64_t tasks = plan.kv_heads;
  if (plan.schedule == Schedule::in_place_blocks) tasks = all_blocks;
  if (plan.schedule == Schedule::tiles) tasks = std::max(plan.blocks, plan.tiles);
  return plan.second_pass ? std::max(tasks, all_blocks) : tasks;
}

void choose_schedule(Plan& plan) noexcept {
  const Parallel* parallel = plan.problem.parallel;
  plan.workers = parallel && multiply_adds(plan) >= threads_pay ? parallel->threads : 1;
  const bool many_heads = plan.workers == 1 || plan.kv_heads / 4 >= plan.workers;
  if (plan.rows <= plan.kernels.in_place_rows) {
    plan.schedule = many_heads || plan.blocks < 2 ? Schedule::in_place : Schedule::in_place_blocks;
    plan.rows_per_tile = plan.rows;
    plan.fetch_ahead = bytes_in_place(plan) > caches;
  } else {
    plan.schedule = many_heads ? Schedule::kv_heads : Schedule::tiles;
    const std::int64_t tiles = ceil_divide(plan.rows, most_rows_per_tile);
    plan.rows_per_tile = round_up(ceil_divide(plan.rows, tiles), 2 * plan.kernels.tile_rows);
  }
  plan.tiles = plan.rows == 0 ? 0 : ceil_divide(plan.rows, plan.rows_per_tile);
  plan.workers = std::max<std::int64_t>(1, std::min(plan.workers, most_tasks(plan)));
}

}  // namespace

Plan make_plan(const Problem& p, const simd::Kernels& kernels) noexcept {
  Plan plan{p, kernels};
  plan.kv_heads = saturating_count(p.batch.count, p.kv_heads);
  plan.rows = saturating_count(p.batch.query_length, p.group);
  plan.blocks = ceil_divide(p.batch.key_length, simd::key_block);
  plan.padded_value_dim = round_up(p.value_dim, simd::lane_count);
  if (p.batch.key_length > 1) {
    plan.key_stride = p.key.row_stride;
    plan.value_stride = p.value.row_stride;
  }
  plan.steps = p.scoring.steps();
  plan.negate = !p.scoring.stepped && p.scoring.scale < 0;
  plan.exponent = make_exponent(p.scoring.exponent_scale());
  plan.second_pass = p.extras.weights.data || p.extras.key_weight_sums;
  plan.keeps_rows = plan.second_pass;
  choose_schedule(plan);

  Arena arena(0);
  if (plan.kv_heads > 0 && plan.rows > 0) {
    lay_out(plan, arena);
    plan.workspace_bytes = arena.used();
  }
  return plan;
}

KvHead kv_head_at(const Plan& plan, std::int64_t index) noexcept {
  const Problem& p = plan.problem;
  KvHead kv;
  kv.sequence = p.batch.at(index / p.kv_heads);
  kv.index = index;
  kv.head = index % p.kv_heads;
  kv.rows = kv.sequence.query_length * p.group;
  kv.tiles = kv.rows == 0 ? 0 : ceil_divide(kv.rows, plan.rows_per_tile);
  kv.keys = address_of(p.key, kv.sequence.batch, kv.head, kv.sequence.first_key);
  kv.values = address_of(p.value, kv.sequence.batch, kv.head, kv.sequence.first_key);
  return kv;
}

bool fits_l2(const Plan& plan) noexcept {
  const Problem& p = plan.problem;
  return plan.schedule == Schedule::kv_heads &&
      saturating_product(p.batch.key_length, p.head_dim + p.value_dim, sizeof(float)) <= 256 * 1024;
}

}  // namespace attn::streaming
