// Which way a call goes, how many threads take part, and the memory that any such way takes at most.
#include <algorithm>

#include "streaming/plan.hpp"
#include "streaming/workspace.hpp"

namespace attn::streaming {
namespace {

// Rows of a packed tile: 48 to 96 were equal within 2 %.
constexpr std::int64_t most_rows_per_tile = 48;
// Below this many multiply-adds (about 30 microseconds) a second thread costs more than it brings.
constexpr double threads_pay = 1.5e6;
// With at least this many KV heads for each worker a task is a KV head: the last ones to finish are not far apart.
constexpr std::int64_t many_heads = 4;

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

}  // namespace

void choose_schedule(Plan& plan) noexcept {
  const Parallel* parallel = plan.problem.parallel;
  plan.workers = parallel && multiply_adds(plan) >= threads_pay ? parallel->threads : 1;
  const bool heads = plan.workers == 1 || plan.kv_heads / many_heads >= plan.workers;
  if (plan.rows <= plan.kernels.in_place_rows) {
    plan.schedule = heads || plan.blocks < 2 ? Schedule::in_place : Schedule::in_place_blocks;
    plan.rows_per_tile = plan.rows;
  } else {
    plan.schedule = heads ? Schedule::kv_heads : Schedule::tiles;
    const std::int64_t tiles = ceil_divide(plan.rows, most_rows_per_tile);
    plan.rows_per_tile = round_up(ceil_divide(plan.rows, tiles), 2 * plan.kernels.tile_rows);
  }
  plan.tiles = plan.rows == 0 ? 0 : ceil_divide(plan.rows, plan.rows_per_tile);
  plan.workers = std::max<std::int64_t>(1, std::min(plan.workers, most_tasks(plan)));
}

Sizes sizes_of(const Plan& plan) noexcept {
  Sizes z{plan.problem, plan.kernels};
  z.workers = plan.workers;
  z.rows_per_tile = plan.rows_per_tile;
  z.group = plan.problem.group;
  if (!plan.in_place()) z.packed = plan.schedule == Schedule::kv_heads ? plan.workers : 1;
  if (plan.schedule == Schedule::in_place_blocks) z.states = saturating_count(plan.kv_heads, plan.blocks);
  z.state_rows = saturating_count(z.states, plan.rows);
  if (plan.keeps_rows) z.kept_rows = saturating_count(plan.kv_heads, plan.rows);
  z.second_pass = plan.second_pass;
  return z;
}

// A smaller problem, or a share, may have other schedules, fewer KV heads with more rows each, larger groups. So each
// piece is as large as the largest that any of these can choose.
Sizes largest_sizes(const Problem& p, const simd::Kernels& kernels) noexcept {
  const std::int64_t threads = p.parallel ? std::max<std::int64_t>(1, p.parallel->threads) : 1;
  const std::int64_t kv_heads = saturating_count(p.batch.count, p.kv_heads);
  const std::int64_t rows = saturating_count(p.batch.query_length, p.query_heads);  // of one KV head for all heads
  const std::int64_t all_rows = saturating_count(p.batch.count, rows);
  const std::int64_t blocks = ceil_divide(p.batch.key_length, simd::key_block);
  Sizes z{p, kernels};
  if (kv_heads == 0 || rows == 0) return z;
  const std::int64_t all_blocks = saturating_count(kv_heads, std::max<std::int64_t>(blocks, 1));
  const std::int64_t tasks = std::max(all_blocks, ceil_divide(rows, most_rows_per_tile));
  z.workers = std::min(threads, tasks);
  z.rows_per_tile = rows;
  if (rows > kernels.in_place_rows) {
    z.rows_per_tile = std::min(most_rows_per_tile, round_up(std::min(rows, most_rows_per_tile), 2 * kernels.tile_rows));
    // KV heads of as many rows, each of so many query heads.
    const std::int64_t group = kernels.in_place_rows / p.batch.query_length + 1;
    const std::int64_t packing = saturating_count(p.batch.count, std::min(p.kv_heads, p.query_heads / group));
    z.packed = std::max<std::int64_t>(1, std::min(threads, packing / many_heads));
  }
  z.group = p.query_heads;
  if (threads > 1 && blocks > 1) {
    const std::int64_t few_heads = std::min(kv_heads, saturating_count(threads, many_heads));
    z.states = saturating_count(few_heads, blocks);
    const std::int64_t rows_of_few = std::min<std::int64_t>(rows, kernels.in_place_rows);
    z.state_rows = saturating_count(std::min(saturating_count(few_heads, rows_of_few), all_rows), blocks);
  }
  z.second_pass = p.extras.weights.data || p.extras.key_weight_sums;
  if (z.second_pass) z.kept_rows = all_rows;
  return z;
}

}  // namespace attn::streaming
