// What the streaming path needs beside the tensors, cut from the workspace.
#pragma once

#include <cstdint>

#include "base/arena.hpp"
#include "call/visible.hpp"
#include "simd/kernels.hpp"
#include "streaming/plan.hpp"

namespace attn::streaming {

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
  const std::uint64_t** allowed;  // [rows], with a mask
  std::uint64_t* allowed_bits;  // [rows, key_block / 64], with a mask
  std::uint8_t* gathered_mask;  // [key_block], with a mask
  simd::RowSteps* row_steps;  // [rows], with steps
  float* gathered_bias;  // [rows, key_block], with a bias whose columns are not contiguous
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

struct Workspace {
  TileScratch* scratch;  // [workers]
  Packed* packed;  // [workers] for Schedule::kv_heads, [1] for tiles
  simd::State* partial;  // [kv_heads * blocks] for in_place_blocks: every block's result on its own
  // For the passes behind the first.
  float* row_max;  // [kv_heads, rows]
  float* row_sum;  // [kv_heads, rows]
  std::uint8_t* wide;  // [kv_heads, rows]: was the row computed again in double?
  WeightScratch* weigh;  // [workers]
};

Workspace lay_out(const Plan& plan, Arena& arena) noexcept;

}  // namespace attn::streaming
