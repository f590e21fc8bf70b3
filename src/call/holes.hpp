// What a mask and a bias of -inf take out of the keys of a row, and whether the bias is more than such a mask.
#pragma once

#include <cstdint>

#include "call/problem.hpp"

namespace attn {

// allowed[key_block / 64]: bit j set where begin <= j < end and neither mask nor bias excludes key + j. At most
// key_block keys from `key` on. Does a bias change the score of a key that is left? It does unless it is 0.
bool read_holes(const Row& row, std::int64_t key, KeyRange keys, std::uint64_t* allowed) noexcept;

// The bias of key + j as float for begin <= j < end: where it stands, or gathered and widened into `wide`. At most
// key_block of them.
const float* bias_of(const Row& row, std::int64_t key, KeyRange keys, float* wide) noexcept;

// Where mask and bias of a row begin. Rows with the same addresses and range have the same holes (broadcast).
struct HolesAt {
  const void *mask = nullptr, *bias = nullptr;
  KeyRange range{0, 0};

  bool operator==(const HolesAt& x) const noexcept {
    return mask == x.mask && bias == x.bias && range.begin == x.range.begin && range.end == x.range.end;
  }
};
HolesAt holes_at(const Row& row, std::int64_t key, KeyRange range) noexcept;

// Rows one after the other: does a bias change the scores of a row? It does if it is neither 0 nor -inf for a key that
// the row sees. Else it is a mask, and the row has the bits of one. Asked row by row, so that no row depends on others.
class BiasedRows {
 public:
  // What was read of a row on the way: `count` blocks from that of the range's first key on, key_block / 64 words each,
  // of `room` at most.
  struct Kept {
    std::uint64_t* words = nullptr;
    std::int64_t room = 0, count = 0;
  };
  // `range`: the keys that the row sees, mask and bias left aside.
  bool next(const Row& row, KeyRange range, Kept& kept) noexcept;

 private:
  HolesAt previous_;
  bool biased_ = false;
};

}  // namespace attn
