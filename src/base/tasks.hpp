// Tasks spread over the caller's threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "attn/parallel.hpp"

namespace attn {

// The workers of a call: the first `workers` threads of the caller's, or the calling thread where parallel is null.
struct Team {
  const Parallel* parallel = nullptr;
  std::int64_t workers = 1;
};

// How many of the caller's threads `ns` of work are worth: one for each `worth_a_worker` of them, and at least one.
inline std::int64_t workers_for(const Parallel* parallel, double ns, double worth_a_worker) noexcept {
  if (!parallel || parallel->threads <= 1) return 1;
  const double worth = std::max(1.0, ns / worth_a_worker);
  return worth < static_cast<double>(parallel->threads) ? static_cast<std::int64_t>(worth) : parallel->threads;
}

// Calls task(worker, i) for every i in [0, count): each worker takes the next i that is left. What the caller's run
// leaves, because it throws or returns early, the calling thread does: nothing of it is running any more.
template <class Task>
void for_each(const Team& team, std::int64_t count, const Task& task) noexcept {
  struct Shared {
    const Task& task;
    std::int64_t workers, count;
    std::atomic<std::int64_t> next;
  } shared{task, std::min(team.workers, count), count, {0}};
  const auto work = [](void* argument, std::int64_t worker) {
    Shared& s = *static_cast<Shared*>(argument);
    if (worker < 0 || worker >= s.workers) return;  // has no scratch
    for (std::int64_t i; (i = s.next.fetch_add(1, std::memory_order_relaxed)) < s.count;) s.task(worker, i);
  };
  if (team.parallel && shared.workers > 1) {
    try {
      team.parallel->run(team.parallel->context, shared.workers, work, &shared);
    } catch (...) {
    }
  }
  work(&shared, 0);
}

}  // namespace attn
