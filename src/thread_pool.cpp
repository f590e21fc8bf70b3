#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "attn/parallel.hpp"

namespace attn {
namespace {

// Longer than the pause between two phases of one call, shorter than anyone would notice on a battery.
constexpr std::chrono::microseconds spin_time{100};

void pause() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

// Spins until done() or for spin_time; whether done.
template <class Done>
bool spin(Done done) noexcept {
  const auto limit = std::chrono::steady_clock::now() + spin_time;
  do {
    for (int i = 0; i < 64; ++i) {
      if (done()) return true;
      pause();
    }
  } while (std::chrono::steady_clock::now() < limit);
  return done();
}

}  // namespace

// A job is open while its caller works on it: a worker joins, looks whether it still is, and takes tasks until there
// are none. The caller closes it and waits for those who have joined, not for those who never woke up.
struct ThreadPool::State {
  std::vector<std::thread> workers;
  std::atomic<bool> busy{false};  // a call has the pool

  // The job. Written only while it is closed and nobody has joined.
  Parallel::Task task = nullptr;
  void* argument = nullptr;
  std::int64_t count = 0;
  std::atomic<std::int64_t> next{0};

  std::atomic<bool> open{false};
  std::atomic<std::int64_t> joined{0};
  std::atomic<std::uint64_t> job{0};  // its number: a worker does not join the same one twice

  std::mutex mutex;
  std::condition_variable wake;
  std::atomic<std::int64_t> sleeping{0};
  std::atomic<bool> stop{false};

  void take_tasks() {
    for (std::int64_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < count;) task(argument, i);
  }

  void work() {
    std::uint64_t seen = 0;
    const auto called = [&] { return job.load() != seen || stop.load(); };
    for (;;) {
      if (!spin(called)) {
        std::unique_lock<std::mutex> lock(mutex);
        sleeping.fetch_add(1);
        wake.wait(lock, called);
        sleeping.fetch_sub(1);
      }
      if (stop.load()) return;
      seen = job.load();
      joined.fetch_add(1);
      if (open.load()) take_tasks();
      joined.fetch_sub(1);
    }
  }

  void run(std::int64_t tasks, Parallel::Task work, void* work_argument) {
    if (tasks <= 1 || workers.empty() || busy.exchange(true)) {
      for (std::int64_t i = 0; i < tasks; ++i) work(work_argument, i);
      return;
    }
    task = work;
    argument = work_argument;
    count = tasks;
    next.store(0);
    open.store(true);
    job.fetch_add(1);
    if (sleeping.load() > 0) {
      std::lock_guard<std::mutex> lock(mutex);  // a worker between its last look and its sleep holds the mutex
      wake.notify_all();
    }
    take_tasks();
    open.store(false);
    while (!spin([&] { return joined.load() == 0; })) std::this_thread::yield();
    busy.store(false);
  }

  void stop_workers() {
    {
      std::lock_guard<std::mutex> lock(mutex);
      stop.store(true);
    }
    wake.notify_all();
    for (std::thread& worker : workers) worker.join();
  }
};

ThreadPool::ThreadPool(std::int64_t threads) {
  if (threads < 1 || threads > 4096)
    throw std::invalid_argument("threads must be in [1, 4096], got " + std::to_string(threads));
  state_ = new State;
  try {
    for (std::int64_t i = 1; i < threads; ++i) state_->workers.emplace_back([state = state_] { state->work(); });
  } catch (...) {
    state_->stop_workers();
    delete state_;
    throw;
  }
}

ThreadPool::~ThreadPool() {
  state_->stop_workers();
  delete state_;
}

Parallel ThreadPool::parallel() noexcept {
  const auto run = [](void* context, std::int64_t count, Parallel::Task task, void* argument) {
    static_cast<State*>(context)->run(count, task, argument);
  };
  return {run, state_, static_cast<std::int64_t>(state_->workers.size()) + 1};
}

}  // namespace attn
