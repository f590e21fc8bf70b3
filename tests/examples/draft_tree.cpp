// Speculative decoding with a tree: a small model drafts several continuations of a text, the large model judges all of
// them in one call, and what it does not accept is dropped from the cache.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "attn/attn.hpp"
#include "recipe.hpp"

namespace {

constexpr std::int64_t heads = 4, kv_heads = 2, dim = 32, capacity = 640;
constexpr std::int64_t text = 600;  // tokens before the tree
constexpr std::int64_t nodes = 7, parents[nodes] = {-1, 0, 0, 1, 1, 2, 5};

// The cache of one layer, token by token: [capacity, kv_heads, dim] each.
struct Cache {
  std::vector<float> keys = std::vector<float>(capacity * kv_heads * dim), values = keys;
  std::int64_t used = 0;

  void append(const float* k, const float* v, std::int64_t tokens) {
    attn::AppendArgs a;
    a.kv_heads = kv_heads;
    a.new_length = tokens;
    a.capacity = capacity;
    a.head_dim = a.value_dim = dim;
    a.key = attn::bthd(k, kv_heads, tokens, dim);
    a.value = attn::bthd(v, kv_heads, tokens, dim);
    a.key_cache = attn::bthd(keys.data(), kv_heads, capacity, dim);
    a.value_cache = attn::bthd(values.data(), kv_heads, capacity, dim);
    a.lengths = &used;
    attn::throw_if_error(attn::append(a));
  }

  // Keeps those of the rows from `first` on that were accepted, in order. The others are dropped by lowering `used`:
  // what stands behind it is never read, and the next append writes over it.
  void keep(std::int64_t first, const std::vector<std::int64_t>& accepted) {
    used = first;
    for (const std::int64_t node : accepted) {
      for (std::vector<float>* x : {&keys, &values}) {
        const auto row = [&](std::int64_t r) { return x->begin() + r * kv_heads * dim; };
        if (first + node != used) std::copy(row(first + node), row(first + node + 1), row(used));
      }
      ++used;
    }
  }

  attn::AttentionArgs attend(const float* q, std::int64_t tokens, float* output) const {
    attn::AttentionArgs a;
    a.query_heads = heads;
    a.kv_heads = kv_heads;
    a.query_length = tokens;
    a.key_length = capacity;
    a.head_dim = a.value_dim = dim;
    a.query = attn::bthd(q, heads, tokens, dim);
    a.key = attn::bthd(keys.data(), kv_heads, capacity, dim);
    a.value = attn::bthd(values.data(), kv_heads, capacity, dim);
    a.output = attn::bthd(output, heads, tokens, dim);
    a.key_lengths = &used;
    return a;
  }
};

}  // namespace

int main() {
  constexpr std::int64_t tokens = text + nodes + 1;  // the last one comes after the tree
  const std::vector<float> q = recipe::normals(tokens * heads * dim, 1),
                           k = recipe::normals(tokens * kv_heads * dim, 2),
                           v = recipe::normals(tokens * kv_heads * dim, 3);
  const auto key = [&](std::int64_t token) { return &k[token * kv_heads * dim]; };
  const auto value = [&](std::int64_t token) { return &v[token * kv_heads * dim]; };
  Cache cache;
  cache.append(key(0), value(0), text);

  // A node sees the text, itself and its ancestors. The mask has columns for the nodes alone. (The position that goes
  // into rotary embeddings is the text's length and the node's depth.)
  std::vector<std::uint8_t> sees(nodes * nodes);
  for (std::int64_t node = 0; node < nodes; ++node)
    for (std::int64_t other = node; other >= 0; other = parents[other]) sees[node * nodes + other] = 1;
  std::vector<float> judged(nodes * heads * dim);
  cache.append(key(text), value(text), nodes);
  attn::AttentionArgs tree = cache.attend(&q[text * heads * dim], nodes, judged.data());
  tree.mask = {sees.data(), 0, 0, nodes, 1};
  tree.mask_columns = nodes;
  attn::throw_if_error(attn::attention(tree));

  double worst = 0;
  for (std::int64_t node = 0; node < nodes; ++node)
    for (std::int64_t h = 0; h < heads; ++h) {
      const std::int64_t kv = h * kv_heads / heads * dim;
      recipe::Plain plain(&q[((text + node) * heads + h) * dim], dim, dim);
      for (std::int64_t j = 0; j < text; ++j) plain.see(key(j) + kv, value(j) + kv);
      for (std::int64_t other = node; other >= 0; other = parents[other])
        plain.see(key(text + other) + kv, value(text + other) + kv);
      worst = std::max(worst, plain.difference(&judged[(node * heads + h) * dim]));
    }
  const bool right = recipe::near("the tree in one call", worst);

  // The branch 0, 2, 5 is accepted. The next step is as if nothing else had ever been in the cache.
  const std::vector<std::int64_t> accepted{0, 2, 5};
  cache.keep(text, accepted);
  Cache other;
  other.append(key(0), value(0), text);
  for (const std::int64_t node : accepted) other.append(key(text + node), value(text + node), 1);
  std::vector<float> next(heads * dim), want(next);
  for (Cache* c : {&cache, &other}) {
    c->append(key(tokens - 1), value(tokens - 1), 1);
    std::vector<float>& output = c == &cache ? next : want;
    attn::throw_if_error(attn::attention(c->attend(&q[(tokens - 1) * heads * dim], 1, output.data())));
  }
  const bool same = recipe::same("the token after the branch that was accepted", next, want);
  return right && same ? 0 : 1;
}
