// The path that never holds a score matrix: tiles of query rows against blocks of keys, merged block after block.
#pragma once

#include <cstddef>

#include "attn/attention.hpp"
#include "simd/kernels.hpp"

namespace attn::streaming_path {

std::size_t workspace_size(const AttentionArgs& args, const simd::Kernels& kernels) noexcept;

// args have been checked; workspace holds workspace_size() bytes.
void run(const AttentionArgs& args, const simd::Kernels& kernels, void* workspace) noexcept;

}  // namespace attn::streaming_path
