// A value cache that stands transposed, [kv_heads, value_dim, capacity], as ggml keeps it without flash attention. attn
// reads values by rows, so it is turned once; from then on new rows are put behind, as append() does.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "attn/attn.hpp"
#include "recipe.hpp"

namespace {

constexpr std::int64_t heads = 8, kv_heads = 2, dim = 64, capacity = 320, used = 300;
constexpr std::int64_t square = 16;  // what is read by columns stays in the cache until all of it is used

// to[h][j][c] = from[h][c][j] for the keys in use. T: float, attn::f16 or attn::bf16, which are moved as they are.
template <class T>
void turn(const std::vector<T>& from, std::vector<T>& to) {
  for (std::int64_t h = 0; h < kv_heads; ++h)
    for (std::int64_t first = 0; first < used; first += square)
      for (std::int64_t c = 0; c < dim; ++c)
        for (std::int64_t j = first; j < std::min(first + square, used); ++j)
          to[(h * capacity + j) * dim + c] = from[(h * dim + c) * capacity + j];
}

}  // namespace

int main() {
  const std::vector<float> q = recipe::normals(heads * dim, 1), k = recipe::normals(kv_heads * capacity * dim, 2),
                           transposed = recipe::normals(kv_heads * dim * capacity, 3);
  std::vector<float> values(transposed.size()), output(q.size());
  turn(transposed, values);

  attn::AttentionArgs a;
  a.query_heads = heads;
  a.kv_heads = kv_heads;
  a.query_length = 1;
  a.key_length = used;
  a.head_dim = a.value_dim = dim;
  a.query = attn::bhtd(q.data(), heads, 1, dim);
  a.key = attn::bhtd(k.data(), kv_heads, capacity, dim);
  a.value = attn::bhtd(values.data(), kv_heads, capacity, dim);
  a.output = attn::bhtd(output.data(), heads, 1, dim);
  attn::throw_if_error(attn::attention(a));

  double worst = 0;
  for (std::int64_t h = 0; h < heads; ++h) {
    const std::int64_t kv = h * kv_heads / heads;
    recipe::Plain plain(&q[h * dim], dim, dim);
    for (std::int64_t j = 0; j < used; ++j) {
      std::vector<float> value;
      for (std::int64_t c = 0; c < dim; ++c) value.push_back(transposed[(kv * dim + c) * capacity + j]);
      plain.see(&k[(kv * capacity + j) * dim], value.data());
    }
    worst = std::max(worst, plain.difference(&output[h * dim]));
  }
  return recipe::near("values that stood transposed", worst) ? 0 : 1;
}
