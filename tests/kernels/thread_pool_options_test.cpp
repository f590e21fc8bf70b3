// ThreadPoolOptions: what each one does, and which values are refused.
#if defined(__linux__)
#include <sched.h>
#endif

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "attn/parallel.hpp"
#include "support/catch.hpp"

namespace {

using attn::ThreadPool;
using attn::ThreadPoolOptions;
using std::int64_t;

// Runs body(i) once on each of the pool's threads: no task ends before all have begun.
void on_each_thread(ThreadPool& pool, const std::function<void(int64_t)>& body) {
  struct Shared {
    const std::function<void(int64_t)>& body;
    int64_t threads;
    std::atomic<int64_t> arrived{0};
  };
  const attn::Parallel p = pool.parallel();
  Shared shared{body, p.threads};
  p.run(
      p.context, p.threads,
      [](void* argument, int64_t i) {
        Shared& s = *static_cast<Shared*>(argument);
        s.arrived.fetch_add(1);
        while (s.arrived.load() < s.threads) std::this_thread::yield();
        s.body(i);
      },
      &shared);
}

std::string refused(const ThreadPoolOptions& options) {
  try {
    const ThreadPool pool(options);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "not refused";
}

bool names(const std::string& message, const std::string& option, const std::string& value) {
  INFO(message);
  return message.find(option) != std::string::npos && message.find(value) != std::string::npos;
}

}  // namespace

TEST_CASE("pool options: a value that makes no sense is named", "[kernels][thread_pool]") {
  ThreadPoolOptions o;
  o.threads = 0;
  CHECK(names(refused(o), "threads", "0"));
  o.threads = 4097;
  CHECK(names(refused(o), "threads", "4097"));
  o = {};
  o.spin_microseconds = -1;
  CHECK(names(refused(o), "spin_microseconds", "-1"));
  o.spin_microseconds = 1000001;
  CHECK(names(refused(o), "spin_microseconds", "1000001"));
  const int64_t cpus[] = {0, -5}, far[] = {int64_t{1} << 40};
  o = {};
  o.cpu_count = -2;
  CHECK(names(refused(o), "cpu_count", "-2"));
  o.cpu_count = 2;
  CHECK(names(refused(o), "cpus is null", "2"));
  o.cpus = cpus;
  CHECK(names(refused(o), "cpus[1]", "-5"));
  o.cpu_count = 0;
  CHECK(names(refused(o), "cpus", "cpu_count is 0"));
  o.cpus = far;
  o.cpu_count = 1;
  CHECK(names(refused(o), "cpus[0]", std::to_string(far[0])));
}

TEST_CASE("pool options: whatever the time to spin, all threads take part", "[kernels][thread_pool]") {
  for (const int64_t spin : {0, 1, 100, 5000})
    for (const int milliseconds : {0, 1, 3}) {
      ThreadPoolOptions o;
      o.threads = 3;
      o.spin_microseconds = spin;
      ThreadPool pool(o);
      CHECK(pool.parallel().threads == 3);
      for (int repeat = 0; repeat < 5; ++repeat) {
        std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
        std::atomic<int> ran{0};
        on_each_thread(pool, [&](int64_t) { ran.fetch_add(1); });
        CHECK(ran.load() == 3);
      }
    }
}

TEST_CASE("pool options: workers that do not spin cost nothing between calls", "[kernels][thread_pool]") {
  ThreadPoolOptions o;
  o.threads = 4;
  o.spin_microseconds = 0;
  ThreadPool pool(o);
  on_each_thread(pool, [](int64_t) {});
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const std::clock_t before = std::clock();  // of all threads of the process
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  CHECK(static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC < 0.02);
}

#if defined(__linux__)

namespace {

std::vector<int64_t> cpus_of_this_thread() {
  cpu_set_t set;
  REQUIRE(sched_getaffinity(0, sizeof set, &set) == 0);
  std::vector<int64_t> cpus;
  for (int i = 0; i < CPU_SETSIZE; ++i)
    if (CPU_ISSET(static_cast<std::size_t>(i), &set)) cpus.push_back(i);
  return cpus;
}

void run_this_thread_on(const std::vector<int64_t>& cpus) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int64_t cpu : cpus) CPU_SET(static_cast<std::size_t>(cpu), &set);
  REQUIRE(sched_setaffinity(0, sizeof set, &set) == 0);
}

// Where each worker may run; the calling thread left out.
std::vector<std::vector<int64_t>> cpus_of_workers(ThreadPool& pool) {
  const std::thread::id caller = std::this_thread::get_id();
  std::vector<std::vector<int64_t>> found(static_cast<std::size_t>(pool.parallel().threads)), workers;
  on_each_thread(pool, [&](int64_t i) {
    if (std::this_thread::get_id() != caller) found[static_cast<std::size_t>(i)] = cpus_of_this_thread();
  });
  for (const std::vector<int64_t>& cpus : found)
    if (!cpus.empty()) workers.push_back(cpus);
  return workers;
}

std::vector<int64_t> without(std::vector<int64_t> cpus, int64_t cpu) {
  cpus.erase(std::remove(cpus.begin(), cpus.end(), cpu), cpus.end());
  return cpus;
}

}  // namespace

TEST_CASE("pool options: workers run on the CPUs they are given", "[kernels][thread_pool]") {
  const std::vector<int64_t> allowed = cpus_of_this_thread();
  const std::vector<int64_t> list = {allowed.back(), allowed.front()};
  ThreadPoolOptions o;
  o.threads = 4;
  o.cpus = list.data();
  o.cpu_count = 2;
  ThreadPool pool(o);
  const auto workers = cpus_of_workers(pool);
  REQUIRE(workers.size() == 3);
  std::vector<int> count(2);
  for (const std::vector<int64_t>& cpus : workers) {
    REQUIRE(cpus.size() == 1);
    CHECK((cpus[0] == list[0] || cpus[0] == list[1]));
    ++count[cpus[0] == list[0] ? 0 : 1];
  }
  if (list[0] != list[1]) CHECK(count == std::vector<int>{2, 1});
  CHECK(cpus_of_this_thread() == allowed);

  const int64_t none[] = {CPU_SETSIZE - 1};
  o.cpus = none;
  o.cpu_count = 1;
  CHECK(names(refused(o), "cpus", std::to_string(none[0])));
}

TEST_CASE("pool options: workers keep off the CPU of the caller, where it goes", "[kernels][thread_pool]") {
  const std::vector<int64_t> allowed = cpus_of_this_thread();
  for (const bool avoid : {true, false}) {
    ThreadPoolOptions o;
    CHECK(o.avoid_callers_cpu);
    o.threads = 3;
    o.avoid_callers_cpu = avoid;
    ThreadPool pool(o);
    for (const int64_t caller : {allowed.front(), allowed.back(), allowed.front()}) {
      run_this_thread_on({caller});
      const auto workers = cpus_of_workers(pool);
      run_this_thread_on(allowed);
      REQUIRE(workers.size() == 2);
      for (const std::vector<int64_t>& cpus : workers)
        CHECK(cpus == (avoid && allowed.size() > 1 ? without(allowed, caller) : allowed));
    }
  }
}

#endif
