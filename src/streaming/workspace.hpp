// What the streaming path needs beside the tensors, cut from the workspace.
#pragma once

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

// What one worker needs for one tile.
struct TileScratch {
  float* query;  // [rows, head_dim], where queries are not read in place
  float* scores;  // [rows, simd::score_stride]
  simd::State state, block;  // of all blocks so far, and of one
  Place* place;  // [rows]
  KeyRange* range;  // [rows] before the mask
  // Of one block: the keys that each row sees.
  std::int32_t* begin;  // [rows]
  std::int32_t* end;  // [rows]
  const std::uint64_t** allowed;  // [rows], with a mask or a bias
  std::uint64_t* allowed_bits;  // [rows, key_block / 64], likewise
  std::uint64_t* kept_bits;  // [rows, plan.kept_blocks, key_block / 64]: the same of several blocks, read with the bias
  std::int64_t* kept;  // [rows]: of how many blocks, from that of the first key in range on
  simd::RowSteps* row_steps;  // [rows], with steps
  float* wide_bias;  // [rows, key_block], with a bias that is no array of float
  const void** prefetch;  // [2 rows, and a share of the next KV head's keys and values]
};

// The packed keys and values of one KV head.
//   block i: its keys from i * key_block * head_dim floats on, its values from i * key_block * padded_value_dim
struct Packed {
  float *keys, *values;
  std::uint8_t* finite;  // [blocks]: its values hold no NaN or Inf
};

// What one worker needs in the second pass.
struct WeightScratch {
  float* keys;  // one packed block
  float* partial;  // [group, key_block], if sums are wanted
  float* total;  // likewise
};

// For Schedule::in_place_blocks: every block's result on its own, for each rule of its rows.
struct Partial {
  std::int64_t rows, padded, stride;
  float *max, *sum, *output;
  std::uint8_t* overflowed;

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
  // For the passes behind the first.
  float* row_max;  // [kv_heads, rows], if kept
  float* row_sum;  // [kv_heads, rows]
  std::uint8_t* wide;  // [kv_heads, rows]: was the row computed again in double?
  WeightScratch* weigh;  // [workers]
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
  std::int64_t biased_rows = 0, kept_rows = 0;
  bool second_pass = false;

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
