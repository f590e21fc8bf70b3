// Tasks spread over the caller's threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "streaming/plan.hpp"

namespace attn::streaming {

// Calls task(worker, i) for every i in [0, count): each of the workers takes the next i that is left. What the caller's
// run leaves, because it throws or returns early, the calling thread does: nothing of it is running any more.
template <class Task>
void for_each(const Plan& plan, std::int64_t count, const Task& task) noexcept {
  struct Shared {
    const Task& task;
    std::int64_t workers, count;
    std::atomic<std::int64_t> next;
  } shared{task, std::min(plan.workers, count), count, {0}};
  const auto work = [](void* argument, std::int64_t worker) {
    Shared& s = *static_cast<Shared*>(argument);
    if (worker < 0 || worker >= s.workers) return;  // has no scratch
    for (std::int64_t i; (i = s.next.fetch_add(1, std::memory_order_relaxed)) < s.count;) s.task(worker, i);
  };
  if (shared.workers > 1) {
    try {
      plan.problem.parallel->run(plan.problem.parallel->context, shared.workers, work, &shared);
    } catch (...) {
    }
  }
  work(&shared, 0);
}

}  // namespace attn::streaming
