// The one pass over queries and keys.
#pragma once

#include "streaming/plan.hpp"
#include "streaming/workspace.hpp"

namespace attn::streaming {

// Tiles of query rows against blocks of keys, merged block after block; at the end of a tile its results.
void run_pass(const Plan& plan, const Workspace& w) noexcept;

}  // namespace attn::streaming
