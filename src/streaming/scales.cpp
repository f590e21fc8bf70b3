#include "streaming/scales.hpp"

#include <algorithm>
#include <cstdint>

#include "call/cache_row.hpp"

namespace attn::streaming {
namespace {

using simd::key_block;

// Where scales of a head come from, and the block's first key. They go into to[groups, key_block].
struct ScalesOf {
  const Plan& plan;
  const KvHead& kv;
  const Tensor& tensor;
  const Scales& scales;
  std::int64_t first, groups;
};

// Keys [j, j + count) of i8 that stand one after the other.
void copy_floats(const ScalesOf& s, CacheRow at, std::int64_t count, float* to) noexcept {
  const Scales& x = s.scales;
  const float* const from = x.data + at.batch * x.batch_stride + s.kv.head * x.head_stride + at.row * x.row_stride;
  for (std::int64_t j = 0; j < count; ++j) to[j] = from[j * x.row_stride];
}

// The same of q8_0: some rows of blocks at a time, which stay in L1 while one group after the other is taken.
void copy_of_blocks(const ScalesOf& s, CacheRow at, std::int64_t count, float* to) noexcept {
  constexpr std::int64_t step = 64;
  for (std::int64_t j = 0; j < count; j += step)
    for (std::int64_t g = 0; g < s.groups; ++g) {
      f16 some[step];
      const std::int64_t rows = std::min(step, count - j);
      for (std::int64_t r = 0; r < rows; ++r)
        some[r] = reinterpret_cast<const q8_0*>(address_of(s.tensor, at.batch, s.kv.head, at.row + j + r))[g].scale;
      s.plan.kernels.widen(some, DType::f16, rows, to + g * key_block + j);
    }
}

void copy(const ScalesOf& s, KeyRange keys, float* to) noexcept {
  const Problem& p = s.plan.problem;
  for (std::int64_t g = 0; g < s.groups; ++g) {
    float* const scales = to + g * key_block;
    std::fill(scales + keys.begin / simd::lane_count * simd::lane_count, scales + keys.begin, 0.0f);
    std::fill(scales + keys.end, scales + round_up(keys.end, simd::lane_count), 0.0f);
  }
  for (std::int64_t j = keys.begin; j < keys.end;) {
    const CacheRow at = p.cache_row(s.kv.sequence, s.first + j);
    const std::int64_t count = p.pages.table ? std::min(keys.end - j, p.pages.length - at.row) : keys.end - j;
    s.tensor.dtype == DType::i8 ? copy_floats(s, at, count, to + j) : copy_of_blocks(s, at, count, to + j);
    j += count;
  }
}

}  // namespace

std::int64_t scales_of_a_block(DType type, std::int64_t columns) noexcept {
  if (is_floating(type) || columns == 0) return 0;
  return saturating_count(ceil_divide(columns, scale_columns(type, columns)), key_block);
}

void take_key_scales(
    const Plan& plan, const KvHead& kv, std::int64_t block, KeyRange keys, const TileScratch& scratch,
    simd::KeyBlock& b) noexcept {
  const Problem& p = plan.problem;
  if (is_floating(p.key.dtype) || keys.empty()) return;
  b.key_group = scale_columns(p.key.dtype, p.head_dim);
  copy({plan, kv, p.key, p.key_scales, block * key_block, p.head_dim / b.key_group}, keys, scratch.key_scales);
  b.key_scales = scratch.key_scales;
}

void take_value_scales(
    const Plan& plan, const KvHead& kv, std::int64_t block, KeyRange keys, const TileScratch& scratch,
    simd::KeyBlock& b) noexcept {
  const Problem& p = plan.problem;
  if (is_floating(p.value.dtype) || keys.empty() || p.value_dim == 0) return;
  b.value_group = scale_columns(p.value.dtype, p.value_dim);
  const std::int64_t groups = p.value_dim / b.value_group;
  copy({plan, kv, p.value, p.value_scales, block * key_block, groups}, keys, scratch.value_scales);
  b.value_scales = scratch.value_scales;
  for (std::int64_t g = 0; b.values_finite && g < groups; ++g)  // never so in place, where no scale need be looked at
    b.values_finite = plan.kernels.all_finite(scratch.value_scales + g * key_block + keys.begin, keys.end - keys.begin);
}

KeyRange seen_in_block(const Tile& tile, const TileScratch& scratch) noexcept {
  KeyRange seen{key_block, 0};
  for (std::int64_t r = 0; r < tile.rows; ++r)
    if (scratch.begin[r] < scratch.end[r])
      seen = {std::min<std::int64_t>(seen.begin, scratch.begin[r]), std::max<std::int64_t>(seen.end, scratch.end[r])};
  return seen;
}

}  // namespace attn::streaming
