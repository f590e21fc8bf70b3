// The path that gives weights: sgemm for the scores, fused softmax in place, sgemm for weights * value.
// The only one that holds a score matrix: the caller's weights tensor, or row_block rows of scratch.
#pragma once

#include <cstddef>

#include "attn/attention.hpp"
#include "simd/kernels.hpp"

namespace attn::blas_path {

std::size_t workspace_size(const AttentionArgs& args) noexcept;

// args have been checked; workspace holds workspace_size() bytes.
void run(const AttentionArgs& args, const simd::Kernels& kernels, void* workspace) noexcept;

}  // namespace attn::blas_path
