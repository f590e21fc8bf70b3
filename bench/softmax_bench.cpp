// softmax/<isa>/rows:<rows>/cols:<columns>: items are elements; bytes are those read and written once.
#include "attn/softmax.hpp"
#include "bench.hpp"

void register_softmax() {
  for (const std::string& isa : bench::runnable_isas()) {
    benchmark::RegisterBenchmark(
        ("softmax/" + isa).c_str(),
        [isa](benchmark::State& state) {
          const bench::UseIsa use(isa);
          const std::int64_t rows = state.range(0), columns = state.range(1);
          const std::vector<float> x = bench::normals(rows * columns, 1);
          std::vector<float> y(x.size());
          bench::measure(
              state, [&] { attn::throw_if_error(attn::softmax(x.data(), y.data(), rows, columns, columns, columns)); });
          state.SetItemsProcessed(state.iterations() * rows * columns);
          state.SetBytesProcessed(state.iterations() * rows * columns * 8);
        })
        ->ArgNames({"rows", "cols"})
        ->Args({512, 512})
        ->Args({1024, 128})
        ->Args({4096, 64})
        ->Args({64, 1024})
        ->Args({16, 16384})
        ->Args({1, 131072})
        ->Unit(benchmark::kMicrosecond);
  }
}
