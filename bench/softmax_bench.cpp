// softmax/<isa>/<row>: items are elements; bytes are those read and written once.
#include "attn/softmax.hpp"
#include "bench.hpp"
#include "rows.hpp"

namespace {

void run(benchmark::State& state, const bench::SoftmaxRow& row, const std::string& isa) {
  const bench::UseIsa use(isa);
  const std::vector<float> x = bench::normals(row.rows * row.columns, 1);
  std::vector<float> y(x.size());
  bench::measure(state, [&] {
    attn::throw_if_error(attn::softmax(x.data(), y.data(), row.rows, row.columns, row.columns, row.columns));
  });
  state.SetItemsProcessed(state.iterations() * row.rows * row.columns);
  state.SetBytesProcessed(state.iterations() * row.rows * row.columns * 8);
}

void add_all() {
  for (const std::string& isa : bench::runnable_isas())
    for (const bench::SoftmaxRow& row : bench::rows().softmax)
      benchmark::RegisterBenchmark(("softmax/" + isa + "/" + row.name).c_str(), [isa, &row](benchmark::State& state) {
        run(state, row, isa);
      })->Unit(benchmark::kMicrosecond);
}

const bench::Registration registration("softmax", add_all);

}  // namespace
