// Sixteen sequences that begin with one prompt, a token each: one call on the prompt for the queries of all of them,
// one on their own keys, and a merge. The prompt is read once instead of sixteen times.
// How much faster that is behind a prompt of 4096 tokens: attn_bench --benchmark_filter=shared_prompt. With groups of
// query heads less, as arithmetic then takes longer than reading.
#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

#include "attn/attn.hpp"
#include "recipe.hpp"

namespace {

constexpr std::int64_t sequences = 16, heads = 8, kv_heads = 2, dim = 32;
constexpr std::int64_t prefix = 1000, capacity = 64;  // of the prompt; of what a sequence has of its own

// The same queries in both calls: a row for each sequence, as a projection writes them. So are the outputs.
attn::AttentionArgs shapes(const float* q, float* output, float* logsumexp) {
  attn::AttentionArgs a;
  a.query_heads = heads;
  a.kv_heads = kv_heads;
  a.head_dim = a.value_dim = dim;
  a.query = attn::bthd(q, heads, sequences, dim);
  a.output = attn::bthd(output, heads, sequences, dim);
  a.logsumexp = logsumexp;  // [heads, sequences]
  return a;
}

}  // namespace

int main() {
  const std::vector<float> q = recipe::normals(sequences * heads * dim, 1),
                           prefix_k = recipe::normals(prefix * kv_heads * dim, 2),
                           prefix_v = recipe::normals(prefix * kv_heads * dim, 3),
                           own_k = recipe::normals(sequences * capacity * kv_heads * dim, 4),
                           own_v = recipe::normals(sequences * capacity * kv_heads * dim, 5);
  std::vector<std::int64_t> used;  // of its own; the first sequence has none yet
  for (std::int64_t s = 0; s < sequences; ++s) used.push_back(s * 4);

  // Two parts: [2, sequences, heads, dim] and [2, heads, sequences].
  std::vector<float> outputs(2 * q.size()), logsumexps(2 * heads * sequences);

  // All queries as one sequence over the prompt.
  attn::AttentionArgs shared = shapes(q.data(), outputs.data(), logsumexps.data());
  shared.query_length = sequences;
  shared.key_length = prefix;
  shared.key = attn::bthd(prefix_k.data(), kv_heads, prefix, dim);
  shared.value = attn::bthd(prefix_v.data(), kv_heads, prefix, dim);
  attn::throw_if_error(attn::attention(shared));

  // Each query over its own keys: a packed batch, whose sequences have one query and `capacity` rows of keys each.
  std::vector<std::int64_t> queries(sequences + 1), rows(sequences + 1);
  std::iota(queries.begin(), queries.end(), 0);
  for (std::int64_t s = 0; s <= sequences; ++s) rows[s] = s * capacity;
  attn::AttentionArgs own = shapes(q.data(), outputs.data() + q.size(), logsumexps.data() + heads * sequences);
  own.batch = sequences;
  own.query_length = 1;
  own.key_length = capacity;
  own.cu_query_lengths = queries.data();
  own.cu_key_lengths = rows.data();
  own.key_lengths = used.data();
  own.key = attn::bthd(own_k.data(), kv_heads, sequences * capacity, dim);
  own.value = attn::bthd(own_v.data(), kv_heads, sequences * capacity, dim);
  attn::throw_if_error(attn::attention(own));

  // Head by head, because outputs stand sequence by sequence and log-sum-exps head by head. The first part becomes the
  // result.
  for (std::int64_t h = 0; h < heads; ++h) {
    attn::MergeArgs m;
    m.parts = 2;
    m.rows = sequences;
    m.value_dim = dim;
    m.outputs = outputs.data() + h * dim;
    m.part_stride = static_cast<std::int64_t>(q.size());
    m.row_stride = m.output_row_stride = heads * dim;
    m.logsumexps = logsumexps.data() + h * sequences;
    m.logsumexp_part_stride = heads * sequences;
    m.output = outputs.data() + h * dim;
    attn::throw_if_error(attn::merge(m));
  }

  double worst = 0;
  for (std::int64_t s = 0; s < sequences; ++s)
    for (std::int64_t h = 0; h < heads; ++h) {
      const std::int64_t query = (s * heads + h) * dim, kv = h * kv_heads / heads * dim;
      recipe::Plain plain(&q[query], dim, dim);
      for (std::int64_t j = 0; j < prefix; ++j)
        plain.see(&prefix_k[j * kv_heads * dim + kv], &prefix_v[j * kv_heads * dim + kv]);
      for (std::int64_t j = s * capacity; j < s * capacity + used[s]; ++j)
        plain.see(&own_k[j * kv_heads * dim + kv], &own_v[j * kv_heads * dim + kv]);
      worst = std::max(worst, plain.difference(&outputs[query]));
    }
  return recipe::near("16 sequences behind one prompt", worst) ? 0 : 1;
}
