#include "streaming/path.hpp"

#include "streaming/passes.hpp"
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
  if (plan.rows == 0) return clear_key_weight_sums(plan);
  Arena arena(reinterpret_cast<std::uintptr_t>(workspace));
  const Workspace w = lay_out(sizes_of(plan), arena);
  first_pass(plan, w);
  if (plan.second_pass) second_pass(plan, w);
}

}  // namespace attn::streaming
