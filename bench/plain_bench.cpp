// plain/<row>: the plain loops on one thread, compiled for this machine, to see beside attention/ of the same row.
#include <string>

#include "attention_problem.hpp"
#include "bench.hpp"
#include "plain_loops.hpp"
#include "rows.hpp"

namespace {

void run(benchmark::State& state, const bench::AttentionRow& row) {
  bench::Problem problem(row);
  const PlainShape shape{row.batch,      row.query_heads, row.kv_heads, row.query_length,
                         row.key_length, row.head_dim,    row.causal,   row.cache == attn::DType::bf16};
  const attn::AttentionArgs& a = problem.args;
  std::vector<float> scratch(static_cast<std::size_t>(row.batch * row.query_heads * row.key_length));
  const double seconds = bench::measure(state, [&] {
    plain_attention(&shape, problem.q.data(), a.key.data, a.value.data, problem.output.data(), scratch.data());
    benchmark::ClobberMemory();
  });
  bench::report_flop(state, row.flop(), seconds, 0);
}

void add_all() {
  for (const bench::AttentionRow& row : bench::rows().attention) {
    if (row.flop() > 5e9) continue;  // seconds a call
    if (row.cache == attn::DType::f16) continue;  // a type that C++17 does not have
    benchmark::RegisterBenchmark(("plain/" + row.name).c_str(), [&row](benchmark::State& state) {
      run(state, row);
    })->Unit(benchmark::kMillisecond);
  }
}

const bench::Registration registration("plain", add_all, bench::Takes::shapes);

}  // namespace
