// The path that holds scores: sgemm for them, fused softmax in place, sgemm for weights * value. A row_block of query
// rows at a time, in the caller's weights tensor or in scratch.
#pragma once

#include <cstddef>

#include "call/problem.hpp"
#include "simd/kernels.hpp"

namespace attn::blas_path {

std::size_t workspace_bytes(const Problem& problem) noexcept;

// workspace holds workspace_bytes(); its alignment is any.
void run(const Problem& problem, const simd::Kernels& kernels, void* workspace) noexcept;

}  // namespace attn::blas_path
