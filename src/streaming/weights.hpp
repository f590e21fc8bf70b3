// Weights of a tile's rows, and their sums: made of the exponentials that are kept of every block, once the maximum and
// the sum of all blocks are known.
//
//   w[j] = p[j] f_b,  p[j] = 2^((s[j] - m_b) c),  f_b = 2^((m_b - M) c) (1 / l),  b the block of key j
//
// One product a weight: neither the scores nor the exponentials are computed again.
#pragma once

#include "streaming/tile.hpp"

namespace attn::streaming {

// Keeps what attend has left of a block for the tile's part: maxima, and the keys that the rows see.
void keep_block(
    const Plan& plan, const Tile& tile, std::int64_t block, const simd::State& of_block,
    const TileScratch& scratch) noexcept;
// Of a block that no row of the part sees.
void keep_nothing(const Plan& plan, const Tile& tile, std::int64_t block, const TileScratch& scratch) noexcept;

// All rows of a tile, in order, once finish_tile() has filled scratch.ends: the caller's weights, and scratch.sums.
// Uses up what is kept.
void weigh_tile(const Plan& plan, const KvHead& kv, Tile& tile, const TileScratch& scratch) noexcept;

}  // namespace attn::streaming
