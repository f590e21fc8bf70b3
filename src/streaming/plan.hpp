// How the streaming path cuts its work. Nothing here computes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/tasks.hpp"
#include "call/problem.hpp"
#include "call/share.hpp"
#include "simd/kernels.hpp"

namespace attn::streaming {

// The unit of work is one KV head of one batch item, with all the queries that attend to it:
//   row r = query r / group of query head r % group of its group: a tile's rows stand close together among the keys
// Four ways to spread the work. None changes a bit, because a row's blocks are computed apart and merged left to right.
enum class Schedule {
  in_place,  // few rows (decode): K and V are read in place; a task is a KV head, or a stack of them
  in_place_blocks,  // few rows and few KV heads: a task is one block of keys of a KV head
  kv_heads,  // many KV heads: a task is a KV head, which packs its K and V for itself and runs all its tiles
  tiles,  // few KV heads: one after the other; all threads pack its blocks, then all run its tiles
};

struct Plan {
  const Problem& problem;
  const simd::Kernels& kernels;
  Share share{};  // what this call computes: all below is of it
  Schedule schedule = Schedule::in_place;
  std::int64_t workers = 1;
  std::int64_t kv_heads = 0;  // of all batch items
  std::int64_t rows = 0;  // of one KV head (the longest)
  std::int64_t rows_per_tile = 0, tiles = 0;  // of one KV head
  std::int64_t blocks = 0;  // of keys
  std::int64_t padded_value_dim = 0;  // rounded up to whole vectors: floats from row to row of outputs
  std::int64_t key_stride = 0, value_stride = 0;  // elements from row to row; 0 where there is one row
  std::int64_t rules = 1;  // as rules_of()
  std::int64_t known_blocks = 0;  // of a row's mask and bias, read once to see what the bias is, and used from there
  bool fetch_ahead = false;  // in place: keys and values are more than the caches are likely to hold
  bool uniform = false;  // all rows of a sequence see the same keys, without steps: nothing is asked row by row
  std::int64_t stack = 1;  // in place, KV heads of one row each that run as one tile
  bool negate = false;  // the queries, for a scale below 0 that the exponent cannot hold
  bool weighs = false;  // weights or their sums are wanted: a tile keeps its exponentials of all keys
  std::int64_t unit_tiles = 1,
               units = 0;  // of one KV head: what one worker does in one go; several tiles with sums (sums.hpp)
  simd::ScoreSteps steps{};
  simd::Exponent exponents[2] = {};  // of rows without steps, and with them

  Team team() const noexcept { return {problem.parallel, workers}; }
  bool in_place() const noexcept { return schedule == Schedule::in_place || schedule == Schedule::in_place_blocks; }
};

// 2 if some rows may go through steps and others not.
inline std::int64_t rules_of(const Problem& p) noexcept { return p.scoring.bias.data && !p.scoring.stepped ? 2 : 1; }

// What a row's mask and bias are is kept for at most so many blocks, 64 bytes each. A bias [T, T] of 0 and -inf, 512 x
// 512, costs 12 % more than the boolean mask, and 33 % if it is read twice.
inline std::int64_t known_blocks_of(const Problem& p) noexcept {
  constexpr std::int64_t most = 16;
  return p.scoring.bias.data ? std::min(ceil_divide(p.batch.key_length, simd::key_block), most) : 0;
}

Plan make_plan(const Problem& problem, const simd::Kernels& kernels) noexcept;
// Its schedule, workers and tiles, once the rest is known: schedule.cpp.
void choose_schedule(Plan& plan) noexcept;

// One KV head of one batch item.
struct KvHead {
  Sequence sequence;
  std::int64_t index, head;  // number among those of the plan, and in its item
  std::int64_t first_row;  // that the plan's share computes
  std::int64_t stacked = 1;  // it stands for so many heads, a row each
  std::int64_t rows, tiles;  // at most those of the plan; less in a short sequence of a packed batch
  KeyRange needed;  // with pages the keys that some query of the sequence may see, or all for scores; else all
  const char *keys, *values;  // of the sequence's first key; not with pages
};
KvHead kv_head_at(const Plan& plan, std::int64_t index) noexcept;

// Key j, which is needed, and its value. Of keys in panels: of sixteen keys the first stands at their panel, and each
// of the others a sixteenth further on.
inline const char* key_at(const Plan& plan, const KvHead& kv, std::int64_t j) noexcept {
  const Problem& p = plan.problem;
  const CacheRow at = p.pages.table ? p.cache_row(kv.sequence, j) : CacheRow{0, j};
  const char* const first = p.pages.table ? address_of(p.key, at.batch, kv.head, 0) : kv.keys;
  const std::int64_t element = p.panels() ? at.row / cache_panel * plan.key_stride + at.row % cache_panel * p.head_dim
                                          : at.row * plan.key_stride;
  return first + bytes_of(p.key.dtype, element);
}
inline const char* value_at(const Plan& plan, const KvHead& kv, std::int64_t j) noexcept {
  if (plan.problem.pages.table) {
    const CacheRow at = plan.problem.cache_row(kv.sequence, j);
    return address_of(plan.problem.value, at.batch, kv.head, at.row);
  }
  return kv.values + bytes_of(plan.problem.value.dtype, j * plan.value_stride);
}

inline KeyRange keys_of_block(const KvHead& kv, std::int64_t block) noexcept {
  const std::int64_t key = block * simd::key_block;
  return {key, std::min<std::int64_t>(key + simd::key_block, kv.sequence.key_length)};
}

// What the plan takes of the workspace.
struct Sizes;
Sizes sizes_of(const Plan& plan) noexcept;

// The most of everything that the plan of this problem, of a share of it or of a smaller one can take. It reads no
// array, and grows with each size of the problem: that makes workspace_size() do so.
Sizes largest_sizes(const Problem& problem, const simd::Kernels& kernels) noexcept;

// Whether the next KV head's keys and values may wait in L2 while this one is computed.
bool fits_l2(const Plan& plan) noexcept;

}  // namespace attn::streaming
