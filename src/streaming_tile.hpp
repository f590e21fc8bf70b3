// A tile of query rows: its queries, the keys that each row sees in a block, and the steps of their scores.
#pragma once

#include <cstdint>
#include <limits>

#include "keys.hpp"
#include "streaming_plan.hpp"

namespace attn::streaming_path {

// The query and the query head of a row of a pair.
struct Place {
  std::int64_t query, head;
};
inline Place place_of(const Plan& plan, const Pair& pair, std::int64_t row) noexcept {
  return {row / plan.group, pair.kv_head * plan.group + row % plan.group};
}

// The key blocks that some rows see.
struct Blocks {
  std::int64_t first = std::numeric_limits<std::int64_t>::max(), last = 0;

  bool empty() const noexcept { return first >= last; }
  void include(KeyRange keys) noexcept {
    if (keys.begin >= keys.end) return;
    first = std::min(first, keys.begin / simd::key_block);
    last = std::max(last, (keys.end + simd::key_block - 1) / simd::key_block);
  }
};

// Some rows of a pair: their queries, and the blocks that any of them sees (masks left aside).
struct Tile {
  std::int64_t first_row, rows;
  Blocks blocks;
  const float* query;  // the caller's where rows are queries one after the other, else copied into scratch
  std::int64_t query_stride;
};

Tile load_tile(const Plan& plan, const Pair& pair, std::int64_t index, const TileScratch& scratch) noexcept;

// Fills all of `block` for key block `index` but the state that it works on, with scratch for the rest. `packed` is
// that block's, or null to read K and V in place. False if no row sees a key of it.
bool set_block(const Plan& plan, const Pair& pair, const Tile& tile, std::int64_t index, const PackedBlock* packed,
               const TileScratch& scratch, simd::Block& block) noexcept;

}  // namespace attn::streaming_path
