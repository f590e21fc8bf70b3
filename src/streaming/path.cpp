#include "streaming/path.hpp"

#include "streaming/passes.hpp"
#include "streaming/workspace.hpp"

namespace attn::streaming {

void run(const Plan& plan, void* workspace) noexcept {
  if (plan.kv_heads == 0) return;
  if (plan.rows == 0) return clear_key_weight_sums(plan.problem);
  Arena arena(reinterpret_cast<std::uintptr_t>(workspace));
  const Workspace w = lay_out(plan, arena);
  first_pass(plan, w);
  if (plan.second_pass) second_pass(plan, w);
}

}  // namespace attn::streaming
