// The path that never holds a score matrix.
#pragma once

#include "streaming/plan.hpp"

namespace attn::streaming {

// `workspace` holds plan.workspace_bytes; its alignment is any.
void run(const Plan& plan, void* workspace) noexcept;

}  // namespace attn::streaming
