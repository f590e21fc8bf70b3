// Where the keys and values of a block stand that are read in place, one after the other or in pages, and what is
// fetched ahead meanwhile: the one place that knows.
#pragma once

#include <cstddef>
#include <cstdint>

#include "elements.hpp"
#include "kernels.hpp"
#include "numbers.hpp"
#include "prefetch.hpp"
#include "visible.hpp"

namespace attn::simd {
namespace {

// p moved by some elements, as a number: what is only fetched may stand before the array that p points into.
template <class T>
inline const T* moved(const T* p, std::ptrdiff_t elements) {
  return reinterpret_cast<const T*>(
      reinterpret_cast<std::uintptr_t>(p) + static_cast<std::uintptr_t>(elements) * sizeof(T));
}
inline const char* moved(const void* p, std::ptrdiff_t bytes) { return moved(static_cast<const char*>(p), bytes); }

// An address as that of elements of the type of another.
template <class T>
inline const T* as_type_of(const T*, const void* p) {
  return static_cast<const T*>(p);
}

inline std::ptrdiff_t bytes_of_element(DType type) {
  return with_type(
      static_cast<const void*>(nullptr), type, [](const auto* p) { return static_cast<std::ptrdiff_t>(sizeof *p); });
}
inline std::ptrdiff_t rows_ahead_of(std::ptrdiff_t element_bytes) {
  return element_bytes == 1 ? key_block : 4 * rows_ahead / element_bytes;
}

inline std::ptrdiff_t bytes_between(const void* from, const void* to) {
  return static_cast<std::ptrdiff_t>(reinterpret_cast<std::uintptr_t>(to) - reinterpret_cast<std::uintptr_t>(from));
}

// Rows of a type in pages, or one after the other: what a block has in common, computed once.
struct Paging {
  const void* const* pages;  // null: one piece
  std::ptrdiff_t page_keys;
  std::ptrdiff_t stride;  // bytes from row to row
  std::ptrdiff_t offset;  // bytes from where a page begins to its first row
  std::ptrdiff_t ahead;  // rows; 0: nothing is fetched
  int shift;  // page_keys = 2^shift

  Paging(const KeyBlock& k, const void* const* of, DType type, std::ptrdiff_t elements)
      : pages(of),
        page_keys(k.page_keys),
        stride(elements * bytes_of_element(type)),
        offset(k.page_offset),
        ahead(0),
        shift(0) {
    if (k.fetch_ahead) ahead = rows_ahead_of(bytes_of_element(type));
    if (!of) return;
    shift = __builtin_ctzll(static_cast<unsigned long long>(page_keys));
    // Whole pages ahead where they are short, so that a page is one piece: 32 keys would else be two.
    const std::ptrdiff_t whole = min(page_keys, 64);
    ahead = (min(ahead, most_rows_ahead) + whole - 1) & -whole;
  }
  // The page of row j, and where the row stands.
  const char* page(std::ptrdiff_t j) const { return static_cast<const char*>(pages[j >> shift]) + offset; }
  std::ptrdiff_t row(std::ptrdiff_t j) const { return j & (page_keys - 1); }
  const char* at(std::ptrdiff_t j) const { return moved(page(j), row(j) * stride); }
  // The rows from j on, before `end`, that stand in one page, as do those `ahead` rows later.
  std::ptrdiff_t count(std::ptrdiff_t j, std::ptrdiff_t end) const {
    return min(end - j, page_keys - max(row(j), ahead ? row(j + ahead) : 0));
  }
};

// Some keys of one page, or of the one piece that the block is, counted from its first.
//   keys   where key 0 stands, and key_stride behind it the next
//   ahead  what is fetched when key 0 is read, and so on by the same stride; null: nothing
struct KeyPiece {
  const void* keys;
  const void* ahead;
  KeySpan span;
};
// The keys from j on, before `end`.
inline KeyPiece key_piece(const KeyBlock& k, const Paging& p, std::ptrdiff_t j, std::ptrdiff_t end) {
  if (!p.pages) return {k.keys, p.ahead ? moved(k.keys, p.ahead * p.stride) : nullptr, {j, end}};
  const std::ptrdiff_t row = p.row(j);
  const char* const ahead = p.ahead ? moved(p.page(j + p.ahead), (p.row(j + p.ahead) - row) * p.stride) : nullptr;
  return {p.page(j), ahead, {row, row + p.count(j, end)}};
}

// Some rows of values, value_stride apart; `ahead` is fetched when the first of them is read, and so on.
struct ValuePiece {
  const void* rows;
  const void* ahead;
  std::ptrdiff_t count;
};
// Those from key j on, before `end`.
inline ValuePiece value_piece(const KeyBlock& k, const Paging& p, std::ptrdiff_t j, std::ptrdiff_t end) {
  if (!p.pages) {
    const char* const rows = static_cast<const char*>(k.values) + j * p.stride;
    return {rows, moved(rows, p.ahead * p.stride), end - j};
  }
  return {p.at(j), p.ahead ? p.at(j + p.ahead) : nullptr, p.count(j, end)};
}

// The values of a span of keys: at most a block, whose pages may begin before and end behind it.
struct ValueRows {
  KeySpan keys;
  ValuePiece pieces[key_block / 16 + 1];

  ValueRows(const KeyBlock& k, const Paging& paging, KeySpan span) : keys(span) {
    if (k.packed) return;
    int count = 0;
    for (std::ptrdiff_t j = span.begin; j < span.end; j += pieces[count++].count)
      pieces[count] = value_piece(k, paging, j, span.end);
  }
};

}  // namespace
}  // namespace attn::simd
