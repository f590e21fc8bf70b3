// The sequences of a batch, and which keys a query sees: the one place that decides it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

#include "attn/attention.hpp"
#include "base/saturating.hpp"
#include "call/addresses.hpp"

namespace attn {

struct KeyRange {
  std::int64_t begin, end;  // begin <= j < end; empty if begin >= end

  bool empty() const noexcept { return begin >= end; }
};

// One item of the batch: where its rows stand in the tensors, and how many they are. A packed batch has its sequences
// one after the other in one item.
struct Sequence {
  std::int64_t item;  // number in the batch: the index of masks, biases, lengths and offsets
  std::int64_t batch;  // index into query, key, value and output
  std::int64_t first_query, query_length;  // rows of query, output
  std::int64_t first_key, key_length;  // rows of key, value: those that may be read
  std::int64_t offset;  // position of query row 0 among the keys

  // Offsets may be any int64: sums saturate.
  std::int64_t position(std::int64_t query) const noexcept { return saturating_add(offset, query); }
};

// The sequences of a call.
struct Batch {
  std::int64_t count = 1, query_length = 0, key_length = 0;  // the longest ones
  Alignment alignment = Alignment::bottom_right;
  const std::int64_t* query_offsets = nullptr;
  const std::int64_t* key_lengths = nullptr;
  const std::int64_t* cu_query_lengths = nullptr;
  const std::int64_t* cu_key_lengths = nullptr;

  bool packed() const noexcept { return cu_query_lengths != nullptr; }
  // All keys of an item, those from its key length on too.
  std::int64_t capacity(std::int64_t item) const noexcept {
    return packed() ? cu_key_lengths[item + 1] - cu_key_lengths[item] : key_length;
  }
  Sequence at(std::int64_t item) const noexcept {
    Sequence s{item, item, 0, query_length, 0, capacity(item), 0};
    if (packed()) {
      s.batch = 0;
      s.first_query = cu_query_lengths[item];
      s.query_length = cu_query_lengths[item + 1] - s.first_query;
      s.first_key = cu_key_lengths[item];
    }
    if (key_lengths) s.key_length = key_lengths[item];
    s.offset = alignment == Alignment::top_left ? 0
        : alignment == Alignment::given         ? query_offsets[item]
                                                : s.key_length - s.query_length;
    return s;
  }
};

struct Visibility {
  bool causal = false;
  std::int64_t window_left = -1, window_right = -1;
  Mask mask;
  std::int64_t mask_columns = 0;  // of the last keys of a sequence; 0: of all
  Bias bias;  // whose -inf exclude keys

  // Below the key length, not after p if causal, within the window around p. A mask or a bias may exclude more.
  KeyRange range(const Sequence& s, std::int64_t query) const noexcept {
    const std::int64_t p = s.position(query);
    KeyRange keys{0, s.key_length};
    if (causal) keys.end = std::min(keys.end, saturating_add(p, 1));
    if (window_right >= 0) keys.end = std::min(keys.end, saturating_add(saturating_add(p, window_right), 1));
    if (window_left >= 0) keys.begin = std::max(keys.begin, saturating_add(p, -window_left));
    return keys.empty() ? KeyRange{0, 0} : keys;
  }
  // The keys that some query of a sequence sees, masks left aside: ranges of queries move by one, so they leave no gap.
  KeyRange needed(const Sequence& s) const noexcept {
    constexpr std::int64_t open = std::numeric_limits<std::int64_t>::max();
    const std::int64_t right = causal ? 0 : window_right, last_key = s.key_length - 1;
    // Of the queries whose range begins before the last key and ends behind key 0.
    std::int64_t first = s.position(0), last = s.position(s.query_length - 1);
    if (right >= 0) first = std::max(first, -right);
    if (window_left >= 0) last = std::min(last, saturating_add(last_key, window_left));
    if (s.query_length == 0 || s.key_length == 0 || first > last) return {0, 0};
    const std::int64_t begin = window_left < 0 ? 0 : std::max<std::int64_t>(0, saturating_add(first, -window_left));
    const std::int64_t end = right < 0 ? open : saturating_add(saturating_add(last, right), 1);
    return {begin, std::min(s.key_length, end)};
  }
  // Do all queries of a sequence have the same range?
  bool same_for_all() const noexcept { return !causal && window_left < 0 && window_right < 0; }
  // Are there keys inside a range that a query does not see?
  bool has_holes() const noexcept { return mask.data || bias.data; }
  // The key of column 0 of the mask; before key 0 where a sequence has fewer keys than the mask has columns.
  std::int64_t first_masked(const Sequence& s) const noexcept {
    return mask_columns == 0 ? 0 : s.key_length - mask_columns;
  }
  // There are none before this key.
  std::int64_t first_hole(const Sequence& s) const noexcept {
    return bias.data ? 0 : std::max<std::int64_t>(0, first_masked(s));
  }
  // Have all queries of a head the same ones?
  bool same_holes_for_all() const noexcept {
    return (!mask.data || mask.row_stride == 0) && (!bias.data || bias.row_stride == 0);
  }
  // Is key j, in the range, no such hole?
  bool unmasked(const Sequence& s, std::int64_t head, std::int64_t query, std::int64_t j) const noexcept;
};

}  // namespace attn
