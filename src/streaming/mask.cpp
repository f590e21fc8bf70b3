#include "streaming/mask.hpp"

#include <algorithm>

namespace attn::streaming {

using simd::key_block;

void BlockMask::apply(std::int64_t r) noexcept {
  const Visibility& visibility = plan_.problem.visibility;
  if (!visibility.has_holes()) return;
  KeyRange range{scratch_.begin[r], scratch_.end[r]};
  scratch_.allowed[r] = nullptr;
  if (key_ + range.end <= visibility.first_hole(kv_.sequence)) range = {0, 0};
  const HolesAt at = holes_at(row_at(plan_, kv_, scratch_.place[r]), key_, range);
  if (!range.empty() && at == previous_) {
    scratch_.begin[r] = scratch_.begin[r - 1];
    scratch_.end[r] = scratch_.end[r - 1];
    scratch_.allowed[r] = scratch_.allowed[r - 1];
  } else if (!range.empty()) {
    narrow(r, read(r));
  }
  previous_ = at;
}

// From what is kept, or from mask and bias.
const std::uint64_t* BlockMask::read(std::int64_t r) noexcept {
  const std::int64_t block = key_ / key_block - scratch_.range[r].begin / key_block;
  if (block < scratch_.known[r]) return known_bits(plan_, scratch_, r) + block * (key_block / 64);
  std::uint64_t* const allowed = scratch_.allowed_bits + r * (key_block / 64);
  read_holes(row_at(plan_, kv_, scratch_.place[r]), key_, {scratch_.begin[r], scratch_.end[r]}, allowed);
  return allowed;
}

// What is left is often one run (padding): nothing outside it is computed, at the cost of a row without a mask. Else
// whole vectors at the ends are cut off, so that rows with similar masks keep one range and are multiplied together.
void BlockMask::narrow(std::int64_t r, const std::uint64_t* allowed) noexcept {
  std::int32_t &begin = scratch_.begin[r], &end = scratch_.end[r];
  std::int32_t first = key_block, last = -1, count = 0;
  for (std::int32_t w = begin / 64; w < (end + 63) / 64; ++w) {
    if (allowed[w] == 0) continue;
    first = std::min(first, 64 * w + __builtin_ctzll(allowed[w]));
    last = 64 * w + 63 - __builtin_clzll(allowed[w]);
    count += __builtin_popcountll(allowed[w]);
  }
  if (count == 0) {
    begin = end = 0;
  } else if (count == last + 1 - first) {
    begin = first;
    end = last + 1;
  } else {
    begin = std::max(begin, first / 16 * 16);
    end = std::min(end, (last / 16 + 1) * 16);
    scratch_.allowed[r] = allowed;
  }
}

}  // namespace attn::streaming
