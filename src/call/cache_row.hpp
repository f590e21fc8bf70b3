// A row of keys or values as float, wherever it stands: in rows, panels or pages, of any type. For what reads row by
// row: the BLAS path, and rows computed in double.
#pragma once

#include <cstdint>

#include "call/problem.hpp"
#include "simd/kernels.hpp"

namespace attn {

static_assert(cache_panel == simd::lane_count, "a key of a panel is a lane");

// The keys and values of one KV head of a sequence.
struct CacheHead {
  const Problem& problem;
  const simd::Kernels& kernels;
  const Sequence& sequence;
  std::int64_t head;
};

// Some columns of a row.
struct Columns {
  std::int64_t first, count;
};

// So many columns of a row have one scale: all of them, or those of a block.
inline std::int64_t scale_columns(DType type, std::int64_t columns) noexcept {
  return type == DType::q8_0 ? q8_0_block : columns;
}

// Some columns of a row of any type, i8 and q8_0 as integers: where they stand if they are float, or in wide[count].
const float* as_float(const simd::Kernels& kernels, const char* row, DType type, Columns columns, float* wide) noexcept;

// Are they arrays of float, `row_stride` apart, which BLAS takes as they stand?
inline bool are_floats_in_rows(const Problem& p, const Tensor& keys_or_values) noexcept {
  const bool panels = &keys_or_values == &p.key && p.panels();
  return is_float(keys_or_values.dtype) && !panels && !p.pages.table;
}

// The columns of key j as they are stored, i8 and q8_0 as integers: where they stand, or in wide[count].
const float* stored_key(const CacheHead& c, std::int64_t j, Columns columns, float* wide) noexcept;
const float* stored_value(const CacheHead& c, std::int64_t j, Columns columns, float* wide) noexcept;

// What multiplies a stored column; 1 where there are no scales.
float key_scale(const CacheHead& c, std::int64_t j, std::int64_t column) noexcept;
float value_scale(const CacheHead& c, std::int64_t j, std::int64_t column) noexcept;

// All columns of key j as stored * scale, rounded once, in wide[head_dim] always; of the value in wide[value_dim].
void read_key(const CacheHead& c, std::int64_t j, float* wide) noexcept;
void read_value(const CacheHead& c, std::int64_t j, float* wide) noexcept;

}  // namespace attn
