#include "streaming/mask.hpp"

#include <algorithm>

namespace attn::streaming {

using simd::key_block;

void BlockMask::apply(std::int64_t r) noexcept {
  if (!plan_.problem.visibility.has_holes()) return;
  const Mask& mask = plan_.problem.visibility.mask;
  const std::int32_t begin = scratch_.begin[r], end = scratch_.end[r];
  const std::uint8_t* row = nullptr;
  scratch_.allowed[r] = nullptr;
  if (begin < end) {
    const Place place = scratch_.place[r];
    row = element_at(mask, kv_.sequence.item, place.head, place.query, key_);
    if (row == previous_ && begin == previous_begin_ && end == previous_end_) {
      scratch_.begin[r] = scratch_.begin[r - 1];
      scratch_.end[r] = scratch_.end[r - 1];
      scratch_.allowed[r] = scratch_.allowed[r - 1];
    } else {
      read(r, row);
    }
  }
  previous_ = row;
  previous_begin_ = begin;
  previous_end_ = end;
}

// What the mask leaves is often one run (padding): nothing outside it is computed, at the cost of a row without a mask.
// Else whole vectors at the ends are cut off, so that rows with similar masks keep one range and are multiplied
// together.
void BlockMask::read(std::int64_t r, const std::uint8_t* row) noexcept {
  std::int32_t &begin = scratch_.begin[r], &end = scratch_.end[r];
  const std::int64_t stride = plan_.problem.visibility.mask.column_stride;
  if (stride != 1) {
    for (std::int64_t j = begin; j < end; ++j) scratch_.gathered_mask[j] = row[j * stride];
    row = scratch_.gathered_mask;
  }
  std::uint64_t* const allowed = scratch_.allowed_bits + r * (key_block / 64);
  plan_.kernels.mask_to_bits(row, begin, end, allowed);
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
