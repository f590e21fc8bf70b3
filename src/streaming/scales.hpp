// The scales of int8 keys and values of one block, as the kernels take them.
#pragma once

#include <cstdint>

#include "streaming/tile.hpp"

namespace attn::streaming {

// Floats of a block's scales: [groups of columns, key_block]; 0 where the type has none.
std::int64_t scales_of_a_block(DType type, std::int64_t columns) noexcept;

// Copies the scales of some keys of a block, counted from its first, into scratch, and points `b` at them. Scales of
// other keys are not read; in the vectors that hold some, they are 0.
void take_key_scales(
    const Plan& plan, const KvHead& kv, std::int64_t block, KeyRange keys, const TileScratch& scratch,
    simd::KeyBlock& b) noexcept;
// The same of values. A scale that is not finite counts as a value that is not.
void take_value_scales(
    const Plan& plan, const KvHead& kv, std::int64_t block, KeyRange keys, const TileScratch& scratch,
    simd::KeyBlock& b) noexcept;

// The keys of a block that some row of the tile sees, masks left aside, once see_block() has found them.
KeyRange seen_in_block(const Tile& tile, const TileScratch& scratch) noexcept;

}  // namespace attn::streaming
