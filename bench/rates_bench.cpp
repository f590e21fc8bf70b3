// What this machine can do, which the other benchmarks are a share of:
//   peak/<isa>/threads:N            fused multiply-adds a second
//   exp/<isa>/threads:N             exponentials a second, of numbers in the L1 cache
//   bandwidth/<L1|L2|L3|memory>/threads:N   bytes read a second
#include <benchmark/benchmark.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "base/exponent.hpp"
#include "bench.hpp"
#include "kernels.hpp"
#include "peak.hpp"
#include "reading.hpp"

namespace {

// Threads start and end a call one after the other, some microseconds apart: their work must be much longer. About
// 400 microseconds of it.
constexpr int peak_runs = 8;
constexpr std::int64_t exp_floats = 2048, exp_runs = 256;
constexpr double least_read = 0x1p25;  // bytes

struct Threads {
  explicit Threads(std::int64_t count) : pool(count), parallel(pool.parallel()) {}
  attn::ThreadPool pool;
  attn::Parallel parallel;
};

bench::Work peak(const std::string& isa, std::int64_t threads) {
  const auto pool = std::make_shared<Threads>(threads);
  bench::Work work;
  work.flop = static_cast<double>(threads * peak_runs) * attn_peak_run(isa.c_str());
  work.call = [pool, isa] {
    bench::on_threads(pool->parallel, [&](std::int64_t) {
      for (int i = 0; i < peak_runs; ++i) attn_peak_run(isa.c_str());
    });
  };
  return work;
}

bench::Work exponentials(std::int64_t threads) {
  const auto pool = std::make_shared<Threads>(threads);
  const auto x = std::make_shared<std::vector<float>>(bench::normals(exp_floats, 1));
  for (float& d : *x) d = -std::abs(d) * 4;
  const auto y = std::make_shared<std::vector<float>>(static_cast<std::size_t>(threads * exp_floats));
  bench::Work work;
  work.exps = static_cast<double>(threads * exp_runs * exp_floats);
  work.call = [pool, x, y, &kernels = bench::active_kernels()] {
    const attn::simd::Exponent exponent = attn::make_exponent(1);
    bench::on_threads(pool->parallel, [&](std::int64_t thread) {
      for (std::int64_t i = 0; i < exp_runs; ++i)
        kernels.exp_scaled(x->data(), y->data() + thread * exp_floats, exp_floats, exponent);
    });
  };
  return work;
}

// `bytes` in all; each thread reads a part of its own, as often as it takes.
bench::Work reading(std::int64_t bytes, std::int64_t threads) {
  const auto pool = std::make_shared<Threads>(threads);
  const std::int64_t part = std::max<std::int64_t>(512, bytes / threads / 512 * 512);
  const auto data = std::make_shared<std::vector<char>>(static_cast<std::size_t>(part * threads), char{1});
  const auto times = static_cast<std::int64_t>(std::max(1.0, least_read / static_cast<double>(part)));
  bench::Work work;
  work.bytes = static_cast<double>(part * threads * times);
  work.call = [pool, data, part, times] {
    bench::on_threads(pool->parallel, [&](std::int64_t thread) {
      benchmark::DoNotOptimize(bench::read(data->data() + thread * part, static_cast<std::size_t>(part), times));
    });
  };
  return work;
}

// Half of what the threads have of the caches of that level, if the threads that share one run together; 0: unknown.
std::int64_t half_of_cache(int level, std::int64_t threads) {
  for (const auto& cache : benchmark::CPUInfo::Get().caches) {
    if (cache.level != level || (cache.type != "Data" && cache.type != "Unified")) continue;
    const std::int64_t sharing = std::max(1, cache.num_sharing);
    return cache.size / 2 * std::max<std::int64_t>(1, threads / sharing);
  }
  return 0;
}

// Four times what the largest cache holds, as far as that is known.
std::int64_t beyond_caches() {
  std::int64_t largest = 0;
  for (const auto& cache : benchmark::CPUInfo::Get().caches) largest = std::max<std::int64_t>(largest, cache.size);
  return std::clamp<std::int64_t>(4 * largest, 1 << 26, 1 << 30);
}

void add_all() {
  for (const std::int64_t threads : bench::settings().threads) {
    const std::string suffix = "/threads:" + std::to_string(threads);
    for (const std::string& isa : bench::runnable_isas()) {
      bench::add("peak/" + isa + suffix, isa, [isa, threads] { return peak(isa, threads); });
      bench::add("exp/" + isa + suffix, isa, [threads] { return exponentials(threads); });
    }
    for (const int level : {1, 2, 3}) {
      const std::int64_t bytes = half_of_cache(level, threads);
      if (bytes == 0) continue;
      const std::string name = "bandwidth/L" + std::to_string(level) + suffix;
      bench::add(name, "", [bytes, threads] { return reading(bytes, threads); });
    }
    bench::add("bandwidth/memory" + suffix, "", [threads] { return reading(beyond_caches(), threads); });
  }
}

const bench::Registration registration("rates", add_all, bench::Takes::shapes);

}  // namespace
