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
  if (plan.stack > 1) return {0, kv.head + row};  // one query and groups of one
  return {r / group, kv.head * group + r % group};
}

// Of the row behind it, without a division.
inline Place next_place(const Plan& plan, const KvHead& kv, Place place) noexcept {
  const std::int64_t first = kv.head * plan.problem.group;
  if (plan.stack > 1) return {0, place.head + 1};
  return place.head + 1 < first + plan.problem.group ? Place{place.query, place.head + 1}
                                                     : Place{place.query + 1, first};
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

// Rows of a tile that run together: those of [begin, end) that go through steps, or that do not.
struct Part {
  std::int64_t begin, end;
  bool stepped;
};

struct Tile {
  std::int64_t first_row, rows;  // of the KV head's rows
  Blocks blocks;  // that any of them sees, masks left aside
  simd::Queries queries;  // the caller's where rows are queries one after the other, else copied into scratch
  const std::uint8_t* biased;  // [rows]: does a bias change its scores? Null: none does
  bool all_stepped;
  Part part;  // whose turn it is: all other rows are taken for rows without keys

  bool is_biased(std::int64_t r) const noexcept { return biased && biased[r]; }
  bool stepped(std::int64_t r) const noexcept { return all_stepped || is_biased(r); }
  bool in_part(std::int64_t r) const noexcept { return part.begin <= r && r < part.end && stepped(r) == part.stepped; }
};

// What is kept for the rows that go through steps, or that do not.
inline const Kept& kept_of(const Plan& plan, bool stepped, const TileScratch& scratch) noexcept {
  return scratch.kept[plan.rules > 1 && stepped];
}

// Makes the tile's part all its rows without steps, or with them; false if there are none.
bool take_part(Tile& tile, bool stepped) noexcept;

// Fills w.biased for the rows of a tile whose scratch is loaded, and keeps the blocks that it read: scratch.known_bits,
// scratch.kept of them.
void find_biased(
    const Plan& plan, const KvHead& kv, const Tile& tile, const TileScratch& scratch, const Workspace& w) noexcept;

// Tile number `index` of a KV head. Fills scratch.place and scratch.range, and scratch.query where it copies.
Tile load_tile(
    const Plan& plan, const KvHead& kv, std::int64_t index, const TileScratch& scratch, const Workspace& w) noexcept;

// All blocks of the KV head's keys.
inline Blocks all_blocks(const KvHead& kv) noexcept {
  return {0, ceil_divide(kv.sequence.key_length, simd::key_block)};
}
// The blocks that any row of the KV head sees, masks left aside.
Blocks blocks_in_range(const Plan& plan, const KvHead& kv) noexcept;
// The blocks that any row of the KV head sees: no other is packed. A window over a long cache needs few, and so does
// padding behind the keys in use. All, where scores are asked for.
Blocks blocks_of(const Plan& plan, const KvHead& kv) noexcept;

// Which keys of a block the rows of the tile's part see, and the steps of their scores: into scratch. False if none
// sees any.
bool see_block(
    const Plan& plan, const KvHead& kv, const Tile& tile, std::int64_t block, const TileScratch& scratch) noexcept;

// The block as the kernels take it: in place, or as `packed` holds it for the whole KV head.
simd::KeyBlock block_at(
    const Plan& plan, const KvHead& kv, std::int64_t block, const Packed* packed, const TileScratch& scratch) noexcept;

// What see_block() has found, as the kernels take it.
simd::Visible visible(const Plan& plan, const Tile& tile, const TileScratch& scratch) noexcept;
inline simd::ScoreRule rule(const Plan& plan, const Tile& tile, const TileScratch& scratch) noexcept {
  return {plan.exponents[tile.part.stepped], tile.part.stepped ? &plan.steps : nullptr, scratch.row_steps};
}

}  // namespace attn::streaming
