// A tile of query rows of a KV head: its queries, and the keys that each row sees in a block.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

#include "streaming/plan.hpp"
#include "streaming/workspace.hpp"

namespace attn::streaming {

inline Place place_of(const Plan& plan, const KvHead& kv, std::int64_t row) noexcept {
  const std::int64_t group = plan.problem.group, r = kv.first_row + row;
  return {r / group, kv.head * group + r % group};
}

// The key blocks that some rows see.
struct Blocks {
  std::int64_t begin = std::numeric_limits<std::int64_t>::max(), end = 0;

  bool empty() const noexcept { return begin >= end; }
  bool contain(std::int64_t block) const noexcept { return begin <= block && block < end; }
  void include(KeyRange keys) noexcept {
    if (keys.empty()) return;
    begin = std::min(begin, keys.begin / simd::key_block);
    end = std::max(end, ceil_divide(keys.end, simd::key_block));
  }
};

struct Tile {
  std::int64_t first_row, rows;  // of the KV head's rows
  Blocks blocks;  // that any of them sees, masks left aside
  simd::Queries queries;  // the caller's where rows are queries one after the other, else copied into scratch
};

// Tile number `index` of a KV head. Fills scratch.place and scratch.range, and scratch.query where it copies.
Tile load_tile(const Plan& plan, const KvHead& kv, std::int64_t index, const TileScratch& scratch) noexcept;

// Which keys of a block the rows of the tile see, and the steps of their scores: into scratch. False if none sees any.
bool see_block(
    const Plan& plan, const KvHead& kv, const Tile& tile, std::int64_t block, const TileScratch& scratch) noexcept;

// The block as the kernels take it: in place, or as `packed` holds it for the whole KV head.
simd::KeyBlock block_at(const Plan& plan, const KvHead& kv, std::int64_t block, const Packed* packed) noexcept;

// What see_block() has found, as the kernels take it.
inline simd::Visible visible(const Plan& plan, const TileScratch& scratch) noexcept {
  return {scratch.begin, scratch.end, plan.problem.visibility.has_holes() ? scratch.allowed : nullptr};
}
inline simd::ScoreRule rule(const Plan& plan, const TileScratch& scratch) noexcept {
  return {plan.exponent, plan.problem.scoring.stepped ? &plan.steps : nullptr, scratch.row_steps};
}

}  // namespace attn::streaming
