#include "bench.hpp"

#include <benchmark/benchmark.h>

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <optional>
#include <utility>

#include "attn/isa.hpp"
#include "tests/support/use_isa.hpp"

namespace bench {
namespace {

// The work of the benchmark that runs. The library of benchmarks calls a function again and again, with more
// iterations each time; preparing each time would take longer than measuring.
struct Current {
  std::string name;
  Work work;
  std::optional<double> error;
};
Current& current() {
  static Current one;
  return one;
}

// Calls of more, about 10 ms, are timed from the first one on: touching their memory is less than 1 % of them.
constexpr double most_flop_twice = 1e9;

double timed(const std::function<void()>& call) {
  const auto start = std::chrono::steady_clock::now();
  call();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void run(benchmark::State& state, const Work& work) {
  if (!work.plain) {
    for (auto _ : state) work.call();
    return;
  }
  double seconds = 0;
  for (auto _ : state) {
    seconds += timed(work.plain);
    state.SetIterationTime(timed(work.call));
  }
  state.counters["plain_seconds"] = seconds / static_cast<double>(state.iterations());
}

void count(benchmark::State& state, Current& c) {
  using benchmark::Counter;
  const Work& work = c.work;
  const std::pair<const char*, double> counts[] = {{"flop", work.flop}, {"bytes", work.bytes}, {"exps", work.exps}};
  for (const auto& [name, value] : counts)
    if (value > 0) state.counters[name] = value;
  if (settings().errors && work.error && !c.error) c.error = work.error();
  if (c.error) state.counters["error"] = *c.error;
  if (work.flop > 0) state.counters["GFLOP/s"] = Counter(work.flop * 1e-9, Counter::kIsIterationInvariantRate);
  if (!work.shape.empty()) state.SetLabel(work.shape);
}

benchmark::internal::Benchmark* register_one(
    const std::string& name, const std::string& isa, std::function<Work()> prepare) {
  const auto function = [name, isa, prepare = std::move(prepare)](benchmark::State& state) {
    try {
      const test::UseIsa use(isa.empty() ? runnable_isas().front() : isa);
      if (current().name != name) {
        current() = {};  // frees the memory of the last one
        current() = {name, prepare(), {}};
        const Work& work = current().work;
        if (work.flop < most_flop_twice) work.call();
        if (work.plain) work.plain();
      }
      run(state, current().work);
      count(state, current());
    } catch (const std::exception& error) {
      state.SkipWithError(error.what());
    }
  };
  auto* const added = benchmark::RegisterBenchmark(name.c_str(), function);
  return added->MinTime(settings().sample_seconds)->Unit(benchmark::kMicrosecond);
}

}  // namespace

Settings& settings() {
  static Settings all;
  return all;
}

std::vector<std::string> runnable_isas() {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < attn::isa_count(); ++i)
    if (attn::isa(i).runnable) names.push_back(attn::isa(i).name);
  return names;
}

std::map<std::string, Registered>& registrations() {
  static std::map<std::string, Registered> all;
  return all;
}

Registration::Registration(const char* name, void (*add)(), Takes takes) {
  if (registrations().emplace(name, Registered{add, takes}).second) return;
  std::fprintf(stderr, "error: two files register benchmarks as %s\n", name);
  std::abort();
}

void add(const std::string& name, const std::string& isa, std::function<Work()> prepare) {
  register_one(name, isa, std::move(prepare))->UseRealTime();  // that of the calling thread would be cut short
}

void add_in_turn(const std::string& name, const std::string& isa, std::function<Work()> prepare) {
  register_one(name, isa, std::move(prepare))->UseManualTime();
}

std::string threads_suffix(std::int64_t threads) { return threads > 1 ? "/threads:" + std::to_string(threads) : ""; }

std::vector<float> normals(std::int64_t count, std::uint64_t seed) {
  std::vector<float> result(static_cast<std::size_t>(count));
  std::uint64_t state = seed << 40;
  for (float& x : result) {  // the sum of four uniform numbers of 16 bits each, with variance 1
    state += 0x9e3779b97f4a7c15;
    std::uint64_t bits = (state ^ (state >> 30)) * 0xbf58476d1ce4e5b9;
    bits ^= bits >> 27;
    const auto sum = (bits & 0xffff) + ((bits >> 16) & 0xffff) + ((bits >> 32) & 0xffff) + (bits >> 48);
    x = (static_cast<float>(static_cast<std::int64_t>(sum)) * 0x1p-16f - 2) * 1.7320508f;
  }
  return result;
}

void on_threads(const attn::Parallel& parallel, const std::function<void(std::int64_t)>& task) {
  const auto run = [](void* argument, std::int64_t index) {
    (*static_cast<const std::function<void(std::int64_t)>*>(argument))(index);
  };
  parallel.run(parallel.context, parallel.threads, run, const_cast<std::function<void(std::int64_t)>*>(&task));
}

}  // namespace bench
