// attn_bench: says what ran, then runs the benchmarks. --benchmark_filter=<regex> chooses, --help lists the options.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <utility>
#include <vector>

#include "bench.hpp"
#include "context.hpp"
#include "flags.hpp"
#include "grid.hpp"
#include "rows.hpp"

namespace {

// What tests/bench_shapes.py compares with bench/grid.py, bench/shapes.py and rows.txt.
void print_shapes() {
  const auto print = [](const bench::AttentionRow& row) {
    std::printf("%s %s %.0f\n", row.name.c_str(), row.text().c_str(), row.bytes());
  };
  for (const bench::AttentionRow& row : bench::rows().attention) print(row);
  for (const bench::AttentionRow& cell : bench::cells(bench::settings().long_rows)) print(cell);
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<bench::AttentionRow> shapes = bench::take_flags(argc, argv);
  const bool only_shapes = !shapes.empty();
  bench::measure_only(std::move(shapes));
  if (bench::settings().list_shapes) {
    print_shapes();
    return 0;
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  bench::add_context();
  for (const auto& [name, registered] : bench::registrations())
    if (!only_shapes || registered.takes == bench::Takes::shapes) registered.add();
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
