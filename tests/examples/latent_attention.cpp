// Multi-head latent attention, as in DeepSeek V2 and V3: the cache has one row of 576 numbers for each token, the same
// for all heads. All 576 are the key (512 of the latent, 64 with the position), the first 512 are the value. The
// queries have been multiplied by the up-projection of the keys, and the output is yet to be by that of the values.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "attn/attn.hpp"
#include "recipe.hpp"

namespace {

constexpr std::int64_t heads = 16, latent = 512, position = 64, row = latent + position;
constexpr std::int64_t capacity = 300, tokens = 270;
const float scale = 1 / std::sqrt(128.0f + 64.0f);  // of a head before the multiplication, not of the 576

}  // namespace

int main() {
  const std::vector<float> q = recipe::normals(tokens * heads * row, 1), rows = recipe::normals(tokens * row, 2);
  std::vector<float> cache(capacity * row);
  std::int64_t used = 0;

  // Without value columns append() writes keys alone.
  attn::AppendArgs append;
  append.new_length = tokens;
  append.capacity = capacity;
  append.head_dim = row;
  append.key = attn::bhtd(rows.data(), 1, tokens, row);
  append.key_cache = attn::bhtd(cache.data(), 1, capacity, row);
  append.lengths = &used;
  attn::throw_if_error(attn::append(append));

  std::vector<float> output(tokens * heads * latent);
  attn::AttentionArgs a;
  a.query_heads = heads;
  a.kv_heads = 1;
  a.query_length = tokens;
  a.key_length = capacity;
  a.key_lengths = &used;
  a.head_dim = row;
  a.value_dim = latent;
  a.query = attn::bthd(q.data(), heads, tokens, row);
  a.key = append.key_cache;
  a.value = a.key;  // a view: the first 512 columns of the same rows
  a.output = attn::bthd(output.data(), heads, tokens, latent);
  a.scale = scale;
  a.causal = true;
  attn::throw_if_error(attn::attention(a));

  double worst = 0;
  for (std::int64_t t = 0; t < tokens; t += 7)
    for (std::int64_t h = 0; h < heads; ++h) {
      recipe::Plain plain(&q[(t * heads + h) * row], row, latent, static_cast<double>(scale));
      for (std::int64_t j = 0; j <= t; ++j) plain.see(&rows[j * row], &rows[j * row]);
      worst = std::max(worst, plain.difference(&output[(t * heads + h) * latent]));
    }
  return recipe::near("576 columns of keys, 512 of them the values", worst) ? 0 : 1;
}
