// One long sequence whose keys are too many for one machine: every MPI rank holds a part of the keys, attends to it
// with all queries, and one collective brings the parts together. Causal, so that the early queries see nothing of the
// late parts. Any number of ranks: mpirun -n 4 example_mpi_split_keys
#include <mpi.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <random>
#include <vector>

#include "attn/attn.hpp"
#include "recipe.hpp"

namespace {

constexpr std::int64_t heads = 4, queries = 33, keys = 5000, dim = 64;
constexpr std::int64_t rows = heads * queries;

std::vector<float> normals(std::int64_t n, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal;
  std::vector<float> x(static_cast<std::size_t>(n));
  for (float& value : x) value = normal(generator);
  return x;
}

// Attention of all queries to keys [first, end). Query t stands at keys - queries + t in the whole sequence.
void attend(
    const std::vector<float>& q, const std::vector<float>& k, const std::vector<float>& v, std::int64_t first,
    std::int64_t end, float* output, float* logsumexp) {
  const std::int64_t offset = keys - queries - first;  // counted from this part's first key
  attn::AttentionArgs a;
  a.query_heads = a.kv_heads = heads;
  a.query_length = queries;
  a.key_length = end - first;
  a.head_dim = a.value_dim = dim;
  a.query = attn::bhtd(q.data(), heads, queries, dim);
  a.key = attn::bhtd(k.data() + first * dim, heads, keys, dim);  // a view into the whole, for this example
  a.value = attn::bhtd(v.data() + first * dim, heads, keys, dim);
  a.output = attn::bhtd(output, heads, queries, dim);
  a.logsumexp = logsumexp;
  a.causal = true;
  a.alignment = attn::Alignment::given;
  a.query_offsets = &offset;
  attn::throw_if_error(attn::attention(a));
}

}  // namespace

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  int rank = 0, ranks = 1;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);

  // The same numbers on every rank; a rank looks at its own keys only.
  const std::vector<float> q = normals(rows * dim, 1), k = normals(heads * keys * dim, 2),
                           v = normals(heads * keys * dim, 3);
  // What a rank sends: [rows, dim] of output, and behind it [rows] of log-sum-exp.
  constexpr std::int64_t part = rows * dim + rows;
  std::vector<float> mine(part), all(static_cast<std::size_t>(part * ranks));
  attend(q, k, v, keys * rank / ranks, keys * (rank + 1) / ranks, mine.data(), mine.data() + rows * dim);
  MPI_Allgather(
      mine.data(), static_cast<int>(part), MPI_FLOAT, all.data(), static_cast<int>(part), MPI_FLOAT, MPI_COMM_WORLD);

  std::vector<float> merged(rows * dim);
  attn::MergeArgs merge;
  merge.parts = ranks;
  merge.rows = rows;
  merge.value_dim = dim;
  merge.outputs = all.data();
  merge.logsumexps = all.data() + rows * dim;
  merge.part_stride = merge.logsumexp_part_stride = part;
  merge.row_stride = merge.output_row_stride = dim;
  merge.output = merged.data();
  attn::throw_if_error(attn::merge(merge));

  // Every rank against the whole.
  std::vector<float> whole(rows * dim), sums(rows);
  attend(q, k, v, 0, keys, whole.data(), sums.data());
  double error = 0, value = 0, sum = 0;
  for (std::size_t i = 0; i < whole.size(); ++i)
    error = std::max(error, recipe::off(static_cast<double>(merged[i]), static_cast<double>(whole[i])));
  for (const float x : v) value = std::max(value, std::fabs(static_cast<double>(x)));
  for (const float x : sums) sum = std::max(sum, std::fabs(static_cast<double>(x)));
  const double bound = 0x1p-24 * value * (8 + 4 * sum);  // attn/merge.hpp
  if (rank == 0)
    std::printf(
        "%d ranks, %lld keys: largest error against the whole %.2g (bound %.2g)\n", ranks, static_cast<long long>(keys),
        error, bound);
  MPI_Finalize();
  return error <= bound ? 0 : 1;
}
