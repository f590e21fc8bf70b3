// peak/<isa>: what the arithmetic units of one core can do. All shares of a peak are shares of this.
#include <algorithm>

#include "bench.hpp"
#include "peak.hpp"

namespace {

void add_all() {
  for (const std::string& isa : bench::runnable_isas()) {
    if (attn_peak_gflops(isa.c_str(), 0) == 0) continue;  // scalar
    benchmark::RegisterBenchmark(("peak/" + isa).c_str(), [isa](benchmark::State& state) {
      std::vector<double> rates;
      for (auto _ : state) rates.push_back(attn_peak_gflops(isa.c_str(), 0.01));
      std::nth_element(rates.begin(), rates.begin() + static_cast<std::ptrdiff_t>(rates.size() / 2), rates.end());
      state.counters["GFLOP/s"] = rates[rates.size() / 2];
    })->Unit(benchmark::kMillisecond);
  }
}

const bench::Registration registration("peak", add_all);

}  // namespace
