// attn_bench: says what ran, then runs the benchmarks. --benchmark_filter=<regex> chooses, --shape measures attention
// of that shape, --help lists the options.
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <utility>

#include "attn/attn.h"
#include "bench.hpp"
#include "blas/blas.hpp"
#include "rows.hpp"

namespace {

// A function of OpenBLAS, null if attn is linked to another BLAS.
template <class Function>
Function* openblas(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_DEFAULT, name));
}

void print_context() {
  std::printf("attn %s; built in:", attn_version());
  for (std::size_t i = 0; i < attn::isa_count(); ++i)
    std::printf(" %s%s", attn::isa(i).name, attn::isa(i).runnable ? "" : " (does not run here)");
  const char* active = attn::active_isa();
  std::printf(
      "; active: %s; %u cores\n", active ? active : "none: ATTN_ISA names none that runs here",
      std::thread::hardware_concurrency());

  if (!attn::blas::built) {
    std::printf("BLAS: none, built with ATTN_BLAS=OFF\n\n");
    std::fflush(stdout);
    return;
  }
  auto* const core = openblas<char*()>("openblas_get_corename");
  auto* const config = openblas<char*()>("openblas_get_config");
  auto* const get_threads = openblas<int()>("openblas_get_num_threads");
  auto* const set_threads = openblas<void(int)>("openblas_set_num_threads");
  if (!core || !config || !get_threads || !set_threads) {
    std::printf("BLAS: not OpenBLAS; its threads are as its own settings say\n\n");
  } else {
    // The blas path stands beside the streaming path on one thread; OPENBLAS_NUM_THREADS asks for more.
    if (!std::getenv("OPENBLAS_NUM_THREADS")) set_threads(1);
    std::printf("BLAS: %s, core %s, threads: %d\n\n", config(), core(), get_threads());
  }
  std::fflush(stdout);
}

bench::AttentionRow shape_of(const char* text) {
  bench::AttentionRow row;
  const std::string problem = bench::set_shape(row, std::string(text));
  if (problem.empty()) return row;
  std::fprintf(stderr, "error: --shape %s: %s; a shape is %s\n", text, problem.c_str(), bench::shape_words);
  std::exit(1);
}

// Takes --shape=<shape> and --shape <shape> out of the arguments.
std::vector<bench::AttentionRow> take_shapes(int& argc, char** argv) {
  std::vector<bench::AttentionRow> shapes;
  int kept = 0;
  for (int i = 0; i < argc; ++i) {
    if (std::strncmp(argv[i], "--shape=", 8) == 0) {
      shapes.push_back(shape_of(argv[i] + 8));
    } else if (std::strcmp(argv[i], "--shape") == 0) {
      ++i;
      shapes.push_back(shape_of(i < argc ? argv[i] : ""));
    } else {
      if (std::strcmp(argv[i], "--help") == 0)  // the library of benchmarks then lists its own, and ends
        std::printf("attn_bench [--shape=%s, several times]\n  and these options:\n\n", bench::shape_words);
      argv[kept++] = argv[i];
    }
  }
  argc = kept;
  return shapes;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<bench::AttentionRow> shapes = take_shapes(argc, argv);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  print_context();
  const bool only_shapes = !shapes.empty();
  bench::measure_only(std::move(shapes));
  for (const auto& [name, registered] : bench::registrations())
    if (!only_shapes || registered.takes == bench::Takes::shapes) registered.add();
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
