// The two passes of the streaming path.
#pragma once

#include "streaming/plan.hpp"
#include "streaming/workspace.hpp"

namespace attn::streaming {

// Output and log-sum-exp: tiles of query rows against blocks of keys, merged block after block. Fills w.row_max,
// w.row_sum and w.wide if plan.keeps_rows.
void first_pass(const Plan& plan, const Workspace& w) noexcept;

// Weights and their sums, once every row's maximum and sum are known. The scores are computed again, block after block,
// so that no score matrix is held.
void second_pass(const Plan& plan, const Workspace& w) noexcept;

// Without query rows every sum is 0.
void clear_key_weight_sums(const Plan& plan) noexcept;

}  // namespace attn::streaming
