#include "streaming/path.hpp"

#include "streaming/pass.hpp"
#include "streaming/sums.hpp"
#include "streaming/workspace.hpp"

namespace attn::streaming {

std::size_t workspace_bytes(const Plan& plan) noexcept {
  return plan.kv_heads == 0 || plan.rows == 0 ? 0 : bytes_of(sizes_of(plan));
}

std::size_t workspace_bytes(const Problem& problem, const simd::Kernels& kernels) noexcept {
  const Sizes z = largest_sizes(problem, kernels);
  return z.rows_per_tile == 0 ? 0 : bytes_of(z);
}

void run(const Plan& plan, void* workspace) noexcept {
  if (plan.kv_heads == 0) return;
  for (std::int64_t i = 0; i < plan.kv_heads; ++i) clear_sums(plan, kv_head_at(plan, i));
  if (plan.rows == 0) return;
  Arena arena(reinterpret_cast<std::uintptr_t>(workspace));
  const Workspace w = lay_out(sizes_of(plan), arena);
  run_pass(plan, w);
}

}  // namespace attn::streaming
