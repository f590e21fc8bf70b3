// What the streaming path needs beside the tensors, cut from the workspace.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/arena.hpp"
#include "call/visible.hpp"
#include "simd/kernels.hpp"
#include "streaming/plan.hpp"

namespace attn::streaming {

// The keys of the next KV head that a tile lists for prefetching, at most.
inline constexpr std::int64_t most_listed_keys = simd::key_block;

// The query, and the query head, of a row of a KV head.
struct Place {
  std::int64_t query, head;
};

// The keys of a block that a row sees, masks left aside.
struct KeptKeys {
  std::int32_t begin, end;
};

// What a tile keeps of every block for its weights. Without weights it is one block, which is used again and again.
struct Kept {
  std::int64_t rows, blocks;
  float* p;  // [blocks, rows, simd::score_stride]: products, then exponentials, as attend leaves them
  float* max;  // [blocks, rows]: a row's maximum in each block; with weights only, as the next
  KeptKeys* seen;  // [blocks, rows]

  float* of_block(std::int64_t block) const noexcept {
    return p + std::min(block, blocks - 1) * rows * simd::score_stride;
  }
  float* row_of(std::int64_t block, std::int64_t r) const noexcept { return of_block(block) + r * simd::score_stride; }
  float* max_of(std::int64_t block) const noexcept { return max + block * rows; }
  KeptKeys* seen_of(std::int64_t block) const noexcept { return seen + block * rows; }
};

// The maximum and the sum of a row over all blocks.
struct RowEnd {
  float max, sum;
  bool wide;  // the row was computed again in double
};

// How many pages of a block are listed, with those that are fetched ahead; 0 without pages.
inline std::int64_t listed_pages(const Problem& p) noexcept {
  if (!p.pages.table) return 0;
  constexpr std::int64_t keys = simd::key_block + simd::most_rows_ahead + 16;
  return ceil_divide(keys, std::clamp<std::int64_t>(p.pages.length, 16, simd::key_block));
}

// What one worker needs for one tile.
struct TileScratch {
  float* query;  // [rows, query_floats()], where queries are not read in place
  Kept kept[2];  // for each rule of the plan, by the part of the tile
  RowEnd* ends;  // [rows], with weights
  float* weights;  // [rows, simd::score_stride], where weights are changed before they multiply values
  float *key_scales, *value_scales;  // of one block (scales.hpp)
  float* row;  // [key_block], with weights or scores that are halves
  float* sums;  // of the unit that the tile belongs to (sums.hpp); null: not wanted
  simd::State state, block;  // of all blocks so far, and of one
  Place* place;  // [rows]
  KeyRange* range;  // [rows] before the mask
  // Of one block: the keys that each row sees.
  std::int32_t* begin;  // [rows]
  std::int32_t* end;  // [rows]
  const std::uint64_t** allowed;  // [rows], with a mask or a bias
  std::uint64_t* allowed_bits;  // [rows, key_block / 64], likewise
  std::uint64_t*
      known_bits;  // [rows, plan.known_blocks, key_block / 64]: the same of several blocks, read with the bias
  std::int64_t* known;  // [rows]: of how many blocks, from that of the first key in range on
  simd::RowSteps* row_steps;  // [rows], with steps
  float* wide_bias;  // [rows, key_block], with a bias that is no array of float
  const void** pages;  // [2, listed_pages()] of keys and values in pages
  const void** prefetch;  // [2 rows, and a share of the next KV head's keys and values]
};

// Floats of a copied query.
inline std::int64_t query_floats(const Problem& p) noexcept {
  return p.pairs() ? simd::query_pairs_floats(p.head_dim) : p.head_dim;
}

// The packed keys and values of one KV head.
//   block i: its keys from i * key_block * head_dim floats on, its values from i * key_block * padded_value_dim
struct Packed {
  float *keys, *values;
  std::uint8_t* finite;  // [blocks]: its values hold no NaN or Inf
};

// For Schedule::in_place_blocks: every block's result on its own, for each rule of its rows.
struct Partial {
  std::int64_t rows, padded, stride;
  float *max, *sum, *output;
  std::uint8_t* overflowed;
  Kept kept;  // with weights: that of the first KV head and rule, and behind it the others

  // Of KV head h: number h * rules, and on.
  Kept kept_at(std::int64_t i) const noexcept {
    const std::int64_t n = i * kept.rows * kept.blocks;
    return {kept.rows, kept.blocks, kept.p + n * simd::score_stride, kept.max + n, kept.seen + n};
  }

  // Of KV head h and block b: number (h * blocks + b) * rules, and on.
  simd::State at(std::int64_t i) const noexcept {
    constexpr std::int64_t line = simd::lane_count * sizeof(float);  // of the cache, of its own
    return {max + i * padded, sum + i * padded, output + i * rows * stride, stride, overflowed + i * line};
  }
};

struct Workspace {
  TileScratch* scratch;  // [workers]
  Packed* packed;  // one for each worker that may have a KV head (Schedule::kv_heads), or one (tiles)
  Partial partial;
  std::uint8_t* biased;  // [kv_heads, rows], with a bias: does it change the row's scores?
  float** sums;  // [workers], with sums of weights: [group, sums_stride] each
};

// How much there is of each piece.
struct Sizes {
  const Problem& problem;
  const simd::Kernels& kernels;
  std::int64_t workers = 1, rows_per_tile = 0;
  std::int64_t group = 1;  // query heads of a KV head, for the sums of weights
  std::int64_t packed = 0;  // copies of a KV head's keys and values; 0: all are read in place
  std::size_t packed_memory = 0;  // instead of a number of copies: bytes of them
  std::int64_t states = 0, state_rows = 0;  // partial results, and the rows of all of them
  std::int64_t biased_rows = 0;
  std::int64_t kept_blocks = 1;  // of a tile: all, with weights

  bool packs() const noexcept { return packed > 0 || packed_memory > 0; }
  // Rounded up to whole vectors: floats from row to row of outputs.
  std::int64_t padded_value_dim() const noexcept { return round_up(problem.value_dim, simd::lane_count); }
};

// What one copy takes, and a bit more for the struct that points at it.
std::size_t packed_bytes(const Problem& p, const simd::Kernels& kernels) noexcept;

Workspace lay_out(const Sizes& sizes, Arena& arena) noexcept;

// What lay_out() takes.
std::size_t bytes_of(const Sizes& sizes) noexcept;

}  // namespace attn::streaming
