// Threads: the library starts none unless the caller makes a ThreadPool.
#pragma once

#include "attn/macros_off.h"
// No macro has a name that stands below, until macros_on.h.
#include <cstdint>

namespace attn {

// The caller's own parallel_for: run(context, count, task, argument) calls task(argument, i) once for every i in
// [0, count), on any threads, in any order, and returns when all are done. It is called from the calling thread only,
// with count <= threads and never more than there is work for; calling the tasks one after the other is allowed. No
// result depends on it.
//
// When run returns or throws, no task may be running or start later. If it throws, or has not called all tasks, the
// calling thread does what is left, and the call goes on: its status is ok and its results are right. The exception
// ends there. Tasks do not throw. tests/examples/openmp.cpp shows one for OpenMP.
struct Parallel {
  using Task = void (*)(void* argument, std::int64_t index);
  void (*run)(void* context, std::int64_t count, Task task, void* argument) = nullptr;
  void* context = nullptr;
  std::int64_t threads = 1;  // how many tasks may run at the same time, at least 1; more than there are tasks is fine
};

// A small pool for those who have no parallel_for. `threads` counts the calling thread: 1 starts none.
// Workers spin for about 100 microseconds before they sleep, so that calls of 200 microseconds gain from a second
// thread. One call at a time uses a pool: a second caller's tasks run on its own thread alone. Not inherited across
// fork.
class ThreadPool {
 public:
  // Throws std::invalid_argument unless threads is in [1, 4096], std::system_error if a thread cannot be started.
  explicit ThreadPool(std::int64_t threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  // Valid as long as the pool. const Parallel p = pool.parallel(); args.parallel = &p;
  [[nodiscard]] Parallel parallel() noexcept;

 private:
  struct State;
  State* state_;
};

}  // namespace attn

#include "attn/macros_on.h"
