// Sums of weights over the queries. The canonical order: in groups of sum_group queries, at absolute multiples of it,
// then group after group. The error grows with 64 + queries / 64 roundings, not with their number.
//
// A unit is the tiles that one worker sums up: those of a group of queries, or all tiles of a KV head that has no more
// queries than that. Units are added to the caller's sums one after the other.
#pragma once

#include "streaming/plan.hpp"
#include "streaming/workspace.hpp"

namespace attn::streaming {

inline constexpr std::int64_t sum_group = 64;

// Floats from one group's sums for a head to the next one's.
inline std::int64_t sums_stride(std::int64_t key_length) noexcept { return round_up(key_length, simd::lane_count); }

// Where the weights of a query head are added, in the sums of a unit: [group, sums_stride].
inline float* sums_of_head(const Plan& plan, std::int64_t head, float* sums) noexcept {
  return sums + head % plan.problem.group * sums_stride(plan.problem.batch.key_length);
}

// All 0: the caller's sums of a KV head, and those of a unit.
void clear_sums(const Plan& plan, const KvHead& kv) noexcept;
void clear_unit(const Plan& plan, float* sums) noexcept;

// Adds a unit's sums of some keys to the caller's.
void add_unit(const Plan& plan, const KvHead& kv, KeyRange keys, const float* sums) noexcept;

}  // namespace attn::streaming
