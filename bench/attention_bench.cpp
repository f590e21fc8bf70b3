// attention/<path>/<isa>/<row>: one call with its workspace given. /threads:2 runs on a ThreadPool.
#include <string>
#include <thread>

#include "attn/attention.hpp"
#include "bench.hpp"
#include "peak.hpp"
#include "rows.hpp"

namespace {

struct Problem {
  explicit Problem(const Row& row)
      : q(bench::normals(row.batch * row.query_heads * row.query_length * row.head_dim, 1)),
        k(bench::normals(row.batch * row.kv_heads * row.key_length * row.head_dim, 2)),
        v(bench::normals(row.batch * row.kv_heads * row.key_length * row.head_dim, 3)),
        output(q.size()) {
    args.batch = row.batch;
    args.query_heads = row.query_heads;
    args.kv_heads = row.kv_heads;
    args.query_length = row.query_length;
    args.key_length = row.key_length;
    args.head_dim = args.value_dim = row.head_dim;
    args.query = attn::bhtd(q.data(), row.query_heads, row.query_length, row.head_dim);
    args.key = attn::bhtd(k.data(), row.kv_heads, row.key_length, row.head_dim);
    args.value = attn::bhtd(v.data(), row.kv_heads, row.key_length, row.head_dim);
    args.output = attn::bhtd(output.data(), row.query_heads, row.query_length, row.head_dim);
    args.causal = row.causal;
  }

  const std::vector<float> q, k, v;
  std::vector<float> output;
  attn::AttentionArgs args;
};

void run(benchmark::State& state, const Row& row, attn::Path path, const std::string& isa, std::int64_t threads) {
  const bench::UseIsa use(isa);
  Problem problem(row);
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

void add(const Row& row, attn::Path path, const std::string& isa, std::int64_t threads) {
  std::string name = path == attn::Path::blas ? "attention/blas/" : "attention/streaming/";
  name += isa + "/" + row.name + (threads > 1 ? "/threads:" + std::to_string(threads) : "");
  auto* const added = benchmark::RegisterBenchmark(
      name.c_str(), [&row, path, isa, threads](benchmark::State& state) { run(state, row, path, isa, threads); });
  added->Unit(benchmark::kMillisecond);
  if (threads > 1) added->UseRealTime();  // the time of the calling thread alone would be cut short
}

}  // namespace

void register_attention() {
  const bool two_cores = std::thread::hardware_concurrency() >= 2;
  for (const std::string& isa : bench::runnable_isas())
    for (const Row& row : rows) {
      const bool large = row.flop() > 1e10;               // prefill4k and long8k, whose score matrices have 512 MiB
      if (isa == "scalar" && row.flop() > 1e9) continue;  // over 2 s a call
      add(row, attn::Path::streaming, isa, 1);
      if (two_cores && isa != "scalar") add(row, attn::Path::streaming, isa, 2);
      if (!large) add(row, attn::Path::blas, isa, 1);
    }
}
