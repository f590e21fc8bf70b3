// layer/<isa>/<blas|tiles>/<row>/<weights|no_weights|projection>[/threads:N]: a whole layer, or its projection alone:
// what is left is attention and memory. Rows self_T64_D64 are a SelfAttention.
#include <memory>
#include <string>
#include <vector>

#include "attn/layers.hpp"
#include "bench.hpp"
#include "blas/blas.hpp"
#include "layer_problem.hpp"
#include "openblas.hpp"
#include "rows.hpp"

namespace {

using attn::Projection;
using bench::LayerProblem;
using bench::LayerRow;

// Threads of attention and of tiles, and as many of OpenBLAS while this lives.
struct Threads {
  explicit Threads(std::int64_t count) : pool(count), parallel(pool.parallel()) {
    if (!bench::openblas::here()) return;
    before = bench::openblas::threads();
    bench::openblas::set_threads(static_cast<int>(count));
  }
  ~Threads() {
    if (bench::openblas::here()) bench::openblas::set_threads(before);
  }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

  attn::ThreadPool pool;
  attn::Parallel parallel;
  int before = 1;
};

double projection_flop(const LayerRow& row) {
  const double e = static_cast<double>(row.embed_dim);
  return 2 * static_cast<double>(row.batch * row.length) * e * 3 * e;
}

// Counts of a layer: projection and attention; x, weights and output, and the weights of attention if they are wanted.
void count(bench::Work& work, const LayerRow& row, bool weights) {
  const double e = static_cast<double>(row.embed_dim), tokens = static_cast<double>(row.batch * row.length);
  const double pairs = tokens * static_cast<double>(row.length);
  work.flop = projection_flop(row) + 4 * pairs * e;
  work.exps = pairs * static_cast<double>(row.num_heads);
  work.bytes = 4 * (2 * tokens * e + 3 * e * e + (weights ? work.exps : 0));
}

bench::Work multi_head(const LayerRow& row, Projection by, bool need_weights, std::int64_t threads) {
  const std::shared_ptr<const LayerProblem> problem = bench::layer_problem_of(row);
  attn::MultiHeadConfig config;
  config.embed_dim = row.embed_dim;
  config.num_heads = row.num_heads;
  config.w_q = problem->w.data();
  config.w_k = config.w_q + row.embed_dim * row.embed_dim;
  config.w_v = config.w_k + row.embed_dim * row.embed_dim;
  config.projection = by;
  const auto layer = std::make_shared<attn::MultiHeadAttention>(config);
  const auto output = std::make_shared<std::vector<float>>(problem->x.size());
  const auto weights = std::make_shared<std::vector<float>>(
      static_cast<std::size_t>(need_weights ? row.batch * row.num_heads * row.length * row.length : 0));
  const auto pool = std::make_shared<Threads>(threads);
  bench::Work work;
  work.call = [=] {
    attn::ForwardOptions options;
    options.parallel = &pool->parallel;
    layer->forward_into(
        problem->x.data(), row.batch, row.length, output->data(), need_weights ? weights->data() : nullptr, options);
  };
  work.error = [=] { return problem->error_of(*output); };
  count(work, row, need_weights);
  return work;
}

bench::Work self_attention(const LayerRow& row, Projection by, std::int64_t threads) {
  const std::shared_ptr<const LayerProblem> problem = bench::layer_problem_of(row);
  const float* const w = problem->w.data();
  const std::int64_t e = row.embed_dim;
  const auto layer =
      std::make_shared<attn::SelfAttention>(e, e, w, w + e * e, w + 2 * e * e, attn::WeightLayout::in_out, by);
  const auto pool = std::make_shared<Threads>(threads);
  const auto result = std::make_shared<attn::AttentionResult>();
  bench::Work work;
  work.call = [=] { *result = layer->forward(problem->x.data(), row.length, &pool->parallel); };
  work.error = [=] { return problem->error_of(result->output); };
  count(work, row, true);
  return work;
}

bench::Work projection(const LayerRow& row, Projection by, std::int64_t threads) {
  const std::shared_ptr<const LayerProblem> problem = bench::layer_problem_of(row);
  const std::int64_t tokens = problem->tokens(), e = row.embed_dim;
  const auto linear =
      std::make_shared<attn::Linear>(e, 3 * e, problem->side_by_side.data(), nullptr, attn::WeightLayout::in_out, by);
  const auto y = std::make_shared<std::vector<float>>(static_cast<std::size_t>(tokens * 3 * e));
  const auto pool = std::make_shared<Threads>(threads);
  bench::Work work;
  work.call = [=] { linear->forward_into(problem->x.data(), tokens, y->data(), &pool->parallel); };
  work.error = [=] { return problem->projection_error_of(*y); };
  work.flop = projection_flop(row);
  work.bytes = 4 * static_cast<double>(4 * tokens * e + 3 * e * e);
  return work;
}

void add_row(const LayerRow& row, Projection by, std::int64_t threads) {
  const std::string isa = bench::runnable_isas().front(), suffix = bench::threads_suffix(threads);
  const std::string name = "layer/" + isa + (by == Projection::blas ? "/blas/" : "/tiles/") + row.name;
  bench::add(name + "/no_weights" + suffix, isa, [&row, by, threads] { return multi_head(row, by, false, threads); });
  bench::add(name + "/weights" + suffix, isa, [&row, by, threads] { return multi_head(row, by, true, threads); });
  bench::add(name + "/projection" + suffix, isa, [&row, by, threads] { return projection(row, by, threads); });
}

void add_self_attention(const LayerRow& row, Projection by) {
  const std::string isa = bench::runnable_isas().front();
  const std::string name = "layer/" + isa + (by == Projection::blas ? "/blas/" : "/tiles/") + row.name;
  bench::add(name + "/weights", isa, [&row, by] { return self_attention(row, by, 1); });
}

void add_all() {
  std::vector<Projection> ways{Projection::tiles};
  if (attn::blas::built) ways.insert(ways.begin(), Projection::blas);
  static const LayerRow self[] = {
      {"self_T4_D8", 1, 4, 8, 1}, {"self_T64_D64", 1, 64, 64, 1}, {"self_T512_D64", 1, 512, 64, 1}};
  const std::vector<std::int64_t>& threads = bench::settings().threads;
  for (const LayerRow& row : self)
    for (const Projection by : ways) add_self_attention(row, by);
  for (const LayerRow& row : bench::rows().layer)
    for (const Projection by : ways) {
      add_row(row, by, threads.front());
      // Other libraries have threads of their own, whatever is asked for.
      if (threads.size() > 1 && (by == Projection::tiles || bench::openblas::here())) add_row(row, by, threads.back());
    }
}

const bench::Registration registration("layer", add_all);

}  // namespace
