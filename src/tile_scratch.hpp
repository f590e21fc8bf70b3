// What one worker of the streaming path needs beside the tensors, cut from the workspace.
#pragma once

#include <cstddef>
#include <cstdint>

#include "saturating.hpp"
#include "simd/kernels.hpp"

namespace attn {

constexpr std::int64_t round_up(std::int64_t n, std::int64_t step) noexcept { return (n + step - 1) / step * step; }

// Hands out 64-byte aligned pieces of the workspace. With base 0 it only counts: that is workspace_size().
class Arena {
 public:
  explicit Arena(std::uintptr_t base) noexcept : base_(base), used_(base ? (64 - base % 64) % 64 : 64) {}

  template <class T>
  T* take(std::size_t count) noexcept {
    T* piece = base_ ? reinterpret_cast<T*>(base_ + used_) : nullptr;
    const std::size_t bytes = saturating_sum(saturating_product(count, sizeof(T)), 63);
    used_ = saturating_sum(used_, bytes - bytes % 64);
    return piece;
  }
  std::size_t used() const noexcept { return used_; }

 private:
  std::uintptr_t base_;
  std::size_t used_;
};

// The running result of the rows of a tile (simd::Block says what the members mean).
struct TileState {
  float *row_max, *row_sum, *output;

  static TileState take(Arena& arena, std::int64_t rows, std::int64_t output_stride) noexcept {
    const std::int64_t padded = round_up(rows, simd::lane_count);
    return {arena.take<float>(padded), arena.take<float>(padded), arena.take<float>(saturating_product(rows, output_stride))};
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
