// attention/<path>/<isa>/<row>: one call with its workspace given. /threads:2 runs on a ThreadPool.
#include <string>
#include <thread>

#include "attention_problem.hpp"
#include "attn/attention.hpp"
#include "bench.hpp"
#include "blas/blas.hpp"
#include "peak.hpp"
#include "rows.hpp"

namespace {

void run(
    benchmark::State& state, const bench::AttentionRow& row, attn::Path path, const std::string& isa,
    std::int64_t threads) {
  const bench::UseIsa use(isa);
  bench::Problem problem(row);
  attn::ThreadPool pool(threads);
  const attn::Parallel parallel = pool.parallel();
  problem.args.path = path;
  problem.args.parallel = &parallel;
  std::vector<unsigned char> workspace(attn::workspace_size(problem.args));
  problem.args.workspace = workspace.data();
  problem.args.workspace_bytes = workspace.size();

  const double peak = static_cast<double>(threads) * attn_peak_gflops(isa.c_str(), 0.02);
  const double seconds = bench::measure(state, [&] { attn::throw_if_error(attn::attention(problem.args)); });
  bench::report_flop(state, row.flop(), seconds, peak);
}

void add(const bench::AttentionRow& row, attn::Path path, const std::string& isa, std::int64_t threads) {
  std::string name = path == attn::Path::blas ? "attention/blas/" : "attention/streaming/";
  name += isa + "/" + row.name + (threads > 1 ? "/threads:" + std::to_string(threads) : "");
  auto* const added = benchmark::RegisterBenchmark(
      name.c_str(), [&row, path, isa, threads](benchmark::State& state) { run(state, row, path, isa, threads); });
  added->Unit(benchmark::kMillisecond);
  if (threads > 1) added->UseRealTime();  // the time of the calling thread alone would be cut short
}

void add_all() {
  const bool two_cores = std::thread::hardware_concurrency() >= 2;
  for (const std::string& isa : bench::runnable_isas())
    for (const bench::AttentionRow& row : bench::rows().attention) {
      const bool large = row.flop() > 1e10;  // prefill4k and long8k, whose score matrices have 512 MiB
      if (isa == "scalar" && row.flop() > 1e9) continue;  // over 2 s a call
      add(row, attn::Path::streaming, isa, 1);
      if (two_cores && isa != "scalar") add(row, attn::Path::streaming, isa, 2);
      if (attn::blas::built && !large) add(row, attn::Path::blas, isa, 1);
    }
}

const bench::Registration registration("attention", add_all, bench::Takes::shapes);

}  // namespace
