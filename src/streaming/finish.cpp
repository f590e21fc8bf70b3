#include "streaming/finish.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>

#include "base/log_sum_exp.hpp"
#include "call/wide_row.hpp"
#include "streaming/scores.hpp"

namespace attn::streaming {
namespace {

// A sink is merged last, as a block of one key whose value is 0.
void merge_sinks(const Plan& plan, const Tile& tile, const simd::State& state, const TileScratch& scratch) noexcept {
  clear(scratch.block, tile.rows);
  for (std::int64_t r = 0; r < tile.rows; ++r) {
    scratch.block.max[r] = plan.problem.scoring.sinks[scratch.place[r].head];
    scratch.block.sum[r] = 1.0f;
  }
  plan.kernels.merge(plan.exponents[tile.part.stepped], tile.rows, state, scratch.block);
}

// The caller's output and log-sum-exp of row r. Where float32 has lost products to overflow, all of the row is computed
// again in double: true, and the row's maximum and sum are those.
bool finish_row(
    const Plan& plan, const KvHead& kv, const Tile& tile, std::int64_t r, Place place,
    const simd::State& state) noexcept {
  const Problem& p = plan.problem;
  char* const out = address_of(p.output, kv.sequence.batch, place.head, kv.sequence.first_query + place.query);
  float* const accumulated = state.output + r * state.output_stride;
  float* const row = is_float(p.output.dtype) ? reinterpret_cast<float*>(out) : accumulated;
  const bool finite = plan.kernels.finish_row(accumulated, state.sum[r], row, p.value_dim);
  bool again = false;
  if (!finite || state.overflowed[r]) {
    const Row wide{p, plan.kernels, kv.sequence, place.head, place.query, tile.is_biased(r)};
    wide_row::Softmax softmax;
    again = wide_row::mend(wide, state.sum[r], state.overflowed[r] != 0, row, softmax);
    if (again) {
      state.max[r] = softmax.max;
      state.sum[r] = static_cast<float>(softmax.sum);
    }
  }
  if (row == accumulated) plan.kernels.narrow(row, p.output.dtype, p.value_dim, out);
  if (p.extras.logsumexp)
    *p.logsumexp_at(kv.sequence, place.head, place.query) =
        log_sum_exp(state.max[r], state.sum[r], p.scoring.exponent_scale(again || tile.stepped(r)));
  return again;
}

}  // namespace

void clear(const simd::State& state, std::int64_t rows) noexcept {
  std::fill(state.max, state.max + rows, -std::numeric_limits<float>::infinity());
  std::fill(state.sum, state.sum + rows, 0.0f);
  std::fill(state.output, state.output + rows * state.output_stride, 0.0f);
  std::fill(state.overflowed, state.overflowed + rows, std::uint8_t{0});
}

void finish_tile(
    const Plan& plan, const KvHead& kv, const Tile& tile, const simd::State& state,
    const TileScratch& scratch) noexcept {
  if (plan.problem.scoring.sinks) merge_sinks(plan, tile, state, scratch);
  for (std::int64_t r = 0; r < tile.rows; ++r) {
    if (!tile.in_part(r)) continue;
    const bool wide = finish_row(plan, kv, tile, r, scratch.place[r], state);
    if (plan.weighs) scratch.ends[r] = {state.max[r], state.sum[r], wide};
    if (plan.problem.extras.scores.data) end_scores(plan, kv, r, scratch);
  }
}

}  // namespace attn::streaming
