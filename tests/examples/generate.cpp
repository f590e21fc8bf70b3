// Generating text token by token with a KV cache. The model is a toy: random embeddings, one attention layer of random
// weights, and the next token is the one whose embedding is nearest to the result. But the loop is the real one:
// project the new token, append its key and value, attend to the cache. Then the whole text is computed again at once,
// with a causal mask: the same bits, and so the same text.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <random>
#include <vector>

#include "attn/attn.hpp"

namespace {

constexpr std::int64_t vocabulary = 64, heads = 4, kv_heads = 2, dim = 16, embed = heads * dim;
constexpr std::int64_t capacity = 96;

struct Model {
  std::vector<float> embedding, w_q, w_k, w_v;

  Model() {
    std::mt19937 generator(3);
    std::normal_distribution<float> normal;
    const auto draw = [&](std::vector<float>& x, std::int64_t n) {
      for (std::int64_t i = 0; i < n; ++i) x.push_back(normal(generator));
    };
    draw(embedding, vocabulary * embed);
    draw(w_q, embed * embed);
    draw(w_k, embed * kv_heads * dim);
    draw(w_v, embed * kv_heads * dim);
  }

  // y[columns] = embedding[token] w, with a little of the position, so that the same token is not always the same.
  std::vector<float> project(
      std::int64_t token, std::int64_t position, const std::vector<float>& w, std::int64_t columns) const {
    std::vector<float> y(static_cast<std::size_t>(columns));
    for (std::int64_t i = 0; i < embed; ++i)
      for (std::int64_t c = 0; c < columns; ++c)
        y[static_cast<std::size_t>(c)] += (embedding[static_cast<std::size_t>(token * embed + i)] +
                                           0.8f * static_cast<float>((position * (i + 1)) % 7 - 3)) *
            w[static_cast<std::size_t>(i * columns + c)] / 8.0f;
    return y;
  }

  // The token whose embedding has the largest product with x[embed].
  std::int64_t nearest(const float* x) const {
    std::int64_t best = 0;
    float best_score = -1e30f;
    for (std::int64_t t = 0; t < vocabulary; ++t) {
      float score = 0;
      for (std::int64_t i = 0; i < embed; ++i) score += x[i] * embedding[static_cast<std::size_t>(t * embed + i)];
      if (score > best_score) {
        best = t;
        best_score = score;
      }
    }
    return best;
  }
};

// The shapes of one sequence of `queries` new tokens over the cache.
attn::AttentionArgs attention_over(
    const std::vector<float>& keys, const std::vector<float>& values, std::int64_t queries) {
  attn::AttentionArgs a;
  a.query_heads = heads;
  a.kv_heads = kv_heads;
  a.query_length = queries;
  a.key_length = capacity;
  a.head_dim = a.value_dim = dim;
  a.key = attn::bhtd(keys.data(), kv_heads, capacity, dim);
  a.value = attn::bhtd(values.data(), kv_heads, capacity, dim);
  a.causal = true;
  return a;
}

}  // namespace

int main() {
  const Model model;
  std::vector<float> keys(kv_heads * capacity * dim), values(keys), all_queries, all_results;
  std::int64_t used = 0;  // rows of the cache, kept by append

  attn::AppendArgs append;
  append.kv_heads = kv_heads;
  append.new_length = 1;
  append.capacity = capacity;
  append.head_dim = append.value_dim = dim;
  append.key_cache = attn::bhtd(keys.data(), kv_heads, capacity, dim);
  append.value_cache = attn::bhtd(values.data(), kv_heads, capacity, dim);
  append.lengths = &used;

  std::vector<std::int64_t> tokens{7};
  std::vector<float> result(embed);
  while (used < capacity) {
    const std::vector<float> q = model.project(tokens.back(), used, model.w_q, embed);
    const std::vector<float> k = model.project(tokens.back(), used, model.w_k, kv_heads * dim);
    const std::vector<float> v = model.project(tokens.back(), used, model.w_v, kv_heads * dim);
    append.key = attn::bhtd(k.data(), kv_heads, 1, dim);
    append.value = attn::bhtd(v.data(), kv_heads, 1, dim);
    attn::throw_if_error(attn::append(append));

    attn::AttentionArgs step = attention_over(keys, values, 1);
    step.key_lengths = &used;  // the query stands at the end of what is in use
    step.query = attn::bhtd(q.data(), heads, 1, dim);
    step.output = attn::bhtd(result.data(), heads, 1, dim);
    attn::throw_if_error(attn::attention(step));

    all_queries.insert(all_queries.end(), q.begin(), q.end());
    all_results.insert(all_results.end(), result.begin(), result.end());
    tokens.push_back(model.nearest(result.data()));
  }
  const attn::Status full = attn::append(append);
  std::printf("when the cache is full: %s\n", full.message());

  std::vector<float> at_once(all_results.size());
  attn::AttentionArgs whole = attention_over(keys, values, capacity);
  whole.query = attn::bthd(all_queries.data(), heads, capacity, dim);
  whole.output = attn::bthd(at_once.data(), heads, capacity, dim);
  attn::throw_if_error(attn::attention(whole));

  const bool same = std::memcmp(at_once.data(), all_results.data(), at_once.size() * sizeof(float)) == 0;
  std::printf("tokens:");
  for (std::size_t t = 0; t < 16; ++t) std::printf(" %lld", static_cast<long long>(tokens[t]));
  std::printf(
      " ...\n%lld tokens one by one and at once: %s\n", static_cast<long long>(capacity),
      same ? "same bits" : "DIFFERENT BITS");
  return same && !full.ok() && used == capacity ? 0 : 1;
}
