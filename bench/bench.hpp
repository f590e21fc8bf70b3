// What the benchmarks share. A file of benchmarks ends in a Registration; no other file names it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "attn/parallel.hpp"

namespace bench {

// What the command line says.
struct Settings {
  std::vector<std::int64_t> threads;  // rising, from 1
  bool list_shapes = false;
  bool errors = true;
  bool long_rows = false;
  double sample_seconds = 0.01;  // the least time of a sample
};
Settings& settings();

// Best first.
std::vector<std::string> runnable_isas();

// What main() calls, in the order of the names: functions that register benchmarks. With --shape only those that
// take shapes are called.
enum class Takes { rows, shapes };
struct Registered {
  void (*add)();
  Takes takes;
};
std::map<std::string, Registered>& registrations();
struct Registration {
  Registration(const char* name, void (*add)(), Takes takes = Takes::rows);
};

// A call that is timed, and what it does at least. What it needs lives in its functions.
struct Work {
  std::function<void()> call;
  double flop = 0, bytes = 0, exps = 0;  // 0: unknown, or not the measure
  std::function<double()> error = nullptr;  // of the last call, against double, relative to the largest value
  std::string shape = "";  // as --shape takes it: the label of the benchmark
  std::function<void()> plain = nullptr;  // in turn with the call: counter plain_seconds
};

// All benchmarks pass through here. `prepare` is called once, when it is the turn of the benchmark, with `isa` active
// ("" is the best one).
void add(const std::string& name, const std::string& isa, std::function<Work()> prepare);
// The same for work with `plain`.
void add_in_turn(const std::string& name, const std::string& isa, std::function<Work()> prepare);

// "", or "/threads:2".
std::string threads_suffix(std::int64_t threads);

// Roughly normal numbers, cheaper than std::normal_distribution by ten times: inputs must not take longer than calls.
std::vector<float> normals(std::int64_t count, std::uint64_t seed);

// Runs task(i) for i in [0, threads), on as many threads.
void on_threads(const attn::Parallel& parallel, const std::function<void(std::int64_t)>& task);

}  // namespace bench
