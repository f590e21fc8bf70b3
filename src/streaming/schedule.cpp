// Which way a call goes, how many threads take part, and the memory that any such way takes at most.
#include <algorithm>

#include "streaming/plan.hpp"
#include "streaming/sums.hpp"
#include "streaming/workspace.hpp"

namespace attn::streaming {
namespace {

// Rows of a packed tile: 48 to 96 were equal within 2 %.
constexpr std::int64_t most_rows_per_tile = 48;
// With at least this many KV heads for each worker a task is a KV head: the last ones to finish are not far apart. In
// place, blocks as tasks were 5 to 10 % slower with six heads a worker.
constexpr std::int64_t many_heads = 4;
// Decoded heads share what a tile costs beside its products: 96 heads of 16 keys took 0.85 of the time, of 64 keys
// 0.98.
constexpr std::int64_t most_stacked = 8, most_keys_of_a_stack = 256;
// A packed copy of a KV head that is so small is one for each worker, wherever tasks by tiles are fewer than workers.
constexpr std::size_t small_copy = std::size_t{1} << 20;

// A worker takes about a microsecond to begin, and as long again for what it finds in another core's cache.
constexpr double worth_a_worker_ns = 2500;
// Where all pack and then all run tiles, they wait for each other twice: 64 x 64 x 32, 17 us, took 20 on two threads.
constexpr double worth_in_phases_ns = 6000;
// One core reads 10 (Zen) to 17 (Intel) bytes a nanosecond from memory.
constexpr double memory_bytes_per_ns = 12;
// What a KV head and a row take beside their products: addresses, ranges, the end of a row.
constexpr double kv_head_ns = 150, row_ns = 30;

// About the nanoseconds that the call, or its share, takes on one thread. Masks are left aside.
double time_on_one_thread(const Plan& plan) noexcept {
  const Problem& p = plan.problem;
  const double group = static_cast<double>(p.group), kv_heads = static_cast<double>(p.kv_heads);
  double products = 0, keys = 0, rows = 0;  // of one KV head of each item
  for (std::int64_t b = 0; b < p.batch.count; ++b) {
    const Sequence s = p.batch.at(b);
    const double seen = keys_seen(p, s);
    products += seen * group;
    keys += std::min(seen, static_cast<double>(s.key_length));
    rows += static_cast<double>(s.query_length) * group;
  }
  const bool packed = plan.rows > plan.kernels.in_place_rows;
  const double flop_per_ns = packed ? plan.kernels.packed_flop_per_ns : plan.kernels.in_place_flop_per_ns;
  const double flop = 2 * products * static_cast<double>(p.head_dim + p.value_dim);
  const double bytes =
      keys * static_cast<double>(bytes_of(p.key.dtype, p.head_dim) + bytes_of(p.value.dtype, p.value_dim));
  const double one = std::max(flop / flop_per_ns, bytes / memory_bytes_per_ns) + row_ns * rows;
  return (one + kv_head_ns * static_cast<double>(p.batch.count)) * kv_heads / static_cast<double>(p.share_count);
}

// How many threads the call is worth, of those that there are.
std::int64_t wanted_workers(const Plan& plan) noexcept {
  const Parallel* const parallel = plan.problem.parallel;
  if (!parallel || parallel->threads <= 1) return 1;
  const bool phases = plan.rows > plan.kernels.in_place_rows && plan.kv_heads / many_heads < parallel->threads;
  return workers_for(parallel, time_on_one_thread(plan), phases ? worth_in_phases_ns : worth_a_worker_ns);
}

// The most tasks that any phase of the call has: no more workers than these can ever work.
std::int64_t most_tasks(const Plan& plan) noexcept {
  std::int64_t tasks = plan.kv_heads;
  if (plan.schedule == Schedule::in_place_blocks) tasks = saturating_count(plan.kv_heads, plan.blocks);
  if (plan.schedule == Schedule::tiles) tasks = std::max(plan.blocks, plan.units);
  return tasks;
}

std::int64_t heads_in_a_stack(const Plan& plan) noexcept {
  const Problem& p = plan.problem;
  const bool one_row_each = plan.rows == 1 && p.group == 1 && !p.batch.packed() && !p.pages.table;
  if (p.scaled() || !plan.uniform || !one_row_each || p.extras.key_weight_sums ||
      p.batch.key_length > most_keys_of_a_stack)
    return 1;
  return std::clamp<std::int64_t>(plan.kv_heads / (2 * plan.workers), 1, std::min(most_stacked, p.kv_heads));
}

}  // namespace

void choose_schedule(Plan& plan) noexcept {
  const bool in_place = plan.rows <= plan.kernels.in_place_rows;
  plan.workers = wanted_workers(plan);
  plan.rows_per_tile = plan.rows;
  if (!in_place) {
    const std::int64_t tiles = ceil_divide(plan.rows, most_rows_per_tile);
    plan.rows_per_tile = round_up(ceil_divide(plan.rows, tiles), 2 * plan.kernels.tile_rows);
  }
  const std::int64_t unit_rows = saturating_count(sum_group, plan.problem.group);
  const bool cut = plan.problem.extras.key_weight_sums && plan.rows > unit_rows;
  if (cut) plan.rows_per_tile = sum_group;  // so that a unit is whole tiles
  plan.tiles = plan.rows == 0 ? 0 : ceil_divide(plan.rows, plan.rows_per_tile);
  if (plan.problem.extras.key_weight_sums)
    plan.unit_tiles = cut ? plan.problem.group : std::max<std::int64_t>(1, plan.tiles);
  plan.units = ceil_divide(plan.tiles, plan.unit_tiles);
  if (in_place) {
    const bool heads = plan.workers == 1 || plan.kv_heads / many_heads >= plan.workers || plan.blocks < 2;
    plan.schedule = heads ? Schedule::in_place : Schedule::in_place_blocks;
    if (plan.schedule == Schedule::in_place) plan.stack = heads_in_a_stack(plan);
    plan.rows_per_tile = std::max(plan.rows, plan.stack);
  } else {
    const bool heads = plan.workers == 1 || plan.kv_heads / many_heads >= plan.workers;
    const bool few_units = plan.units < plan.workers && plan.units < plan.kv_heads;
    plan.schedule = heads || (few_units && packed_bytes(plan.problem, plan.kernels) <= small_copy) ? Schedule::kv_heads
                                                                                                   : Schedule::tiles;
  }
  plan.workers = std::max<std::int64_t>(1, std::min(plan.workers, most_tasks(plan)));
}

Sizes sizes_of(const Plan& plan) noexcept {
  Sizes z{plan.problem, plan.kernels};
  z.workers = plan.workers;
  z.rows_per_tile = plan.rows_per_tile;
  z.group = plan.problem.group;
  if (!plan.in_place()) z.packed = plan.schedule == Schedule::kv_heads ? std::min(plan.workers, plan.kv_heads) : 1;
  if (plan.schedule == Schedule::in_place_blocks) z.states = saturating_count(plan.kv_heads, plan.blocks, plan.rules);
  z.state_rows = saturating_count(z.states, plan.rows);
  if (plan.problem.scoring.bias.data) z.biased_rows = saturating_count(plan.kv_heads, plan.rows);
  if (plan.weighs) z.kept_blocks = std::max<std::int64_t>(1, plan.blocks);
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
    const std::int64_t copies = std::max<std::int64_t>(1, std::min(threads, packing / many_heads));
    const std::size_t copy = packed_bytes(p, kernels);
    z.packed_memory = std::max(
        saturating_product(copies, copy), saturating_product(std::min(threads, packing), std::min(copy, small_copy)));
  }
  if (p.extras.key_weight_sums && p.batch.query_length > sum_group)
    z.rows_per_tile = std::max(z.rows_per_tile, sum_group);
  z.group = p.query_heads;
  if (threads > 1 && blocks > 1) {
    const std::int64_t few_heads = std::min(kv_heads, saturating_count(threads, many_heads));
    z.states = saturating_count(few_heads, blocks, rules_of(p));
    const std::int64_t rows_of_few = std::min<std::int64_t>(rows, kernels.in_place_rows);
    z.state_rows = saturating_count(std::min(saturating_count(few_heads, rows_of_few), all_rows), blocks, rules_of(p));
  }
  if (p.scoring.bias.data) z.biased_rows = all_rows;
  if (p.weighs()) z.kept_blocks = std::max<std::int64_t>(1, blocks);
  return z;
}

}  // namespace attn::streaming
