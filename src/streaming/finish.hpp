// The end of a tile: from its state after all blocks to the caller's output and log-sum-exp.
#pragma once

#include "streaming/tile.hpp"

namespace attn::streaming {

// The state of rows that have seen no key.
void clear(const simd::State& state, std::int64_t rows) noexcept;

// Sinks, output and log-sum-exp of the tile's part; what weights need of its rows, into scratch.ends. `state` is used
// up.
void finish_tile(
    const Plan& plan, const KvHead& kv, const Tile& tile, const simd::State& state,
    const TileScratch& scratch) noexcept;

}  // namespace attn::streaming
