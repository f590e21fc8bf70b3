#include "blas/path.hpp"

#include <algorithm>
#include <cstdint>

#include "base/arena.hpp"
#include "base/tasks.hpp"
#include "blas/blas.hpp"
#include "blas/rows.hpp"
#include "call/cache_row.hpp"
#include "call/share.hpp"

namespace attn::blas_path {
namespace {

// With at least this many heads for each worker a task is a head: the last ones to finish are not far apart.
constexpr std::int64_t many_heads = 4;
// About what one core takes: a product by sgemm, a score from product to weight, a row beside them.
constexpr double flop_per_ns = 60, score_ns = 0.5, row_ns = 30;
// A worker is worth its beginning, about a microsecond, and what it finds in another core's cache.
constexpr double worth_a_worker_ns = 5000;

// Does sgemm write the products into the caller's weights?
bool in_place(const Output& weights) noexcept { return weights.data && is_float(weights.dtype); }

// What a worker needs beside the tensors:
//   scores                      of one block of rows, unless they stand in the weights
//   key_sums                    a block's part of the key weight sums
//   key, value                  of one head as float in rows, which BLAS wants, where they are not that already
//   query, output               halves as float: a block of query rows
//   widened                     the KV head, counted over all items, that key and value hold; -1: none
struct Scratch {
  float *scores, *key_sums, *key, *value, *query, *output;
  std::int64_t* widened;

  Scratch(const Problem& p, Arena& arena) noexcept {
    const std::int64_t rows = std::min(p.batch.query_length, row_block), keys = p.batch.key_length;
    scores = in_place(p.extras.weights) ? nullptr : arena.take<float>(saturating_product(rows, keys));
    key_sums = p.extras.key_weight_sums ? arena.take<float>(keys) : nullptr;
    const bool key_stands = are_floats_in_rows(p, p.key), value_stands = are_floats_in_rows(p, p.value);
    key = key_stands ? nullptr : arena.take<float>(saturating_product(keys, p.head_dim));
    value = value_stands ? nullptr : arena.take<float>(saturating_product(keys, p.value_dim));
    query = take(arena, p.query.dtype, rows, p.head_dim);
    output = take(arena, p.output.dtype, rows, p.value_dim);
    widened = key_stands && value_stands ? nullptr : arena.take<std::int64_t>(1);
  }

  static float* take(Arena& arena, DType type, std::int64_t rows, std::int64_t columns) noexcept {
    return is_float(type) ? nullptr : arena.take<float>(saturating_product(rows, columns));
  }
};

// The scratch of one worker after that of the other.
class Scratches {
 public:
  // workspace 0: only counts.
  Scratches(const Problem& p, std::uintptr_t workspace) noexcept : problem_(p) {
    Arena counting(0), arena(workspace);
    const std::size_t begin = counting.used();
    const Scratch one(p, counting);
    bytes_ = counting.used() - begin;
    first_ = workspace ? workspace + arena.used() : 0;
  }

  std::size_t bytes() const noexcept { return bytes_; }  // of one worker
  Scratch of(std::int64_t worker) const noexcept {
    Arena arena(first_ ? first_ + static_cast<std::size_t>(worker) * bytes_ : 0);
    return Scratch(problem_, arena);
  }

 private:
  const Problem& problem_;
  std::uintptr_t first_;
  std::size_t bytes_;
};

// BLAS wants a leading dimension of at least the columns, even where there is one row and the stride means nothing.
std::int64_t leading(std::int64_t stride, std::int64_t rows, std::int64_t columns) noexcept {
  return std::max<std::int64_t>({rows > 1 ? stride : 0, columns, 1});
}

// Where rows of a tensor begin, and how many they are.
struct From {
  std::int64_t batch, head, row, rows;
};
void widen(const Tensor& t, From from, std::int64_t columns, float* wide, const simd::Kernels& kernels) noexcept {
  for (std::int64_t r = 0; r < from.rows; ++r)
    kernels.widen(address_of(t, from.batch, from.head, from.row + r), t.dtype, columns, wide + r * columns);
}
// Rows of a tensor where they stand, and rows without gaps.
Matrix<const float> rows_at(const Tensor& t, From from, std::int64_t columns) noexcept {
  return {row_of(t, from.batch, from.head, from.row), leading(t.row_stride, from.rows, columns)};
}
Matrix<const float> rows_in(const float* wide, From from, std::int64_t columns) noexcept {
  return {wide, leading(columns, from.rows, columns)};
}

// Keys and values of a query head, as float. Those of a KV head are read once for all that follow in the same scratch:
// row blocks, query heads of the group.
void find_kv_head(Rows& rows, const Scratch& scratch) noexcept {
  const Problem& p = rows.problem;
  const Sequence& s = rows.sequence;
  const From keys{s.batch, p.kv_head_of(rows.head), s.first_key, s.key_length};
  rows.key = scratch.key ? rows_in(scratch.key, keys, p.head_dim) : rows_at(p.key, keys, p.head_dim);
  rows.value = scratch.value ? rows_in(scratch.value, keys, p.value_dim) : rows_at(p.value, keys, p.value_dim);
  const std::int64_t kv_head = s.item * p.kv_heads + keys.head;
  if (!scratch.widened || *scratch.widened == kv_head) return;
  *scratch.widened = kv_head;
  const CacheHead cache{p, rows.kernels, s, keys.head};
  const KeyRange needed = p.needed(s);  // pages of other keys may be anywhere
  for (std::int64_t j = needed.begin; scratch.key && j < needed.end; ++j)
    read_key(cache, j, scratch.key + j * p.head_dim);
  for (std::int64_t j = needed.begin; scratch.value && j < needed.end; ++j)
    read_value(cache, j, scratch.value + j * p.value_dim);
}

// Rows first .. first + row_block of a head, whose keys and values are given.
void attend_block(Rows& rows, std::int64_t first, const Scratch& scratch) noexcept {
  const Problem& p = rows.problem;
  const Sequence& s = rows.sequence;
  const std::int64_t row = s.first_query + first;
  rows.first = first;
  rows.count = std::min(row_block, s.query_length - first);
  const From queries{s.batch, rows.head, row, rows.count};
  if (!is_float(p.query.dtype)) widen(p.query, queries, p.head_dim, scratch.query, rows.kernels);
  rows.query = scratch.query ? rows_in(scratch.query, queries, p.head_dim) : rows_at(p.query, queries, p.head_dim);
  const auto result = [&](const Output& x, bool stands, float* instead, std::int64_t columns) -> Matrix<float> {
    return {
        stands ? row_of(x, s.batch, rows.head, row) : instead,
        leading(stands ? x.row_stride : columns, rows.count, columns)};
  };
  rows.output = result(p.output, is_float(p.output.dtype), scratch.output, p.value_dim);
  rows.weights = result(p.extras.weights, in_place(p.extras.weights), scratch.scores, p.batch.key_length);
  attend(rows, scratch.key_sums);
}

// Query head number i of all items: `blocks` row blocks from number `block` on. Key weight sums are added block after
// block, so they are the same whatever the threads; they want all blocks.
void attend_head(
    const Problem& p, const simd::Kernels& kernels, std::int64_t i, std::int64_t block, std::int64_t blocks,
    const Scratch& scratch) noexcept {
  const std::int64_t h = i % p.query_heads;
  Rows rows{p, kernels, p.batch.at(i / p.query_heads), h, 0, 0, {}, {}, {}, {}, {}};
  const Sequence& s = rows.sequence;
  float* const sums = p.extras.key_weight_sums ? p.key_weight_sums_at(s, h) : nullptr;
  if (sums) std::fill_n(sums, p.batch.capacity(s.item), 0.0f);
  const std::int64_t begin = block * row_block, end = std::min(s.query_length, (block + blocks) * row_block);
  if (begin < end) find_kv_head(rows, scratch);
  for (std::int64_t first = begin; first < end; first += row_block) {
    if (sums) std::fill_n(scratch.key_sums, s.key_length, 0.0f);
    attend_block(rows, first, scratch);
    for (std::int64_t j = 0; sums && j < s.key_length; ++j) sums[j] += scratch.key_sums[j];
  }
}

// How many row blocks the longest sequence has.
std::int64_t blocks_of(const Problem& p) noexcept { return ceil_divide(p.batch.query_length, row_block); }

// The most that can work at once in a call of these sizes.
std::int64_t most_workers(const Problem& p) noexcept {
  const std::int64_t heads = saturating_count(p.batch.count, p.query_heads);
  const std::int64_t tasks = p.extras.key_weight_sums ? heads : saturating_count(heads, blocks_of(p));
  return p.parallel ? std::min(p.parallel->threads, tasks) : std::min<std::int64_t>(1, tasks);
}

// How many threads the call, or its share, is worth, of those that there are. Masks are left aside.
// None beside those of a BLAS: OpenBLAS takes one call at a time, and its threads spin on the CPUs of the caller's.
std::int64_t wanted_workers(const Problem& p) noexcept {
  if (!p.parallel || blas::has_threads()) return 1;
  double ns = 0;  // of one head of each item
  for (std::int64_t b = 0; b < p.batch.count; ++b) {
    const Sequence s = p.batch.at(b);
    const double flop = 2 * static_cast<double>(p.head_dim + p.value_dim);
    ns += keys_seen(p, s) * (flop / flop_per_ns + score_ns) + row_ns * static_cast<double>(s.query_length);
  }
  const double heads = static_cast<double>(p.query_heads) / static_cast<double>(p.share_count);
  return workers_for(p.parallel, ns * heads, worth_a_worker_ns);
}

}  // namespace

std::size_t workspace_bytes(const Problem& problem) noexcept {
  const std::size_t workers = static_cast<std::size_t>(std::max<std::int64_t>(1, most_workers(problem)));
  const std::size_t bytes = saturating_product(workers, Scratches(problem, 0).bytes());
  return bytes == 0 ? 0 : saturating_sum(bytes, 63);  // any alignment
}

void run(const Problem& p, const simd::Kernels& kernels, void* workspace) noexcept {
  const Scratches scratches(p, reinterpret_cast<std::uintptr_t>(workspace));
  // Whole heads: BLAS may give a row other bits in a product of fewer rows.
  const Share share = share_of(p, {p.query_heads, 1, true});
  const std::int64_t threads = wanted_workers(p);
  const bool heads = p.extras.key_weight_sums || threads == 1 || share.heads / many_heads >= threads;
  const std::int64_t blocks = std::max<std::int64_t>(1, blocks_of(p)), cuts = heads ? 1 : blocks;
  const std::int64_t tasks = saturating_count(share.heads, cuts);
  const Team team{p.parallel, std::min(threads, tasks)};
  for (std::int64_t w = 0; w < team.workers; ++w)
    if (const Scratch scratch = scratches.of(w); scratch.widened) *scratch.widened = -1;
  // The last rows of a head first: where causal they are the longest.
  for_each(team, tasks, [&](std::int64_t worker, std::int64_t i) {
    const std::int64_t first = cuts - 1 - i % cuts;
    attend_head(p, kernels, share.first_head + i / cuts, first, heads ? blocks : 1, scratches.of(worker));
  });
}

}  // namespace attn::blas_path
