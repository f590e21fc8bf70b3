// Weights times values: the second product of a block, once, over lanes.
#pragma once

#include <cstddef>

#include "kernels.hpp"
#include "pack.hpp"
#include "product.hpp"
#include "scores.hpp"

namespace attn::simd {
namespace {

// The keys that any row of the block sees.
struct KeySpan {
  std::ptrdiff_t begin, end;
};
inline KeySpan seen_keys(const Block& b) {
  KeySpan seen{key_block, 0};
  for (std::ptrdiff_t r = 0; r < b.rows; ++r)
    if (b.begin[r] < b.end[r]) seen = {least(seen.begin, b.begin[r]), most(seen.end, b.end[r])};
  return seen;
}

template <class Lanes>
void multiply_in_place(const float*, std::ptrdiff_t rows, std::ptrdiff_t vectors, const Product& p) {
  p.tail == 16 ? multiply<Lanes, Source::in_place>(rows, vectors, p)
               : multiply<Lanes, Source::in_place_tail>(rows, vectors, p);
}
template <class Lanes, class Half>  // one kernel for both: the tail costs a branch
void multiply_in_place(const Half*, std::ptrdiff_t rows, std::ptrdiff_t vectors, const Product& p) {
  multiply<Lanes, Source::in_place_tail, Half>(rows, vectors, p);
}

// output[r][e .. e + columns) (+)= sum of weights[r][j] * v[j][e ..] over j in [begin, end), for rows r .. r + rows.
template <class Lanes>
void multiply_values(const Block& b, float* output, std::ptrdiff_t e, std::ptrdiff_t r, std::ptrdiff_t rows,
                     std::ptrdiff_t begin, std::ptrdiff_t end, bool accumulate) {
  constexpr std::ptrdiff_t width = 16 * Lanes::tile_vectors;
  const std::ptrdiff_t columns = least(width, b.value_dim - e), vectors = (columns + 15) / 16;
  Product p{b.scores + r * score_stride + begin,
            score_stride,
            nullptr,
            b.value_stride,
            end - begin,
            output + r * b.output_stride + e,
            b.output_stride,
            accumulate,
            columns - 16 * (vectors - 1)};
  if (b.packed) {
    p.b_stride = 16 * vectors;
    p.b = static_cast<const float*>(b.values) + e * b.value_keys + begin * p.b_stride;
    return multiply<Lanes, Source::packed>(rows, vectors, p);
  }
  with_type(b.values, b.value_storage, [&](const auto* values) {
    p.b = values + begin * b.value_stride + e;
    multiply_in_place<Lanes>(values, rows, vectors, p);
  });
}

inline void clear(const Block& b, float* output) {
  for (std::ptrdiff_t i = 0; i < b.rows * b.output_stride; ++i) output[i] = 0.0f;
}

// Which of the sixteen keys from j on row r sees.
inline std::uint32_t seen_bits(const Block& b, std::ptrdiff_t r, std::ptrdiff_t j) {
  const std::ptrdiff_t begin = most(0, least(16, b.begin[r] - j)), end = most(begin, least(16, b.end[r] - j));
  const std::uint32_t range = (1u << end) - (1u << begin);
  return b.allowed[r] ? range & bits_at(b.allowed[r], j) : range;
}

// Calls run(begin, end) for every run of ones in the low sixteen bits.
template <class Run>
inline void for_each_run(std::uint32_t bits, const Run& run) {
  while (bits != 0) {
    const int begin = __builtin_ctz(bits), length = __builtin_ctz(~(bits >> begin));
    run(begin, begin + length);
    bits &= ~0u << (begin + length);
  }
}

// value_tiles under a mask, for values that may be NaN or Inf: in chunks of sixteen keys, those that all rows of a tile
// see together, the others row by row.
template <class Lanes>
void value_tiles_masked(const Block& b, float* output) {
  const KeySpan seen = seen_keys(b);
  clear(b, output);
  for (std::ptrdiff_t key = seen.begin / 16 * 16; key < seen.end; key += 16)
    for (std::ptrdiff_t r = 0; r < b.rows; r += Lanes::tile_rows) {
      const std::ptrdiff_t rows = least(Lanes::tile_rows, b.rows - r);
      std::uint32_t all = 0xffff, any = 0;
      for (std::ptrdiff_t i = r; i < r + rows; ++i) {
        const std::uint32_t bits = seen_bits(b, i, key);
        all &= bits, any |= bits;
      }
      for (std::ptrdiff_t e = 0; e < b.value_dim; e += 16 * Lanes::tile_vectors) {
        const auto multiply_rows = [&](std::ptrdiff_t first, std::ptrdiff_t count, std::uint32_t bits) {
          for_each_run(bits, [&](int begin, int end) {
            multiply_values<Lanes>(b, output, e, first, count, key + begin, key + end, true);
          });
        };
        if (all == any) {
          multiply_rows(r, rows, all);
        } else {  // mixed: a row's chain must go through its keys in order
          for (std::ptrdiff_t i = r; i < r + rows; ++i) multiply_rows(i, 1, seen_bits(b, i, key));
        }
      }
    }
}

// output[r][e] = sum over the allowed keys j, in order, of weights[r][j] * v[j][e].
// Rows of a tile that see different keys are multiplied together only where they all see the key; at the edges each row
// goes alone. So no product with an excluded key is formed, whatever stands in its values; under a mask only where the
// values are known to be finite, so that it adds exactly 0.
template <class Lanes>
void value_tiles(const Block& b, float* output) {
  if (b.allowed && !(b.packed && b.values_finite)) return value_tiles_masked<Lanes>(b, output);
  constexpr std::ptrdiff_t width = 16 * Lanes::tile_vectors;
  // Packed, a strip streams from L2 once for each tile of rows: cutting it to fit L1 was 3 % slower. In place, some
  // whole rows of values at a time, as they stand in memory, and the next ones are prefetched meanwhile.
  // Halves want more rows at a time (bf16, 4 query rows, in the caches: 16 rows 31 ns a key, 64 rows 28).
  const std::ptrdiff_t chunk = b.packed ? key_block : b.value_storage == Storage::f32 ? 16 : 64;
  const KeySpan seen = seen_keys(b);
  if (!b.packed || seen.begin >= seen.end) clear(b, output);

  for (std::ptrdiff_t key = seen.begin / chunk * chunk; key < seen.end; key += chunk)
    for (std::ptrdiff_t e = 0; e < b.value_dim; e += width) {
      const auto multiply_rows = [&](std::ptrdiff_t r, std::ptrdiff_t rows, std::ptrdiff_t begin, std::ptrdiff_t end,
                                     bool accumulate) {
        multiply_values<Lanes>(b, output, e, r, rows, begin, end, accumulate);
      };
      for (std::ptrdiff_t r = 0; r < b.rows; r += Lanes::tile_rows) {
        const std::ptrdiff_t rows = least(Lanes::tile_rows, b.rows - r), stop = key + chunk;
        std::ptrdiff_t begin = key, end = stop, first = stop;  // [begin, end): the keys of the chunk that all rows see
        for (std::ptrdiff_t i = r; i < r + rows; ++i) {
          begin = most(begin, b.begin[i]), end = least(end, b.end[i]);
          first = least(first, b.begin[i]);
        }
        if (begin >= end) begin = end = stop;  // none: each row alone
        const bool edges = most(first, key) < begin || begin == end;
        for (std::ptrdiff_t i = r; edges && i < r + rows; ++i) {
          const std::ptrdiff_t from = most(key, b.begin[i]);
          multiply_rows(i, 1, from, most(from, least(begin, b.end[i])), !b.packed);
        }
        if (begin < end) multiply_rows(r, rows, begin, end, edges || !b.packed);
        for (std::ptrdiff_t i = r; i < r + rows; ++i)
          if (end < least(stop, b.end[i])) multiply_rows(i, 1, end, least(stop, b.end[i]), true);
      }
    }
}

}  // namespace
}  // namespace attn::simd
