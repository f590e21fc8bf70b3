// What one worker of the streaming path needs beside the tensors, cut from the workspace.
#pragma once

#include <cstddef>
#include <cstdint>

#include "arena.hpp"
#include "simd/kernels.hpp"

namespace attn {

constexpr std::int64_t round_up(std::int64_t n, std::int64_t step) noexcept { return (n + step - 1) / step * step; }

// The running result of the rows of a tile (simd::Block says what the members mean).
struct TileState {
  float *row_max, *row_sum, *output;

  static TileState take(Arena& arena, std::int64_t rows, std::int64_t output_stride) noexcept {
    const std::int64_t padded = round_up(rows, simd::lane_count);
    return {arena.take<float>(padded), arena.take<float>(padded),
            arena.take<float>(saturating_product(rows, output_stride))};
  }
};

struct TileScratch {
  float *query, *scores;
  TileState state, block;
  std::int32_t *begin, *end;
  const void** ahead;  // [ahead_rows]

  static TileScratch take(Arena& arena, std::int64_t rows, std::int64_t head_dim, std::int64_t output_stride,
                          std::int64_t ahead_rows) noexcept {
    TileScratch scratch;
    scratch.query = arena.take<float>(saturating_product(rows, head_dim));
    scratch.scores = arena.take<float>(rows * simd::score_stride);
    scratch.state = TileState::take(arena, rows, output_stride);
    scratch.block = TileState::take(arena, rows, output_stride);
    scratch.begin = arena.take<std::int32_t>(rows);
    scratch.end = arena.take<std::int32_t>(rows);
    scratch.ahead = arena.take<const void*>(ahead_rows);
    return scratch;
  }
};

}  // namespace attn
