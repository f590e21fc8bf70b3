#include "context.hpp"

#include <benchmark/benchmark.h>

#include <cstdlib>
#include <string>

#include "attn/attn.h"
#include "bench.hpp"
#include "blas/blas.hpp"
#include "openblas.hpp"

namespace bench {
namespace {

#ifdef __clang__
constexpr const char* compiler = "clang " __clang_version__;
#else
constexpr const char* compiler = "gcc " __VERSION__;
#endif

}  // namespace

void add_context() {
  using benchmark::AddCustomContext;
  std::string isas;
  for (const std::string& isa : runnable_isas()) isas += (isas.empty() ? "" : ",") + isa;
  AddCustomContext("attn_version", attn_version());
  AddCustomContext("isas", isas);
  AddCustomContext("compiler", compiler);
  AddCustomContext("build_type", ATTN_BENCH_BUILD_TYPE);
  AddCustomContext("benchmark_library", ATTN_BENCH_LIBRARY);
  AddCustomContext("sample_seconds", std::to_string(settings().sample_seconds));
  const bool known = openblas::here();
  // The BLAS path stands beside the streaming path on one thread; OPENBLAS_NUM_THREADS asks for more.
  if (known && !std::getenv("OPENBLAS_NUM_THREADS")) openblas::set_threads(1);
  AddCustomContext("blas", known ? openblas::config() : attn::blas::built ? "not OpenBLAS" : "");
  AddCustomContext("blas_core", known ? openblas::core() : "");
  AddCustomContext("blas_threads", known ? std::to_string(openblas::threads()) : "");
}

}  // namespace bench
