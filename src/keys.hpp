// Which keys a query row may attend to.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

#include "attn/attention.hpp"

namespace attn {

struct KeyRange {
  std::int64_t begin, end;  // begin <= j < end; empty if begin >= end
};

inline std::int64_t key_length(const AttentionArgs& args, std::int64_t batch) noexcept {
  return args.key_lengths ? args.key_lengths[batch] : args.key_length;
}

// The position of query row 0 among the keys of this batch item.
inline std::int64_t query_offset(const AttentionArgs& args, std::int64_t batch) noexcept {
  switch (args.alignment) {
    case Alignment::top_left:
      return 0;
    case Alignment::given:
      return args.query_offsets[batch];
    case Alignment::bottom_right:
      break;
  }
  return key_length(args, batch) - args.query_length;
}

// The keys of query row `query`: below the key length, not after p if causal, within the window around p;
// p = offset + query. Sums saturate: offsets and windows may be any int64.
inline KeyRange allowed_keys(const AttentionArgs& args, std::int64_t batch, std::int64_t query) noexcept {
  constexpr std::int64_t top = std::numeric_limits<std::int64_t>::max();
  auto sum = [](std::int64_t a, std::int64_t b) {
    std::int64_t c;
    return __builtin_add_overflow(a, b, &c) ? (a < 0 ? std::numeric_limits<std::int64_t>::min() : top) : c;
  };
  const std::int64_t position = sum(query_offset(args, batch), query);
  KeyRange range{0, key_length(args, batch)};
  if (args.causal) range.end = std::min(range.end, sum(position, 1));
  if (args.window_right >= 0) range.end = std::min(range.end, sum(sum(position, args.window_right), 1));
  if (args.window_left >= 0) range.begin = std::max(range.begin, sum(position, -args.window_left));
  if (range.begin >= range.end) range = {0, 0};
  return range;
}

}  // namespace attn
