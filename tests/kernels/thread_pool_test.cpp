// ThreadPool: every task exactly once, from any caller, at any time; and attention on it gives the same bits.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <thread>
#include <vector>

#include "attn/attention.hpp"
#include "attn/parallel.hpp"
#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/isas.hpp"
#include "support/problem.hpp"

namespace {

// Calls body(i) for every i in [0, count) on the pool.
template <class Body>
void parallel_for(attn::ThreadPool& pool, std::int64_t count, Body body) {
  const attn::Parallel p = pool.parallel();
  p.run(
      p.context, count, [](void* argument, std::int64_t i) { (*static_cast<Body*>(argument))(i); }, &body);
}

// How often each index came.
std::vector<int> counts(attn::ThreadPool& pool, std::int64_t count) {
  std::vector<std::atomic<int>> seen(count);
  parallel_for(pool, count, [&](std::int64_t i) { seen.at(i).fetch_add(1); });
  return {seen.begin(), seen.end()};
}

std::vector<int> ones(std::int64_t count) { return std::vector<int>(count, 1); }

}  // namespace

TEST_CASE("pool: every index exactly once, more or fewer than threads, again and again", "[kernels][thread_pool]") {
  for (const std::int64_t threads : {1, 2, 3, 4, 7}) {
    attn::ThreadPool pool(threads);
    CAPTURE(threads);
    CHECK(pool.parallel().threads == threads);
    for (int repeat = 0; repeat < (test::quick() ? 5 : 50); ++repeat)
      for (const std::int64_t count : {0, 1, 2, 3, 4, 5, 8, 16, 63, 1000}) REQUIRE(counts(pool, count) == ones(count));
  }
}

TEST_CASE("pool: what tasks wrote is there when run returns", "[kernels][thread_pool]") {
  attn::ThreadPool pool(4);
  for (int repeat = 0; repeat < (test::quick() ? 100 : 2000); ++repeat) {
    int written[4] = {};  // plain integers: a missing happens-before is a race that the thread sanitizer sees
    parallel_for(pool, 4, [&](std::int64_t i) { written[i] = repeat + static_cast<int>(i); });
    for (int i = 0; i < 4; ++i) REQUIRE(written[i] == repeat + i);
  }
}

TEST_CASE("pool: the calling thread works too, so one thread needs no other", "[kernels][thread_pool]") {
  attn::ThreadPool pool(1);
  const std::thread::id here = std::this_thread::get_id();
  bool all_here = true;
  parallel_for(pool, 10, [&](std::int64_t) { all_here &= std::this_thread::get_id() == here; });
  CHECK(all_here);
}

TEST_CASE("pool: two tasks that wait for each other run at the same time", "[kernels][thread_pool]") {
  attn::ThreadPool pool(2);
  std::atomic<int> arrived{0};
  parallel_for(pool, 2, [&](std::int64_t) {
    arrived.fetch_add(1);
    while (arrived.load() < 2) std::this_thread::yield();
  });
  CHECK(arrived.load() == 2);
}

TEST_CASE("pool: workers that fell asleep wake up", "[kernels][thread_pool]") {
  attn::ThreadPool pool(3);
  for (const int milliseconds : {0, 1, 2, 5, 20}) {  // workers spin for about 0.1 ms
    std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
    std::atomic<int> arrived{0};
    parallel_for(pool, 3, [&](std::int64_t) {
      arrived.fetch_add(1);
      while (arrived.load() < 3) std::this_thread::yield();  // only if all three woke
    });
    CHECK(arrived.load() == 3);
  }
}

TEST_CASE("pool: a task may call the pool again", "[kernels][thread_pool]") {
  attn::ThreadPool pool(3);
  std::atomic<int> inner{0};
  parallel_for(pool, 6, [&](std::int64_t) {
    parallel_for(pool, 5, [&](std::int64_t) { parallel_for(pool, 2, [&](std::int64_t) { inner.fetch_add(1); }); });
  });
  CHECK(inner.load() == 6 * 5 * 2);
}

TEST_CASE("pool: several callers at once", "[kernels][thread_pool]") {
  attn::ThreadPool pool(3);
  std::atomic<int> wrong{0};
  std::vector<std::thread> callers;
  for (int c = 0; c < 4; ++c)
    callers.emplace_back([&] {
      for (int repeat = 0; repeat < (test::quick() ? 50 : 500); ++repeat)
        if (counts(pool, 9) != ones(9)) wrong.fetch_add(1);
    });
  for (std::thread& caller : callers) caller.join();
  CHECK(wrong.load() == 0);
}

TEST_CASE("pool: made and destroyed, used or not", "[kernels][thread_pool]") {
  for (int repeat = 0; repeat < 50; ++repeat) {
    attn::ThreadPool pool(4);
    if (repeat % 2) CHECK(counts(pool, 4) == ones(4));
  }
}

TEST_CASE("pool: a number of threads that makes no sense is an error", "[kernels][thread_pool]") {
  for (const std::int64_t threads : {std::int64_t{0}, std::int64_t{-1}, std::int64_t{1} << 40})
    CHECK_THROWS_AS(attn::ThreadPool(threads), std::invalid_argument);
}

namespace {

// Hands tasks on to a pool and counts the calls.
struct Counting {
  attn::Parallel pool;
  int calls = 0;

  attn::Parallel parallel() {
    const auto run = [](void* context, std::int64_t count, attn::Parallel::Task task, void* argument) {
      Counting& self = *static_cast<Counting*>(context);
      ++self.calls;
      CHECK(count <= self.pool.threads);
      self.pool.run(self.pool.context, count, task, argument);
    };
    return {run, this, pool.threads};
  }
};

}  // namespace

TEST_CASE("pool: attention gives the same bits on 1 to 4 threads", "[kernels][thread_pool]") {
  // Each of far more than ten microseconds, because less runs on fewer threads.
  const test::Shape shapes[] = {
      {1, 1, 1, 150, 600, 16, 16},  // one pair of heads: tiles are spread
      {4, 8, 4, 33, 70, 24, 20},  // many: heads are spread
      {1, 4, 1, 1, 9000, 32, 32},  // one token, one pair: blocks of keys are spread
      {8, 4, 2, 1, 1500, 32, 16},  // one token, many pairs
  };
  for (const test::Shape& shape : shapes)
    for (const bool causal : {false, true}) {
      test::Random random(7);
      test::Problem problem(shape, random);
      problem.args.path = attn::Path::streaming;
      problem.args.causal = causal;
      problem.want_logsumexp();
      CAPTURE(test::describe(problem.args));
      REQUIRE(problem.check() == "");
      const std::vector<float> output = problem.output, logsumexp = problem.logsumexp;
      for (const std::int64_t threads : {1, 2, 3, 4}) {
        CAPTURE(threads);
        attn::ThreadPool pool(threads);
        Counting counting{pool.parallel()};
        const attn::Parallel parallel = counting.parallel();
        problem.args.parallel = &parallel;
        REQUIRE(problem.run() == "");
        CHECK((threads == 1 || counting.calls > 0));
        CHECK(test::bits_difference(problem.output, output) == "");
        CHECK(test::bits_difference(problem.logsumexp, logsumexp) == "");
        problem.args.parallel = nullptr;
      }
    }
}

TEST_CASE("pool: attention calls of several threads share one pool", "[kernels][thread_pool]") {
  attn::ThreadPool pool(2);
  const attn::Parallel parallel = pool.parallel();
  std::atomic<int> wrong{0};
  std::vector<std::thread> callers;
  for (int c = 0; c < 3; ++c)
    callers.emplace_back([&, c] {
      test::Random random(static_cast<std::uint64_t>(c));
      test::Problem problem({1, 4, 2, 100, 150, 32, 32}, random);
      problem.args.path = attn::Path::streaming;
      if (problem.run() != "") wrong.fetch_add(1);
      const std::vector<float> alone = problem.output;
      problem.args.parallel = &parallel;
      for (int repeat = 0; repeat < 20; ++repeat)
        if (problem.run() != "" || !test::bits_equal(problem.output, alone)) wrong.fetch_add(1);
    });
  for (std::thread& caller : callers) caller.join();
  CHECK(wrong.load() == 0);
}
