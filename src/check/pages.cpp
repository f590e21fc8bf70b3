// Rules for caches in pages.
#include <algorithm>
#include <cstring>

#include "call/problem.hpp"
#include "check/check.hpp"
#include "check/view.hpp"

namespace attn::check {
namespace {

using ll = long long;

Status check_length(std::int64_t length) noexcept {
  constexpr std::int64_t least = 16, block = simd::key_block;
  if (length >= least && (length % block == 0 || (length % least == 0 && block % length == 0))) return {};
  return Status(
      StatusCode::invalid_argument,
      "page_length must be a multiple of %lld that divides %lld, or a multiple of %lld, got %lld", ll{least}, ll{block},
      ll{block}, static_cast<ll>(length));
}

// Without a table the others mean nothing.
template <class Args>
Status check_sizes(const Args& a) noexcept {
  if (!a.page_table && (a.page_table_stride | a.page_length | a.page_count) == 0) return {};
  const struct {
    const char* name;
    std::int64_t value;
  } sizes[] = {
      {"page_table_stride", a.page_table_stride}, {"page_length", a.page_length}, {"page_count", a.page_count}};
  for (const auto& size : sizes)
    if (!a.page_table && size.value != 0) return bad(size.name, size.value, "must be 0 without a page_table");
  for (const auto& size : sizes)
    if (size.value < 0 || size.value > max_elements)
      return bad(size.name, size.value, size.value < 0 ? "must not be negative" : "is more than memory can hold");
  return check_length(a.page_length);
}

// Calls visit(i, entry) for the entries of an item that hold the rows of a range, until it returns a bad status.
template <class Args, class Visit>
Status for_each_entry(const Args& a, std::int64_t item, KeyRange rows, const Visit& visit) noexcept {
  if (rows.empty()) return {};
  const std::int64_t first = rows.begin / a.page_length, last = (rows.end - 1) / a.page_length;
  const std::int32_t* const entries = a.page_table + item * a.page_table_stride;
  for (std::int64_t i = first; i <= last; ++i)
    if (Status s = visit(i, std::int64_t{entries[i]}); !s.ok()) return s;
  return {};
}
template <class Args>
Status check_entries(const Args& a, std::int64_t item, KeyRange rows) noexcept {
  return for_each_entry(a, item, rows, [&](std::int64_t i, std::int64_t entry) -> Status {
    if (entry >= 0 && entry < a.page_count) return {};
    return Status(
        StatusCode::invalid_argument, "page_table[%lld][%lld] must be in [0, page_count = %lld), got %lld",
        static_cast<ll>(item), static_cast<ll>(i), static_cast<ll>(a.page_count), static_cast<ll>(entry));
  });
}

KeyRange written_rows(const AppendArgs& a, std::int64_t b) noexcept {
  return {a.lengths[b], a.lengths[b] + (a.new_lengths ? a.new_lengths[b] : a.new_length)};
}

// The first entry before number `end` of item `last` that writes to a page.
Status written_twice(const AppendArgs& a, std::int64_t last, std::int64_t end, std::int64_t page) noexcept {
  for (std::int64_t b = 0; b <= last; ++b) {
    const Status status = for_each_entry(a, b, written_rows(a, b), [&](std::int64_t i, std::int64_t entry) -> Status {
      if (entry != page || (b == last && i >= end)) return {};
      return Status(
          StatusCode::invalid_argument,
          "page_table[%lld][%lld] must be a page of its own to be written to, got %lld, as [%lld][%lld]",
          static_cast<ll>(last), static_cast<ll>(end), static_cast<ll>(page), static_cast<ll>(b), static_cast<ll>(i));
    });
    if (!status.ok()) return status;
  }
  return {};
}

// Without memory of its own: a bit for each of so many pages at a time. 8 KB of the stack, a million keys in pages of
// 16.
Status check_written_once(const AppendArgs& a) noexcept {
  constexpr std::int64_t together = 65536, most = std::int64_t{1} << 31;  // entries are int32
  for (std::int64_t first = 0; first < std::min(a.page_count, most); first += together) {
    std::uint64_t written[together / 64] = {};
    for (std::int64_t b = 0; b < a.batch; ++b) {
      const Status status = for_each_entry(a, b, written_rows(a, b), [&](std::int64_t i, std::int64_t page) -> Status {
        if (page < first || page >= first + together) return {};
        std::uint64_t& word = written[(page - first) / 64];
        const std::uint64_t bit = std::uint64_t{1} << (page - first) % 64;
        if (word & bit) return written_twice(a, b, i, page);
        word |= bit;
        return {};
      });
      if (!status.ok()) return status;
    }
  }
  return {};
}

}  // namespace

std::int64_t most_pages(const AttentionArgs& a) noexcept {
  if (!a.page_table || a.query_length == 0 || a.query_heads == 0) return 0;
  std::int64_t keys = a.key_lengths ? 0 : a.key_length;
  for (std::int64_t b = 0; a.key_lengths && b < a.batch; ++b) keys = std::max(keys, a.key_lengths[b]);
  return ceil_divide(keys, a.page_length);
}

Status pages(const AttentionArgs& a) noexcept {
  if (Status s = check_sizes(a); !s.ok() || !a.page_table) return s;
  if (a.cu_key_lengths)
    return Status(
        StatusCode::unsupported,
        "page_table with cu_key_lengths is unsupported: make each sequence an item of the batch, with key_lengths");
  const std::int64_t most = most_pages(a);
  if (a.batch <= 1 || a.page_table_stride >= most) return {};
  return Status(
      StatusCode::invalid_argument, "page_table_stride must be at least %lld, the pages of the longest item, got %lld",
      static_cast<ll>(most), static_cast<ll>(a.page_table_stride));
}

Status page_entries(const AttentionArgs& a) noexcept {
  if (most_pages(a) == 0) return {};
  const Problem problem = make_problem(a);
  for (std::int64_t b = 0; b < a.batch; ++b)
    if (Status s = check_entries(a, b, problem.needed(problem.batch.at(b))); !s.ok()) return s;
  return {};
}

Status pages(const AppendArgs& a) noexcept {
  if (Status s = check_sizes(a); !s.ok() || !a.page_table) return s;
  std::int64_t rows;
  if (!__builtin_mul_overflow(a.page_table_stride, a.page_length, &rows) && a.capacity > rows)
    return Status(
        StatusCode::invalid_argument, "capacity must be at most page_table_stride * page_length = %lld, got %lld",
        static_cast<ll>(rows), static_cast<ll>(a.capacity));
  return {};
}

Status page_entries(const AppendArgs& a) noexcept {
  if (!a.page_table || a.kv_heads == 0) return {};
  for (std::int64_t b = 0; b < a.batch; ++b)
    if (Status s = check_entries(a, b, written_rows(a, b)); !s.ok()) return s;
  return check_written_once(a);
}

}  // namespace attn::check
