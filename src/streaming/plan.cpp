#include "streaming/plan.hpp"

#include "base/exponent.hpp"

namespace attn::streaming {
namespace {

// Keys and values of a call above this size come from memory. Fetched ahead, 8 MiB and more took 0.6 to 0.9 of the
// time, 0.5 MB 1.2 times.
constexpr std::size_t caches = 8 << 20;
// Of int8 a byte is multiplied four times as often, and a prefetch is the cheaper: above what L2 holds 2 to 8 MiB took
// 0.7 to 0.85 of the time.
constexpr std::size_t near_caches = 1 << 20;

std::size_t bytes_of_keys_and_values(const Plan& plan) noexcept {
  const Problem& p = plan.problem;
  const std::size_t row = saturating_sum(
      static_cast<std::size_t>(bytes_of(p.key.dtype, p.head_dim)),
      static_cast<std::size_t>(bytes_of(p.value.dtype, p.value_dim)));
  return saturating_product(p.batch.count, p.kv_heads, p.batch.key_length, row);
}

}  // namespace

Plan make_plan(const Problem& p, const simd::Kernels& kernels) noexcept {
  Plan plan{p, kernels};
  // The sums of a head's weights are over all its rows.
  plan.share = share_of(p, {p.kv_heads, p.group, p.extras.key_weight_sums != nullptr});
  plan.kv_heads = plan.share.heads;
  plan.rows = plan.share.most_rows(saturating_count(p.batch.query_length, p.group));
  plan.blocks = ceil_divide(p.batch.key_length, simd::key_block);
  plan.padded_value_dim = round_up(p.value_dim, simd::lane_count);
  if (p.batch.key_length > (p.panels() ? cache_panel : 1)) plan.key_stride = p.key.row_stride;
  if (p.batch.key_length > 1) plan.value_stride = p.value.row_stride;
  plan.uniform = p.visibility.same_for_all() && !p.visibility.has_holes() && !p.scoring.stepped;
  plan.rules = rules_of(p);
  plan.known_blocks = known_blocks_of(p);
  plan.steps = p.scoring.steps();
  plan.negate = !p.scoring.stepped && p.scoring.scale < 0;
  if (plan.negate) plan.steps.scale = -plan.steps.scale;  // (-q) . k times |scale| has the same bits
  for (const bool stepped : {false, true})
    plan.exponents[stepped] = make_exponent(p.scoring.exponent_scale(stepped || p.scoring.stepped));
  plan.weighs = p.weighs();
  plan.fetch_ahead = bytes_of_keys_and_values(plan) > (p.scaled() ? near_caches : caches);
  choose_schedule(plan);
  return plan;
}

KvHead kv_head_at(const Plan& plan, std::int64_t index) noexcept {
  const Problem& p = plan.problem;
  KvHead kv;
  kv.sequence = p.batch.at((plan.share.first_head + index) / p.kv_heads);
  kv.index = index;
  kv.head = (plan.share.first_head + index) % p.kv_heads;
  const Share::Rows rows = plan.share.rows_of(index, kv.sequence.query_length * p.group);
  kv.first_row = rows.begin;
  kv.rows = rows.end - rows.begin;
  kv.tiles = kv.rows == 0 ? 0 : kv.rows <= plan.rows_per_tile ? 1 : ceil_divide(kv.rows, plan.rows_per_tile);
  kv.needed = {0, kv.sequence.key_length};
  kv.keys = kv.values = nullptr;
  if (p.pages.table) {
    kv.needed = p.needed(kv.sequence);
    return kv;
  }
  const std::int64_t first_key = kv.sequence.first_key;  // of a panel, where there are panels
  kv.keys = address_of(p.key, kv.sequence.batch, kv.head, p.panels() ? first_key / cache_panel : first_key);
  kv.values = address_of(p.value, kv.sequence.batch, kv.head, first_key);
  return kv;
}

bool fits_l2(const Plan& plan) noexcept {
  const Problem& p = plan.problem;
  return plan.schedule == Schedule::kv_heads &&
      saturating_product(p.batch.key_length, p.head_dim + p.value_dim, sizeof(float)) <= 256 * 1024;
}

}  // namespace attn::streaming
