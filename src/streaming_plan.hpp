// How the streaming path cuts its work, and the workspace that this takes. Nothing here computes.
#pragma once

#include <cstdint>

#include "attn/attention.hpp"
#include "keys.hpp"
#include "simd/kernels.hpp"
#include "tile_scratch.hpp"

// A *pair* is one KV head of one batch item. Its rows are the query rows of all query heads of its group, query by
// query: row r is query r / group of head r % group, so that the rows of a tile stand close together among the keys.
//
// Three ways to spread the work; none changes a bit, because a row's blocks are computed apart and merged left to
// right:
//   direct   few rows (decode): K and V are read in place. A task is a pair, or one block of a pair if pairs are few.
//   heads    many pairs: a task is a pair, which packs its K and V for itself and runs all its tiles.
//   tiles    few pairs: pair after pair, all threads pack its blocks, then all run its tiles.

namespace attn::streaming_path {

enum class Spread { direct, direct_blocks, heads, tiles };

struct Plan {
  const AttentionArgs& args;
  const simd::Kernels& kernels;
  std::int64_t key_stride, value_stride;  // from row to row; 0 where there is one row, whose stride means nothing
  std::int64_t key_bytes, value_bytes;
  std::int64_t pairs, group, rows;  // rows of one pair (the longest)
  std::int64_t tile_rows, tiles;    // of one pair
  std::int64_t blocks;              // of key_length
  std::int64_t output_stride;
  std::int64_t workers;
  Spread spread;
  bool has_steps;  // scores pass through `steps`; else they are products, and the exponent holds the scale
  bool negate;     // the queries, for a scale below 0 that the exponent cannot hold
  bool weighs;     // a second pass gives weights or their sums
  simd::ScoreSteps steps;
  double scale;  // of the scores in the exponent: 1 if they pass through steps
  simd::Exponent exponent;
};

Plan make_plan(const AttentionArgs& args, const simd::Kernels& kernels) noexcept;

struct Pair {
  Sequence sequence;
  std::int64_t index, kv_head;
  std::int64_t rows, tiles;   // at most those of the plan; less in a short sequence of a packed batch
  const char *keys, *values;  // of the sequence's first key

  const char* key_at(const Plan& plan, std::int64_t j) const noexcept { return keys + j * plan.key_bytes; }
  const char* value_at(const Plan& plan, std::int64_t j) const noexcept { return values + j * plan.value_bytes; }
};

// Up to this many rows a pair's K and V are read in place. Reading in place and packing cost the same at 10 to 16 rows
// where K and V are in the caches (512 keys; AVX2 8, AVX-512 16), at 20 to 40 where they come from memory (4096 keys).
inline constexpr std::int64_t direct_rows = 12;

Pair pair_at(const Plan& plan, std::int64_t index) noexcept;

// Whether the next pair's keys and values may wait in L2 while this pair is computed.
bool fits_l2(const Plan& plan) noexcept;

// The packed keys and values of one pair: key j of block i stands behind i * key_block * head_dim floats, its value
// behind i * key_block * output_stride.
struct Packed {
  float *keys, *values;
  std::uint8_t* finite;  // [blocks]: its values hold no NaN or Inf
};

// One packed block.
struct PackedBlock {
  const float *keys, *values;
  bool finite;
};

// What a worker needs in the second pass.
struct WeightScratch {
  float* keys;             // one packed block
  float *partial, *total;  // [group, key_block], if sums are wanted
};

struct Workspace {
  TileScratch* scratch;  // [workers]
  Packed* packed;        // [workers] for heads, [1] for tiles
  TileState* partial;    // [pairs * blocks] for direct_blocks: every block's result on its own
  // For the second pass only.
  float *row_max, *row_sum;  // [pairs, rows]
  std::uint8_t* wide;        // [pairs, rows]: was the row computed again in double?
  WeightScratch* weigh;      // [workers]
};

Workspace lay_out(const Plan& plan, Arena& arena) noexcept;

}  // namespace attn::streaming_path
