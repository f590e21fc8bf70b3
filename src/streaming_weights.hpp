// The second pass of the streaming path: weights and their sums, once every row's maximum and sum are known. The scores
// are computed again, block after block, so that no score matrix is held.
#pragma once

#include "streaming_plan.hpp"

namespace attn::streaming_path {

// args.weights and args.key_weight_sums from w.row_max and w.row_sum.
void weigh(const Plan& plan, const Workspace& w) noexcept;

// Without query rows every sum is 0.
void clear_key_weight_sums(const AttentionArgs& args) noexcept;

}  // namespace attn::streaming_path
