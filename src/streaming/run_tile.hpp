// A tile of query rows against blocks of keys: all of them one after the other, or one alone.
#pragma once

#include "streaming/tile.hpp"

namespace attn::streaming {

// One block of keys for the part of a tile: where its keys stand, and where the result goes.
struct BlockOfTile {
  std::int64_t block;
  const Packed* packed;  // null: in place
  simd::Prefetch prefetch;
  simd::State to;
};

// False if no row of the part sees a key of the block: then there is no result.
bool attend_block(
    const Plan& plan, const KvHead& kv, const Tile& tile, const BlockOfTile& b, const TileScratch& scratch) noexcept;

// Where a tile's keys and values stand, and what this worker will probably run after it: its own next tile and the next
// KV head, or nothing.
struct Feed {
  const Packed* packed = nullptr;  // null: in place
  std::int64_t next_tile = -1;
  const KvHead* next_kv = nullptr;
};

// Tile `index` of a KV head against all its blocks, to its results.
void run_tile(
    const Plan& plan, const KvHead& kv, std::int64_t index, const Feed& feed, const Workspace& w,
    std::int64_t worker) noexcept;

}  // namespace attn::streaming
