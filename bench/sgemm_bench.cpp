// sgemm/<product>/...: plain BLAS on the two products of one tile of query rows and one block of keys, to see beside
// the streaming path. BLAS packs both matrices in every call, which the streaming path does once for all tiles.
#include "bench.hpp"
#include "blas/blas.hpp"
#include "peak.hpp"

namespace {

void add_all() {
  const auto add = [](const char* name, attn::blas::Op op, bool keys_are_depth) {
    benchmark::RegisterBenchmark(
        name,
        [=](benchmark::State& state) {
          const std::int64_t rows = state.range(0), keys = state.range(1), dim = state.range(2);
          const std::int64_t n = keys_are_depth ? dim : keys, depth = keys_are_depth ? keys : dim;
          const std::vector<float> a = bench::normals(rows * depth, 1), b = bench::normals(keys * dim, 2);
          std::vector<float> c(static_cast<std::size_t>(rows * n));
          const double peak = attn_peak_gflops(bench::runnable_isas().front().c_str(), 0.02);
          const double seconds = bench::measure(state, [&] {
            attn::blas::sgemm(
                {rows, n, depth}, {a.data(), depth}, op, {b.data(), dim}, attn::blas::To::overwrite, {c.data(), n});
          });
          bench::report_flop(state, 2.0 * static_cast<double>(rows * keys * dim), seconds, peak);
        })
        ->ArgNames({"rows", "keys", "dim"})
        ->Args({96, 512, 64})
        ->Args({96, 512, 128})
        ->Args({512, 512, 64})
        ->Unit(benchmark::kMicrosecond);
  };
  add("sgemm/scores", attn::blas::Op::transpose, false);  // Q[rows, dim] K[keys, dim]^T
  add("sgemm/values", attn::blas::Op::none, true);  // P[rows, keys] V[keys, dim]
}

const bench::Registration registration("sgemm", add_all);

}  // namespace
