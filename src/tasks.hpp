// Tasks spread over the caller's threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "streaming_plan.hpp"

namespace attn::streaming_path {

// Calls task(worker, i) for every i in [0, count): each of the workers takes the next i that is left.
template <class Task>
void for_each(const Plan& plan, std::int64_t count, const Task& task) noexcept {
  struct Shared {
    const Task& task;
    std::int64_t count;
    std::atomic<std::int64_t> next;
  } shared{task, count, {0}};
  const auto work = [](void* argument, std::int64_t worker) {
    Shared& s = *static_cast<Shared*>(argument);
    for (std::int64_t i; (i = s.next.fetch_add(1, std::memory_order_relaxed)) < s.count;) s.task(worker, i);
  };
  const std::int64_t workers = std::min(plan.workers, count);
  if (workers <= 1) return work(&shared, 0);
  plan.args.parallel->run(plan.args.parallel->context, workers, work, &shared);
}

}  // namespace attn::streaming_path
