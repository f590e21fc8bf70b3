// Chunked attention, as in most layers of Llama 4: a text is cut into chunks, and a token sees the tokens of its own
// chunk up to itself. A prefill is one call, whose sequences are the chunks; a step of decoding sees a view of the
// cache.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "attn/attn.hpp"
#include "recipe.hpp"

namespace {

constexpr std::int64_t heads = 4, kv_heads = 2, dim = 32;
constexpr std::int64_t chunk = 96, length = 500;  // the last chunk is not full

attn::AttentionArgs shapes() {
  attn::AttentionArgs a;
  a.query_heads = heads;
  a.kv_heads = kv_heads;
  a.head_dim = a.value_dim = dim;
  a.causal = true;
  return a;
}

// All tokens at once: chunk i is rows starts[i] to starts[i + 1] of one packed batch.
void prefill(
    const std::vector<float>& q, const std::vector<float>& k, const std::vector<float>& v, std::vector<float>& output) {
  std::vector<std::int64_t> starts;
  for (std::int64_t t = 0; t < length; t += chunk) starts.push_back(t);
  starts.push_back(length);

  attn::AttentionArgs a = shapes();
  a.batch = static_cast<std::int64_t>(starts.size()) - 1;
  a.query_length = a.key_length = chunk;
  a.cu_query_lengths = a.cu_key_lengths = starts.data();
  a.query = attn::bthd(q.data(), heads, length, dim);
  a.key = attn::bthd(k.data(), kv_heads, length, dim);
  a.value = attn::bthd(v.data(), kv_heads, length, dim);
  a.output = attn::bthd(output.data(), heads, length, dim);
  attn::throw_if_error(attn::attention(a));
}

// Token t alone: the keys from the beginning of its chunk.
void decode(
    std::int64_t t, const std::vector<float>& q, const std::vector<float>& k, const std::vector<float>& v,
    std::vector<float>& output) {
  const std::int64_t first = t / chunk * chunk;
  attn::AttentionArgs a = shapes();
  a.query_length = 1;
  a.key_length = t + 1 - first;
  a.query = attn::bthd(q.data() + t * heads * dim, heads, 1, dim);
  a.key = attn::bthd(k.data() + first * kv_heads * dim, kv_heads, a.key_length, dim);
  a.value = attn::bthd(v.data() + first * kv_heads * dim, kv_heads, a.key_length, dim);
  a.output = attn::bthd(output.data() + t * heads * dim, heads, 1, dim);
  attn::throw_if_error(attn::attention(a));
}

}  // namespace

int main() {
  const std::vector<float> q = recipe::normals(length * heads * dim, 1),
                           k = recipe::normals(length * kv_heads * dim, 2),
                           v = recipe::normals(length * kv_heads * dim, 3);
  std::vector<float> at_once(q.size()), one_by_one(q.size());
  prefill(q, k, v, at_once);
  for (std::int64_t t = 0; t < length; ++t) decode(t, q, k, v, one_by_one);

  double worst = 0;
  for (std::int64_t t = 0; t < length; ++t)
    for (std::int64_t h = 0; h < heads; ++h) {
      recipe::Plain plain(&q[(t * heads + h) * dim], dim, dim);
      for (std::int64_t j = t / chunk * chunk; j <= t; ++j) {
        const std::int64_t row = (j * kv_heads + h * kv_heads / heads) * dim;
        plain.see(&k[row], &v[row]);
      }
      worst = std::max(worst, plain.difference(&at_once[(t * heads + h) * dim]));
    }
  const bool right = recipe::near("a prefill of all chunks in one call", worst);
  const bool same = recipe::same("token by token", at_once, one_by_one);
  return right && same ? 0 : 1;
}
