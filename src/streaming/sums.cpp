#include "streaming/sums.hpp"

#include <algorithm>

namespace attn::streaming {

void clear_sums(const Plan& plan, const KvHead& kv) noexcept {
  const Problem& p = plan.problem;
  for (std::int64_t g = 0; p.extras.key_weight_sums && g < p.group; ++g) {
    float* const sums = p.key_weight_sums_at(kv.sequence, kv.head * p.group + g);
    std::fill_n(sums, p.batch.capacity(kv.sequence.item), 0.0f);
  }
}

void clear_unit(const Plan& plan, float* sums) noexcept {
  const Problem& p = plan.problem;
  if (sums) std::fill_n(sums, p.group * sums_stride(p.batch.key_length), 0.0f);
}

void add_unit(const Plan& plan, const KvHead& kv, KeyRange keys, const float* sums) noexcept {
  const Problem& p = plan.problem;
  for (std::int64_t g = 0; sums && g < p.group; ++g) {
    const float* const from = sums + g * sums_stride(p.batch.key_length);
    float* const to = p.key_weight_sums_at(kv.sequence, kv.head * p.group + g);
    for (std::int64_t j = keys.begin; j < keys.end; ++j) to[j] += from[j];
  }
}

}  // namespace attn::streaming
