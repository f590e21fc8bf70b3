// The scores that the caller asks for, beside the softmax of the same products.
#pragma once

#include "streaming/tile.hpp"

namespace attn::streaming {

// The products with all keys of a block, seen or not, into what is kept of the block: attend takes them from there.
void multiply_all(
    const Plan& plan, const Tile& tile, const simd::KeyBlock& keys, std::int64_t block,
    const TileScratch& scratch) noexcept;

// The caller's scores of the tile's part against a block, at the stage asked for. see_block() has been called for it.
void write_scores(
    const Plan& plan, const KvHead& kv, const Tile& tile, std::int64_t block, const TileScratch& scratch) noexcept;

// -inf behind the last key of row r.
void end_scores(const Plan& plan, const KvHead& kv, std::int64_t r, const TileScratch& scratch) noexcept;

}  // namespace attn::streaming
