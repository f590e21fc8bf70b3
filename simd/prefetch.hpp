// What is fetched before it is wanted, into L2 (locality 2): L1 belongs to the tiles, and more lines can be under way
// to L2. One core read memory at 8 GB/s with prefetches into L1, and at 17 with these, all that the machine measured
// had.
#pragma once

#include <cstddef>

#include "kernels.hpp"
#include "numbers.hpp"

namespace attn::simd {
namespace {

// So many rows of keys and values of float are fetched ahead of the one that is read in place; of halves twice as many,
// of int8 a block: its scales are read before it.
inline constexpr std::ptrdiff_t rows_ahead = 48;
static_assert(most_rows_ahead % 64 == 0, "rounded up to whole pages, no more than are listed (Paging)");

inline void prefetch_rows(const void* const* row, std::ptrdiff_t rows, std::ptrdiff_t bytes) {
  for (std::ptrdiff_t i = 0; i < rows; ++i)
    for (std::ptrdiff_t line = 0; line < bytes; line += 64)
      __builtin_prefetch(static_cast<const char*>(row[i]) + line, 0, 2);
}

// What is to be fetched, spread evenly over so many tiles.
class SpreadFetch {
 public:
  SpreadFetch(const Prefetch& wanted, std::ptrdiff_t tiles)
      : wanted_(wanted), step_(tiles > 0 ? (wanted.count + tiles - 1) / tiles : 0) {}
  void next() {
    const std::ptrdiff_t rows = min(step_, wanted_.count - fetched_);
    prefetch_rows(wanted_.rows + fetched_, rows, wanted_.row_bytes);
    fetched_ += rows;
  }

 private:
  const Prefetch& wanted_;
  std::ptrdiff_t step_, fetched_ = 0;
};

// Fetches the lines of so many elements. Called row after row, because a CPU's own prefetcher follows what is read in
// order.
template <class T>
inline void prefetch_row(const T* x, std::ptrdiff_t elements) {
  constexpr std::ptrdiff_t line = 64 / sizeof(T);
  for (std::ptrdiff_t e = 0; e < elements; e += line) __builtin_prefetch(x + e, 0, 2);
}

}  // namespace
}  // namespace attn::simd
