// The layers, with the BLAS and with tiles, and beside each its projection alone: what is left is attention and memory.
// Both sides of the comparison with NumPy (bench/peers/numpy_seed.py) need the same OPENBLAS_NUM_THREADS.
#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "attn/layers.hpp"
#include "bench.hpp"
#include "blas/blas.hpp"
#include "rows.hpp"

namespace {

std::vector<float> numbers(std::int64_t count, float scale) {
  std::vector<float> result(static_cast<std::size_t>(count));
  std::uint32_t state = 1;
  for (float& x : result) {
    state = state * 1664525 + 1013904223;
    x = scale * (static_cast<float>(state >> 8) * 0x1p-23f - 1);
  }
  return result;
}

// 2 flop for each product: x[rows, embed_dim] W[embed_dim, 3 width], Q K^T and weights V.
double projection_flop(double rows, double embed_dim, double width) { return 2 * rows * embed_dim * 3 * width; }
double attention_flop(double batch, double length, double width) { return 4 * batch * length * length * width; }

void count(benchmark::State& state, std::int64_t tokens, double flop) {
  state.SetItemsProcessed(state.iterations() * tokens);
  state.counters["GFLOP/s"] =
      benchmark::Counter(flop * 1e-9 * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}

void self_attention(benchmark::State& state, std::int64_t length, std::int64_t dim) {
  const attn::SelfAttention layer(dim, dim);
  const std::vector<float> x = numbers(length * dim, 1);
  for (auto _ : state) benchmark::DoNotOptimize(layer.forward(x.data(), length));
  const double t = static_cast<double>(length), d = static_cast<double>(dim);
  count(state, length, projection_flop(t, d, d) + attention_flop(1, t, d));
}

void multi_head(benchmark::State& state, const bench::LayerRow& s, attn::Projection by, bool need_weights) {
  const std::vector<float> w = numbers(3 * s.embed_dim * s.embed_dim, 0.1f);
  attn::MultiHeadConfig config;
  config.embed_dim = s.embed_dim;
  config.num_heads = s.num_heads;
  config.w_q = w.data();
  config.w_k = w.data() + s.embed_dim * s.embed_dim;
  config.w_v = w.data() + 2 * s.embed_dim * s.embed_dim;
  config.projection = by;
  const attn::MultiHeadAttention layer(config);
  const std::vector<float> x = numbers(s.batch * s.length * s.embed_dim, 1);
  attn::ForwardOptions options;
  options.need_weights = need_weights;
  benchmark::DoNotOptimize(
      layer.forward(x.data(), s.batch, s.length, options));  // the first touch of memory is not ours
  for (auto _ : state) benchmark::DoNotOptimize(layer.forward(x.data(), s.batch, s.length, options));
  const double e = static_cast<double>(s.embed_dim), b = static_cast<double>(s.batch),
               t = static_cast<double>(s.length);
  count(state, s.batch * s.length, projection_flop(b * t, e, e) + attention_flop(b, t, e));
}

void projection(benchmark::State& state, const bench::LayerRow& s) {
  const std::int64_t rows = s.batch * s.length, columns = 3 * s.embed_dim;
  const std::vector<float> x = numbers(rows * s.embed_dim, 1), w = numbers(s.embed_dim * columns, 0.1f);
  std::vector<float> y(static_cast<std::size_t>(rows * columns));
  for (auto _ : state) {
    attn::blas::sgemm(
        {rows, columns, s.embed_dim}, {x.data(), s.embed_dim}, attn::blas::Op::none, {w.data(), columns},
        attn::blas::To::overwrite, {y.data(), columns});
    benchmark::ClobberMemory();
  }
  const double e = static_cast<double>(s.embed_dim);
  count(state, rows, projection_flop(static_cast<double>(rows), e, e));
}

void projection_by_tiles(benchmark::State& state, const bench::LayerRow& s) {
  const std::int64_t rows = s.batch * s.length, columns = 3 * s.embed_dim;
  const std::vector<float> x = numbers(rows * s.embed_dim, 1), w = numbers(s.embed_dim * columns, 0.1f);
  const attn::Linear linear(s.embed_dim, columns, w.data());
  std::vector<float> y(static_cast<std::size_t>(rows * columns));
  for (auto _ : state) {
    linear.forward_into(x.data(), rows, y.data());
    benchmark::ClobberMemory();
  }
  const double e = static_cast<double>(s.embed_dim);
  count(state, rows, projection_flop(static_cast<double>(rows), e, e));
}

void add_all() {
  using benchmark::RegisterBenchmark;
  RegisterBenchmark("layer/self_attention/T4_D8", self_attention, 4, 8)->UseRealTime();
  RegisterBenchmark("layer/self_attention/T64_D64", self_attention, 64, 64)->UseRealTime();
  RegisterBenchmark("layer/self_attention/T512_D64", self_attention, 512, 64)->UseRealTime();
  for (const bench::LayerRow& row : bench::rows().layer) {
    const std::string name = "layer/multi_head/" + row.name;
    const auto add = [](const std::string& full_name, auto run) {
      RegisterBenchmark(full_name.c_str(), run)->UseRealTime()->Unit(benchmark::kMillisecond);
    };
    using attn::Projection;
    add(name + "/weights", [&row](benchmark::State& state) { multi_head(state, row, Projection::blas, true); });
    add(name + "/no_weights", [&row](benchmark::State& state) { multi_head(state, row, Projection::blas, false); });
    add(name + "/tiles/weights", [&row](benchmark::State& state) { multi_head(state, row, Projection::tiles, true); });
    add(name + "/tiles/no_weights",
        [&row](benchmark::State& state) { multi_head(state, row, Projection::tiles, false); });
    if constexpr (attn::blas::built)
      add(name + "/projection_sgemm", [&row](benchmark::State& state) { projection(state, row); });
    add(name + "/projection_tiles", [&row](benchmark::State& state) { projection_by_tiles(state, row); });
  }
}

const bench::Registration registration("layer", add_all);

}  // namespace
