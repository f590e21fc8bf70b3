// attention/<path>/<isa>/<row>[/threads:N]: one call with its workspace given. plain/<row>: plain loops on one thread,
// compiled for this machine. grid/<isa>/<cell> and grid/plain/<cell>: the same for the cells of the grid.
#include <memory>
#include <string>
#include <vector>

#include "bench.hpp"
#include "blas/blas.hpp"
#include "grid.hpp"
#include "plain_loops.hpp"
#include "problem.hpp"
#include "rows.hpp"

namespace {

using bench::AttentionRow;

bench::Work work_of(
    const AttentionRow& row, std::function<void()> call, const std::shared_ptr<bench::Problem>& problem) {
  bench::Work work;
  work.error = [problem] { return problem->error(); };
  work.call = std::move(call);
  work.flop = row.flop();
  work.bytes = row.bytes();
  work.exps = row.exps();
  work.shape = row.text();
  return work;
}

bench::Work attention(const AttentionRow& row, attn::Path path, std::int64_t threads) {
  const std::shared_ptr<bench::Problem> problem = bench::problem_of(row);
  const auto call = std::make_shared<bench::Call>(problem->args, path, threads);
  return work_of(
      row, [problem, call] { (*call)(); }, problem);
}

bench::Work plain(const AttentionRow& row) {
  const std::shared_ptr<bench::Problem> problem = bench::problem_of(row);
  const PlainShape shape{row.batch,      row.query_heads, row.kv_heads, row.query_length,
                         row.key_length, row.head_dim,    row.causal,   row.cache == attn::DType::bf16};
  const auto scratch =
      std::make_shared<std::vector<float>>(static_cast<std::size_t>(row.batch * row.query_heads * row.key_length));
  const auto call = [problem, scratch, shape] {
    const attn::AttentionArgs& a = problem->args;
    plain_attention(&shape, problem->q.data(), a.key.data, a.value.data, problem->output.data(), scratch->data());
  };
  return work_of(row, call, problem);
}

// The nine rows, and shapes of the command line, stand in no group.
bool grouped(const AttentionRow& row) { return row.name.find('/') != std::string::npos; }

// The counts of threads that a row runs with. The nine rows and shapes show all, on the best instruction sets; groups
// show one and the most. Scalar shows the ratio of instruction sets, for which one thread is enough.
std::vector<std::int64_t> threads_of(const AttentionRow& row, const std::string& isa) {
  const std::vector<std::int64_t>& all = bench::settings().threads;
  const bool best = isa == bench::runnable_isas().front();
  if (isa == "scalar" && !best) return {all.front()};
  if (!grouped(row)) return all;
  if (!best || all.size() == 1) return {all.front()};
  return {all.front(), all.back()};
}

// Scalar takes a second for 5e8 flop where fused multiply-adds are calls.
bool too_long_for_scalar(const AttentionRow& row) {
  if (bench::settings().long_rows) return row.flop() > 1e9;
  return row.flop() > (grouped(row) ? 1e7 : 7e7);
}

void add_streaming(const AttentionRow& row, const std::string& isa) {
  if (isa == "scalar" && too_long_for_scalar(row)) return;
  for (const std::int64_t threads : threads_of(row, isa))
    bench::add("attention/streaming/" + isa + "/" + row.name + bench::threads_suffix(threads), isa, [&row, threads] {
      return attention(row, attn::Path::streaming, threads);
    });
}

void add_blas(const AttentionRow& row) {
  if (!attn::blas::built || row.flop() > (bench::settings().long_rows ? 1e10 : 5e8)) return;
  const std::string isa = bench::runnable_isas().front();
  bench::add("attention/blas/" + isa + "/" + row.name, isa, [&row] { return attention(row, attn::Path::blas, 1); });
}

void add_plain(const std::string& name, const AttentionRow& row, double most_flop) {
  // f16 is a type that C++17 does not have; int8 has scales.
  if (row.flop() > most_flop || (row.cache != attn::DType::f32 && row.cache != attn::DType::bf16)) return;
  bench::add(name, "", [&row] { return plain(row); });
}

void add_rows() {
  for (const AttentionRow& row : bench::rows().attention) {
    for (const std::string& isa : bench::runnable_isas()) add_streaming(row, isa);
    add_blas(row);
    add_plain("plain/" + row.name, row, bench::settings().long_rows ? 5e9 : 5e8);
  }
}

void add_cells() {
  static const std::vector<AttentionRow> cells = bench::cells(bench::settings().long_rows);
  const std::string isa = bench::runnable_isas().front();
  for (const AttentionRow& cell : cells) {
    bench::add("grid/" + isa + "/" + cell.name, isa, [&cell] { return attention(cell, attn::Path::streaming, 1); });
    add_plain("grid/plain/" + cell.name, cell, 5e9);
  }
}

const bench::Registration registration("attention", add_rows, bench::Takes::shapes);
const bench::Registration registration_of_cells("grid", add_cells);

}  // namespace
