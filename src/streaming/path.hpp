// The path that never holds a score matrix.
#pragma once

#include "streaming/plan.hpp"

namespace attn::streaming {

// What run() takes.
std::size_t workspace_bytes(const Plan& plan) noexcept;

// As much as a plan of this problem, of a share of it or of any smaller problem takes: it grows with each size.
std::size_t workspace_bytes(const Problem& problem, const simd::Kernels& kernels) noexcept;

// `workspace` holds workspace_bytes(plan); its alignment is any.
void run(const Plan& plan, void* workspace) noexcept;

}  // namespace attn::streaming
