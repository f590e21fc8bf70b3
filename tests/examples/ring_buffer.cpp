// A sliding window whose cache has room for the window alone, however long the text grows: token t takes row
// t % window, the row of the token that leaves. A new token sees every row of it, and a softmax does not mind their
// order, but for roundings (window_in_pages.cpp keeps it): one plain call, without window and mask. (Positions are in
// the keys, as rotary embeddings put them.)
#include <algorithm>
#include <cstdint>
#include <vector>

#include "attn/attn.hpp"
#include "recipe.hpp"

namespace {

constexpr std::int64_t heads = 4, kv_heads = 2, dim = 32;
constexpr std::int64_t window = 100, length = 450;

}  // namespace

int main() {
  const std::vector<float> q = recipe::normals(length * heads * dim, 1),
                           k = recipe::normals(length * kv_heads * dim, 2),
                           v = recipe::normals(length * kv_heads * dim, 3);
  std::vector<float> keys(window * kv_heads * dim), values(keys), output(q.size());

  attn::AppendArgs append;
  append.kv_heads = kv_heads;
  append.new_length = 1;
  append.capacity = window;
  append.head_dim = append.value_dim = dim;
  append.key_cache = attn::bthd(keys.data(), kv_heads, window, dim);
  append.value_cache = attn::bthd(values.data(), kv_heads, window, dim);

  attn::AttentionArgs a;
  a.query_heads = heads;
  a.kv_heads = kv_heads;
  a.query_length = 1;
  a.head_dim = a.value_dim = dim;
  a.key = append.key_cache;
  a.value = append.value_cache;

  double worst = 0;
  for (std::int64_t t = 0; t < length; ++t) {
    std::int64_t row = t % window;  // append() takes it for the rows in use
    append.lengths = &row;
    append.key = attn::bthd(&k[t * kv_heads * dim], kv_heads, 1, dim);
    append.value = attn::bthd(&v[t * kv_heads * dim], kv_heads, 1, dim);
    attn::throw_if_error(attn::append(append));

    a.key_length = std::min(t + 1, window);
    a.query = attn::bthd(&q[t * heads * dim], heads, 1, dim);
    a.output = attn::bthd(&output[t * heads * dim], heads, 1, dim);
    attn::throw_if_error(attn::attention(a));

    for (std::int64_t h = 0; h < heads; ++h) {
      recipe::Plain plain(&q[(t * heads + h) * dim], dim, dim);
      for (std::int64_t j = std::max<std::int64_t>(0, t + 1 - window); j <= t; ++j) {
        const std::int64_t at = (j * kv_heads + h * kv_heads / heads) * dim;
        plain.see(&k[at], &v[at]);
      }
      worst = std::max(worst, plain.difference(&output[(t * heads + h) * dim]));
    }
  }
  return recipe::near("450 tokens through a ring of 100 rows", worst) ? 0 : 1;
}
