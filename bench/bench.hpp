// What the benchmarks share. A file of benchmarks ends in a Registration; no other file names it.
#pragma once

#include <benchmark/benchmark.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "attn/isa.hpp"
#include "tests/support/use_isa.hpp"

namespace bench {

using test::UseIsa;

// What main() calls, in the order of the names: functions that register benchmarks. With --shape only those that
// take shapes are called.
enum class Takes { rows, shapes };
struct Registered {
  void (*add)();
  Takes takes;
};
inline std::map<std::string, Registered>& registrations() {
  static std::map<std::string, Registered> all;
  return all;
}
struct Registration {
  Registration(const char* name, void (*add)(), Takes takes = Takes::rows) {
    if (registrations().emplace(name, Registered{add, takes}).second) return;
    std::fprintf(stderr, "error: two files register benchmarks as %s\n", name);
    std::abort();
  }
};

inline std::vector<std::string> runnable_isas() {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < attn::isa_count(); ++i)
    if (attn::isa(i).runnable) names.push_back(attn::isa(i).name);
  return names;
}

inline std::vector<float> normals(std::int64_t n, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal;
  std::vector<float> x(static_cast<std::size_t>(n));
  for (float& value : x) value = normal(generator);
  return x;
}

// Runs call() as often as the library of benchmarks asks; seconds of one call.
template <class Call>
double measure(benchmark::State& state, const Call& call) {
  call();  // the first one touches the memory
  const auto start = std::chrono::steady_clock::now();
  for (auto _ : state) call();
  const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
  return time.count() / static_cast<double>(state.iterations());
}

// GFLOP/s, and its share of `peak` (0: unknown).
inline void report_flop(benchmark::State& state, double flop, double seconds, double peak) {
  const double gflops = flop / seconds * 1e-9;
  state.counters["GFLOP/s"] = gflops;
  if (peak > 0) state.counters["share_of_peak"] = gflops / peak;
}

}  // namespace bench
