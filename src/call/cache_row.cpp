#include "call/cache_row.hpp"

#include <algorithm>

#include "call/panel.hpp"

namespace attn {
namespace {

const char* row_at(const CacheHead& c, const Tensor& t, std::int64_t j) noexcept {
  const CacheRow at = c.problem.cache_row(c.sequence, j);
  return address_of(t, at.batch, c.head, at.row);
}

// Some columns of a key of a panel.
void widen_from_panel(
    const simd::Kernels& kernels, const Tensor& panels, PanelPlace place, Columns columns, float* wide) noexcept {
  constexpr std::int64_t step = 64;
  for (std::int64_t d = 0; d < columns.count; d += step) {
    const std::int64_t count = std::min(step, columns.count - d);
    char stored[step * sizeof(float)];
    take_from_panel(panels, place, {columns.first + d, count}, stored);
    kernels.widen(stored, panels.dtype, count, wide + d);
  }
}

// The integers of blocks, which any column may be the first of.
void widen_blocks(const simd::Kernels& kernels, const char* row, Columns columns, float* wide) noexcept {
  const q8_0* const blocks = reinterpret_cast<const q8_0*>(row);
  for (std::int64_t d = 0; d < columns.count;) {
    const std::int64_t column = columns.first + d, in_block = column % q8_0_block;
    const std::int64_t count = std::min(q8_0_block - in_block, columns.count - d);
    kernels.widen(blocks[column / q8_0_block].values + in_block, DType::i8, count, wide + d);
    d += count;
  }
}

float scale_of(
    const CacheHead& c, const Tensor& t, const Scales& scales, std::int64_t j, std::int64_t column) noexcept {
  float scale = 1;
  if (t.dtype == DType::i8) {
    const CacheRow at = c.problem.cache_row(c.sequence, j);
    scale = scales.data[at.batch * scales.batch_stride + c.head * scales.head_stride + at.row * scales.row_stride];
  } else if (t.dtype == DType::q8_0) {
    const q8_0* const blocks = reinterpret_cast<const q8_0*>(row_at(c, t, j));
    c.kernels.widen(&blocks[column / q8_0_block].scale, DType::f16, 1, &scale);
  }
  return scale;
}

// Copies what stands elsewhere into `wide`, and multiplies it by its scales.
template <class ScaleAt>
void finish(DType type, std::int64_t count, const float* from, float* wide, const ScaleAt& scale_at) noexcept {
  if (from != wide) std::copy_n(from, count, wide);
  if (is_floating(type)) return;
  for (std::int64_t d = 0, group = scale_columns(type, count); d < count; d += group) {
    const float scale = scale_at(d);
    for (std::int64_t i = d; i < d + group; ++i) wide[i] *= scale;
  }
}

}  // namespace

const float* as_float(
    const simd::Kernels& kernels, const char* row, DType type, Columns columns, float* wide) noexcept {
  if (is_float(type)) return reinterpret_cast<const float*>(row) + columns.first;
  if (type == DType::q8_0)
    widen_blocks(kernels, row, columns, wide);
  else
    kernels.widen(row + bytes_of(type, columns.first), type, columns.count, wide);
  return wide;
}

const float* stored_key(const CacheHead& c, std::int64_t j, Columns columns, float* wide) noexcept {
  const Tensor& t = c.problem.key;
  if (!c.problem.panels()) return as_float(c.kernels, row_at(c, t, j), t.dtype, columns, wide);
  const CacheRow at = c.problem.cache_row(c.sequence, j);
  widen_from_panel(c.kernels, t, {at.batch, c.head, at.row}, columns, wide);
  return wide;
}

const float* stored_value(const CacheHead& c, std::int64_t j, Columns columns, float* wide) noexcept {
  const Tensor& t = c.problem.value;
  return as_float(c.kernels, row_at(c, t, j), t.dtype, columns, wide);
}

float key_scale(const CacheHead& c, std::int64_t j, std::int64_t column) noexcept {
  return scale_of(c, c.problem.key, c.problem.key_scales, j, column);
}
float value_scale(const CacheHead& c, std::int64_t j, std::int64_t column) noexcept {
  return scale_of(c, c.problem.value, c.problem.value_scales, j, column);
}

void read_key(const CacheHead& c, std::int64_t j, float* wide) noexcept {
  const std::int64_t columns = c.problem.head_dim;
  finish(c.problem.key.dtype, columns, stored_key(c, j, {0, columns}, wide), wide, [&](std::int64_t column) {
    return key_scale(c, j, column);
  });
}
void read_value(const CacheHead& c, std::int64_t j, float* wide) noexcept {
  const std::int64_t columns = c.problem.value_dim;
  finish(c.problem.value.dtype, columns, stored_value(c, j, {0, columns}, wide), wide, [&](std::int64_t column) {
    return value_scale(c, j, column);
  });
}

}  // namespace attn
