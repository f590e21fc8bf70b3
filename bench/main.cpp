// attn_bench: says what ran, then runs the benchmarks. --benchmark_filter=<regex> chooses, --help lists the options.
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <thread>

#include "attn/attn.h"
#include "bench.hpp"

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

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  print_context();
  for (const auto& [name, add] : bench::registrations()) add();
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
