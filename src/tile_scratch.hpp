// What one worker of the streaming path needs beside the tensors, cut from the workspace.
#pragma once

#include <cstddef>
#include <cstdint>

#include "arena.hpp"
#include "keys.hpp"
#include "simd/kernels.hpp"

namespace attn {

constexpr std::int64_t round_up(std::int64_t n, std::int64_t step) noexcept { return (n + step - 1) / step * step; }

// The running result of the rows of a tile (simd::Block says what the members mean).
struct TileState {
  float *row_max, *row_sum, *output;
  std::uint8_t* overflowed;  // [rows]

  static TileState take(Arena& arena, std::int64_t rows, std::int64_t output_stride) noexcept {
    const std::int64_t padded = round_up(rows, simd::lane_count);
    return {arena.take<float>(padded), arena.take<float>(padded),
            arena.take<float>(saturating_product(rows, output_stride)), arena.take<std::uint8_t>(rows)};
  }
};

struct TileScratch {
  float *query, *scores;
  TileState state, block;
  std::int32_t *begin, *end;
  const void** ahead;  // [ahead_rows]
  // Of the rows of one block, where the call has such a thing.
  const std::uint64_t** allowed;  // [rows]
  std::uint64_t* allowed_bits;    // [rows, key_block / 64]
  std::uint8_t* gathered_mask;    // [key_block]
  simd::RowSteps* row_steps;      // [rows]
  float* gathered_bias;           // [rows, key_block]

  static TileScratch take(Arena& arena, const AttentionArgs& args, std::int64_t rows, std::int64_t output_stride,
                          std::int64_t ahead_rows) noexcept {
    const std::int64_t head_dim = args.head_dim;
    const std::int64_t masked = args.mask.data ? rows : 0, stepped = has_steps(args) ? rows : 0;
    TileScratch scratch;
    scratch.query = arena.take<float>(saturating_product(rows, head_dim));
    scratch.scores = arena.take<float>(rows * simd::score_stride);
    scratch.state = TileState::take(arena, rows, output_stride);
    scratch.block = TileState::take(arena, rows, output_stride);
    scratch.begin = arena.take<std::int32_t>(rows);
    scratch.end = arena.take<std::int32_t>(rows);
    scratch.ahead = arena.take<const void*>(ahead_rows);
    scratch.allowed = arena.take<const std::uint64_t*>(masked);
    scratch.allowed_bits = arena.take<std::uint64_t>(masked * (simd::key_block / 64));
    scratch.gathered_mask = arena.take<std::uint8_t>(masked ? simd::key_block : 0);
    scratch.row_steps = arena.take<simd::RowSteps>(stepped);
    scratch.gathered_bias =
        arena.take<float>(args.bias.data && args.bias.column_stride != 1 ? rows * simd::key_block : 0);
    return scratch;
  }
};

}  // namespace attn
