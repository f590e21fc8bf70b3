// Which rows of which heads a call computes: all of them, or its share.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

#include "call/problem.hpp"

namespace attn {

// All rows stand in one line: head after head of the first item, then of the next. A share is a piece of it, so shares
// are disjoint and together are everything.
struct Share {
  struct Rows {
    std::int64_t begin, end;
  };

  std::int64_t first_head = 0, heads = 0;  // first_head counts the heads of all items
  std::int64_t first_row = 0;  // of its first head
  std::int64_t end_row = std::numeric_limits<std::int64_t>::max();  // of its last head

  // Of its head number i, which has `all` rows.
  Rows rows_of(std::int64_t i, std::int64_t all) const noexcept {
    return {i == 0 ? first_row : 0, i == heads - 1 ? std::min(end_row, all) : all};
  }
  // The most that any of its heads has, of `all`.
  std::int64_t most_rows(std::int64_t all) const noexcept {
    if (heads == 0 || heads > 2) return heads == 0 ? 0 : all;
    const Rows first = rows_of(0, all), last = rows_of(heads - 1, all);
    return std::max(first.end - first.begin, last.end - last.begin);
  }
};

// What a share is cut from.
struct Line {
  std::int64_t heads;  // of an item
  std::int64_t group;  // rows of a query: row r is one of query r / group
  bool whole;  // cuts stand between heads only
};

// About how many keys all queries of one head see together; masks are left aside.
double keys_seen(const Problem& p, const Sequence& s) noexcept;

// Share p.share_index of p.share_count. Even by the keys that rows see, as far as cuts may stand.
Share share_of(const Problem& p, const Line& line) noexcept;

}  // namespace attn
