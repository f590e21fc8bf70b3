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

// The whole of AttentionArgs but the workspace: sizes, pointers, strides, overlap, options, and what `path` serves.
// `path` is blas or streaming.
Status attention(const AttentionArgs& args, Path path) noexcept;

// x and y: one matrix each, of which the row stride counts.
Status softmax(const Tensor& x, const Tensor& y, std::int64_t rows, std::int64_t columns, float scale) noexcept;

Status append(const AppendArgs& args) noexcept;

Status merge(const MergeArgs& args) noexcept;

}  // namespace attn::check
