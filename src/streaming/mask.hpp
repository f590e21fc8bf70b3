// What a mask and a bias of -inf leave of the keys that the rows of a tile see in one block.
#pragma once

#include <cstdint>

#include "call/holes.hpp"
#include "streaming/plan.hpp"
#include "streaming/workspace.hpp"

namespace attn::streaming {

inline Row row_at(const Plan& plan, const KvHead& kv, Place place) noexcept {
  return {plan.problem, plan.kernels, kv.sequence, place.head, place.query};
}

// Where the bits of row r of the blocks that are kept begin.
inline std::uint64_t* known_bits(const Plan& plan, const TileScratch& scratch, std::int64_t r) noexcept {
  return scratch.known_bits + r * plan.known_blocks * (simd::key_block / 64);
}

class BlockMask {
 public:
  // Of the block whose first key is `key`.
  BlockMask(const Plan& plan, const KvHead& kv, std::int64_t key, const TileScratch& scratch) noexcept
      : plan_(plan), kv_(kv), key_(key), scratch_(scratch) {}

  // Narrows scratch.begin and scratch.end of row r, and sets scratch.allowed. Rows in order: one whose mask and bias
  // stand at the addresses of the row before it (broadcast over the queries) takes what was found there.
  void apply(std::int64_t r) noexcept;

 private:
  const std::uint64_t* read(std::int64_t r) noexcept;
  void narrow(std::int64_t r, const std::uint64_t* allowed) noexcept;

  const Plan& plan_;
  const KvHead& kv_;
  const std::int64_t key_;
  const TileScratch& scratch_;
  HolesAt previous_;  // of the row before
};

}  // namespace attn::streaming
