// All rules for the arguments of the calls that return a Status, a file for each call. Nothing here reads or writes a
// tensor.
#pragma once

#include <cstdint>

#include "attn/attention.hpp"
#include "attn/kv_cache.hpp"
#include "attn/merge.hpp"
#include "attn/status.hpp"

namespace attn::check {

// The sizes alone.
Status sizes(const AttentionArgs& args) noexcept;

// Which of i8, q8_0 and scales keys and values have, and sizes and strides that are whole blocks of q8_0.
Status scales(const AttentionArgs& args) noexcept;
Status scales(const AppendArgs& args) noexcept;

// cu[0] = 0, and batch steps of 0 to most, which the caller knows as `most_name`. Null is fine.
Status cumulative(
    const char* name, const std::int64_t* cu, std::int64_t batch, const char* most_name, std::int64_t most) noexcept;

// The whole of AttentionArgs but the workspace: sizes, pointers, strides, overlap, options, and what `path` serves.
// `path` is blas or streaming.
Status attention(const AttentionArgs& args, Path path) noexcept;

// Caches in pages: what may be asked before an array is read, and the entries of the table that are read or written.
Status pages(const AttentionArgs& args) noexcept;
Status page_entries(const AttentionArgs& args) noexcept;
Status pages(const AppendArgs& args) noexcept;
Status page_entries(const AppendArgs& args) noexcept;
// The most entries that an item may need: 0 without pages, or without queries.
std::int64_t most_pages(const AttentionArgs& args) noexcept;

// x and y: one matrix each, of which the row stride counts.
Status softmax(const Tensor& x, const Tensor& y, std::int64_t rows, std::int64_t columns, float scale) noexcept;

Status append(const AppendArgs& args) noexcept;

// sizes: batch, kv_heads, key_length, head_dim.
Status keys_to_panels(const std::int64_t (&sizes)[4], const Tensor& rows, const Output& panels) noexcept;

Status merge(const MergeArgs& args) noexcept;

}  // namespace attn::check
