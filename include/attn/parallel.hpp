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

// What a ThreadPool is made of.
struct ThreadPoolOptions {
  // Counts the calling thread: 1 starts none. In [1, 4096].
  std::int64_t threads = 1;
  // How long a worker without work spins before it sleeps; 0: it sleeps at once and costs no CPU between calls, but
  // each call waits for the system to wake it. In [0, 1000000].
  std::int64_t spin_microseconds = 100;
  // [cpu_count] numbers of CPUs, or null: the system places the workers. Worker i of threads - 1 runs on CPU
  // cpus[i % cpu_count] alone; the calling thread is left where it is. Read by the constructor only. Linux only.
  const std::int64_t* cpus = nullptr;
  std::int64_t cpu_count = 0;
  // Without `cpus`: workers may run where the thread that makes the pool may, but not on the CPU that the calling
  // thread is on when a call begins. Linux only; elsewhere, or with one CPU, it does nothing. Some systems pack threads
  // on few CPUs, or wake a worker on its caller's, where it cannot help before the call is over. It costs a system call
  // for each worker when the caller has moved to another CPU.
  bool avoid_callers_cpu = true;
};

// A small pool for those who have no parallel_for.
// Workers spin for a while before they sleep, so that calls of some microseconds gain from a second thread. One call at
// a time uses a pool: a second caller's tasks run on its own thread alone. Not inherited across fork.
class ThreadPool {
 public:
  // Throws std::invalid_argument, which names the option and its value, if one is not as above, if the system does not
  // let a worker run on its CPU of the list, or if it cannot place threads; std::system_error if a thread cannot be
  // started.
  explicit ThreadPool(const ThreadPoolOptions& options);
  // With the other options as they are by default.
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
