// What a boolean mask leaves of the keys that the rows of a tile see in one block.
#pragma once

#include <cstdint>

#include "streaming/plan.hpp"
#include "streaming/workspace.hpp"

namespace attn::streaming {

class BlockMask {
 public:
  // Of the block whose first key is `key`.
  BlockMask(const Plan& plan, const KvHead& kv, std::int64_t key, const TileScratch& scratch) noexcept
      : plan_(plan), kv_(kv), key_(key), scratch_(scratch) {}

  // Narrows scratch.begin and scratch.end of row r, and sets scratch.allowed. Rows in order: one whose mask stands
  // at the address of the row before it (broadcast over the queries) takes what was found there.
  void apply(std::int64_t r) noexcept;

 private:
  void read(std::int64_t r, const std::uint8_t* row) noexcept;

  const Plan& plan_;
  const KvHead& kv_;
  const std::int64_t key_;
  const TileScratch& scratch_;
  const std::uint8_t* previous_ = nullptr;  // the row before: its mask, and its range before the mask
  std::int32_t previous_begin_ = 0, previous_end_ = 0;
};

}  // namespace attn::streaming
