// How the streaming path cuts its work, and the workspace that this takes. Nothing here computes.
#pragma once

#include <cstdint>

#include "attn/attention.hpp"
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
  std::int64_t pairs, group, rows;        // rows of one pair
  std::int64_t tile_rows, tiles;          // of one pair
  std::int64_t blocks;                    // of key_length
  std::int64_t output_stride;
  std::int64_t workers;
  Spread spread;
  double scale;
  simd::Exponent exponent;
};

Plan make_plan(const AttentionArgs& args, const simd::Kernels& kernels) noexcept;

struct Pair {
  std::int64_t batch, kv_head;
  const float *keys, *values;
  std::int64_t key_length;
};

Pair pair_at(const Plan& plan, std::int64_t index) noexcept;

// Whether the next pair's keys and values may wait in L2 while this pair is computed.
bool fits_l2(const Plan& plan) noexcept;

// The packed keys and values of one pair: key j of block i stands behind i * key_block * head_dim floats, its value
// behind i * key_block * output_stride.
struct Packed {
  float *keys, *values;
};

struct Workspace {
  TileScratch* scratch;  // [workers]
  Packed* packed;        // [workers] for heads, [1] for tiles
  TileState* partial;    // [pairs * blocks] for direct_blocks: every block's result on its own
};

Workspace lay_out(const Plan& plan, Arena& arena) noexcept;

}  // namespace attn::streaming_path
