#include "streaming/pages.hpp"

#include <algorithm>

namespace attn::streaming {
namespace {

using simd::key_block;
using simd::PackedRows;

// Of no more than a block: longer pages are whole blocks.
std::int64_t page_keys_of(const Plan& plan) noexcept {
  return std::min<std::int64_t>(plan.problem.pages.length, key_block);
}

// Lists pages of a head one after the other, or of long ones each block. Entry `begin` is that of key j, a multiple of
// page_keys; `end` is one behind the last.
struct PageList {
  const void **keys, **values;
  std::int64_t begin, end;
};
void list_head(const Problem& p, const Sequence& s, std::int64_t head, std::int64_t j, PageList& list) noexcept {
  const std::int64_t length = p.pages.length;
  const std::int32_t* entry = p.pages.table + s.item * p.pages.stride + j / length;
  const std::int64_t unit = p.panels() ? cache_panel : 1;
  std::int64_t row = j % length;  // 0 in pages of no more than a block
  for (; list.begin < list.end; ++list.begin) {
    list.keys[list.begin] = address_of(p.key, *entry, head, row / unit);
    list.values[list.begin] = address_of(p.value, *entry, head, row);
    row += key_block;
    if (row < length) continue;
    row = 0;
    ++entry;
  }
}

// Rows that are packed together: a page, or so many of a longer one. Meanwhile those of so many keys later are fetched.
constexpr std::int64_t few = 64;
std::int64_t packed_together(const Plan& plan) noexcept { return std::min(few, plan.problem.pages.length); }

// The rows from key j on, of keys or values, and where those stand that are fetched.
PackedRows packed_rows(const Plan& plan, const KvHead& kv, const Tensor& t, std::int64_t j, KeyRange block) noexcept {
  const Problem& p = plan.problem;
  const std::int64_t next = j + few;
  const CacheRow at = p.cache_row(kv.sequence, j);
  PackedRows rows;
  rows.rows = address_of(t, at.batch, kv.head, at.row);
  rows.type = t.dtype;
  rows.stride = t.row_stride;
  rows.count = std::min(packed_together(plan), block.end - j);
  rows.block_count = block.end - block.begin;
  rows.first = j - block.begin;
  if (next >= kv.needed.end) return rows;
  const CacheRow ahead = p.cache_row(kv.sequence, next);
  rows.ahead = address_of(t, ahead.batch, kv.head, ahead.row);
  return rows;
}

}  // namespace

void list_pages(
    const Plan& plan, const KvHead& kv, std::int64_t block, const TileScratch& scratch, simd::KeyBlock& keys) noexcept {
  const Problem& p = plan.problem;
  const std::int64_t page = page_keys_of(plan), count = listed_pages(p), block_begin = block * key_block;
  // Needed pages, as multiples of page_keys: from `first` to `end`.
  const std::int64_t first = kv.needed.begin / page * page, end = round_up(kv.needed.end, page);
  PageList list{scratch.pages, scratch.pages + count, std::max<std::int64_t>(0, (first - block_begin) / page), 0};
  list.end = std::min(count, (end - block_begin) / page);
  list_head(p, kv.sequence, kv.head, block_begin + list.begin * page, list);
  // What is read next: the next head's pages. It is only fetched, so behind the last page anything will do.
  list.end = kv.head + 1 < p.kv_heads ? std::min(count, list.begin + (end - first) / page) : list.begin;
  if (list.begin < list.end) list_head(p, kv.sequence, kv.head + 1, first, list);
  for (; list.begin < count; ++list.begin) {
    list.keys[list.begin] = list.keys[list.begin - 1];
    list.values[list.begin] = list.values[list.begin - 1];
  }
  keys.key_pages = list.keys;
  keys.value_pages = list.values;
  keys.page_keys = page;
}

void pack_pages(const Plan& plan, const KvHead& kv, std::int64_t block, const Packed& packed) noexcept {
  const Problem& p = plan.problem;
  const KeyRange keys = keys_of_block(kv, block);
  const std::int64_t together = packed_together(plan);
  const std::int64_t first = std::max(keys.begin, kv.needed.begin / together * together);
  const auto for_each_page = [&](const Tensor& t, std::int64_t columns, const auto& pack) {
    bool all = true;
    for (std::int64_t j = first; j < std::min(keys.end, kv.needed.end); j += together) {
      PackedRows rows = packed_rows(plan, kv, t, j, keys);
      rows.columns = columns;
      rows.begins = j == first;
      all &= pack(rows);
    }
    return all;
  };
  if (!p.panels()) {
    float* const panels = packed.keys + keys.begin * p.head_dim;
    for_each_page(p.key, p.head_dim, [&](const PackedRows& rows) {
      p.pairs() ? plan.kernels.pack_key_pairs(rows, panels) : plan.kernels.pack_keys(rows, panels);
      return true;
    });
  }
  float* const strips = packed.values + keys.begin * plan.padded_value_dim;
  const auto pack_values = [&](auto kernel) {
    return for_each_page(p.value, p.value_dim, [&](const PackedRows& rows) { return kernel(rows, strips); });
  };
  packed.finite[block] =
      (p.bf16_weights && pack_values(plan.kernels.pack_value_pairs)) || pack_values(plan.kernels.pack_values);
}

}  // namespace attn::streaming
