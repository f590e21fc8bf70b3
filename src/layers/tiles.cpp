#include "layers/tiles.hpp"

#include <algorithm>

#include "base/saturating.hpp"
#include "base/tasks.hpp"
#include "dispatch.hpp"

namespace attn::tiles {

static_assert(column_step == simd::panel_columns, "a range of columns begins at a panel");

std::int64_t packed_columns(std::int64_t columns) noexcept { return round_up(columns, column_step); }

void pack(
    const float* w, WeightLayout layout, std::int64_t in, std::int64_t first, std::int64_t count,
    float* packed) noexcept {
  const bool rows_of_columns = layout == WeightLayout::in_out;
  const std::int64_t next_input = rows_of_columns ? count : 1, next_column = rows_of_columns ? 1 : in;
  for (std::int64_t j = 0, columns; j < count; j += columns) {  // the columns of one panel
    const std::int64_t at = (first + j) % column_step;
    columns = std::min(column_step - at, count - j);
    float* const panel = packed + (first + j - at) * in + at;
    for (std::int64_t k = 0; k < in; ++k)
      for (std::int64_t n = 0; n < columns; ++n) panel[k * column_step + n] = w[k * next_input + (j + n) * next_column];
  }
}

namespace {

// Rows that a panel serves before the next one is read from L3 or memory: 256 were 1.01 to 1.06 times as fast as 128.
constexpr std::int64_t most_rows = 256;
constexpr std::int64_t fewest_rows = 24;
// So many tasks a worker: the last ones to finish are not far apart.
constexpr std::int64_t tasks_per_worker = 4;
// As in src/streaming/schedule.cpp: what a worker must save to be worth it.
constexpr double worth_a_worker_ns = 2500;
// Weights in L3, which few rows wait for: 20 bytes a cycle on Zen 3.
constexpr double weight_bytes_per_ns = 32;

// Tasks: blocks of rows times groups of panels.
struct Grid {
  std::int64_t workers, rows, panels;  // rows and panels of a task
  std::int64_t blocks, groups;
};

std::int64_t wanted_workers(
    const Panels& p, std::int64_t rows, const simd::Kernels& kernels, const Parallel* parallel) noexcept {
  const double weights = static_cast<double>(p.in) * static_cast<double>(p.columns);
  const double ns =
      std::max(2 * weights * static_cast<double>(rows) / kernels.packed_flop_per_ns, 4 * weights / weight_bytes_per_ns);
  return workers_for(parallel, ns, worth_a_worker_ns);
}

Grid grid_of(const Panels& p, std::int64_t rows, const simd::Kernels& kernels, const Parallel* parallel) noexcept {
  Grid g{};
  g.workers = wanted_workers(p, rows, kernels, parallel);
  // One or two rows are multiplied by up to four panels at once, on every instruction set.
  const std::int64_t unit = rows <= 2 ? 4 : kernels.panel_keys / column_step;
  const std::int64_t panels = ceil_divide(p.columns, column_step), units = ceil_divide(panels, unit);
  const std::int64_t tasks = g.workers == 1 ? 1 : g.workers * tasks_per_worker;
  g.blocks =
      std::max(ceil_divide(rows, most_rows), std::min(ceil_divide(tasks, units), ceil_divide(rows, fewest_rows)));
  g.rows = ceil_divide(ceil_divide(rows, g.blocks), kernels.tile_rows) * kernels.tile_rows;
  g.blocks = ceil_divide(rows, g.rows);
  g.panels = unit * ceil_divide(units, std::min(units, ceil_divide(tasks, g.blocks)));
  g.groups = ceil_divide(panels, g.panels);
  return g;
}

}  // namespace

void multiply(const Panels& p, const Rows& rows, const Parallel* parallel) {
  Status status;
  const simd::Kernels* const kernels = dispatch::active(status);
  throw_if_error(status);
  const Grid g = grid_of(p, rows.count, *kernels, parallel);
  for_each({parallel, g.workers}, g.blocks * g.groups, [&](std::int64_t, std::int64_t i) {
    const std::int64_t r = i / g.groups * g.rows, n = i % g.groups * g.panels * column_step;
    simd::Projected task;
    task.x = rows.x + r * p.in;
    task.x_stride = task.in = p.in;
    task.rows = std::min(g.rows, rows.count - r);
    task.panels = p.w + n * p.in;
    task.bias = p.bias + n;
    task.columns = std::min(g.panels * column_step, p.columns - n);
    task.y = rows.y + r * rows.stride + n;
    task.y_stride = rows.stride;
    kernels->project(task);
  });
}

}  // namespace attn::tiles
