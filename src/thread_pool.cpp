#if defined(__linux__)
#include <pthread.h>
#include <sched.h>
#endif

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

#if defined(__linux__)
constexpr std::int64_t most_cpu = CPU_SETSIZE - 1;
#else
constexpr std::int64_t most_cpu = 4095;
#endif

// The caller waits for tasks that run already: it may as well spin.
constexpr std::chrono::microseconds caller_spins{100};

void pause() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

// Spins until done() or for this long; whether done.
template <class Done>
bool spin(std::chrono::microseconds time, Done done) noexcept {
  const auto limit = std::chrono::steady_clock::now() + time;
  do {
    for (int i = 0; i < 64; ++i) {
      if (done()) return true;
      pause();
    }
  } while (std::chrono::steady_clock::now() < limit);
  return done();
}

void must_be_in(const std::string& name, std::int64_t value, std::int64_t least, std::int64_t most) {
  if (value < least || value > most)
    throw std::invalid_argument(
        name + " must be in [" + std::to_string(least) + ", " + std::to_string(most) + "], got " +
        std::to_string(value));
}

ThreadPoolOptions with_threads(std::int64_t threads) {
  ThreadPoolOptions options;
  options.threads = threads;
  return options;
}

void check(const ThreadPoolOptions& options) {
  must_be_in("threads", options.threads, 1, 4096);
  must_be_in("spin_microseconds", options.spin_microseconds, 0, 1000000);
  must_be_in("cpu_count", options.cpu_count, 0, 4096);
  if (options.cpu_count > 0 && !options.cpus)
    throw std::invalid_argument("cpus is null, but cpu_count is " + std::to_string(options.cpu_count));
  if (options.cpu_count == 0 && options.cpus) throw std::invalid_argument("cpus are set, but cpu_count is 0");
  for (std::int64_t i = 0; i < options.cpu_count; ++i)
    must_be_in("cpus[" + std::to_string(i) + "]", options.cpus[i], 0, most_cpu);
}

// On which CPUs the workers of a pool may run.
#if defined(__linux__)
class Placing {
 public:
  // The system's choice, but not the CPU of a caller. Of the CPUs that the constructing thread may use.
  void begin_to_avoid() noexcept {
    avoids_ = sched_getaffinity(0, sizeof allowed_, &allowed_) == 0 && CPU_COUNT(&allowed_) > 1;
  }
  void keep_off_callers_cpu(std::vector<std::thread>& workers) noexcept {
    const int cpu = avoids_ ? sched_getcpu() : -1;
    if (cpu < 0 || cpu == avoided_) return;
    avoided_ = cpu;
    cpu_set_t others = allowed_;
    if (cpu <= most_cpu) CPU_CLR(static_cast<std::size_t>(cpu), &others);
    for (std::thread& worker : workers) pthread_setaffinity_np(worker.native_handle(), sizeof others, &others);
  }
  static void pin(std::thread& worker, std::int64_t cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<std::size_t>(cpu), &set);
    if (pthread_setaffinity_np(worker.native_handle(), sizeof set, &set) != 0)
      throw std::invalid_argument("cpus has " + std::to_string(cpu) + ", where this process may not run");
  }

 private:
  bool avoids_ = false;
  cpu_set_t allowed_{};
  int avoided_ = -1;  // the workers are off this one
};
#else
class Placing {
 public:
  void begin_to_avoid() noexcept {}
  void keep_off_callers_cpu(std::vector<std::thread>&) noexcept {}
  static void pin(std::thread&, std::int64_t cpu) {
    throw std::invalid_argument("cpus has " + std::to_string(cpu) + ", but this system cannot place threads");
  }
};
#endif

}  // namespace

// A job is open while its caller works on it: a worker joins, looks whether it still is, and takes tasks until there
// are none. The caller closes it and waits for those who have joined, not for those who never woke up.
struct ThreadPool::State {
  std::chrono::microseconds spin_time{};
  Placing placing;
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
      if (!spin(spin_time, called)) {
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
    placing.keep_off_callers_cpu(workers);
    task = work;
    argument = work_argument;
    count = tasks;
    next.store(0);
    open.store(true);
    job.fetch_add(1);
    if (sleeping.load() > 0) {
      // A worker between its last look and its sleep holds the mutex. One that wakes must not find it held.
      { const std::lock_guard<std::mutex> lock(mutex); }
      wake.notify_all();
    }
    take_tasks();
    open.store(false);
    while (!spin(caller_spins, [&] { return joined.load() == 0; })) std::this_thread::yield();
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

ThreadPool::ThreadPool(std::int64_t threads) : ThreadPool(with_threads(threads)) {}

ThreadPool::ThreadPool(const ThreadPoolOptions& options) {
  check(options);
  state_ = new State;
  state_->spin_time = std::chrono::microseconds(options.spin_microseconds);
  if (options.avoid_callers_cpu && options.cpu_count == 0) state_->placing.begin_to_avoid();
  try {
    for (std::int64_t i = 0; i + 1 < options.threads; ++i) {
      state_->workers.emplace_back([state = state_] { state->work(); });
      if (options.cpu_count > 0) Placing::pin(state_->workers.back(), options.cpus[i % options.cpu_count]);
    }
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
