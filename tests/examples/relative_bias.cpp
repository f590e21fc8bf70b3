// A bias that depends on the distance from query to key alone, as in T5: it is kept once for each distance and read as
// a matrix, whose rows begin one element earlier each. 8192 tokens and 12 heads take 0.8 MB instead of 3.2 GB.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "attn/attn.hpp"
#include "recipe.hpp"

namespace {

constexpr std::int64_t heads = 12, dim = 64, keys = 8192;
constexpr std::int64_t queries = 48;  // the last tokens of the text: enough to compare with the whole matrix
constexpr std::int64_t distances = 2 * keys - 1;  // from 1 - keys to keys - 1

// Which of T5's 32 learned numbers a distance has: 16 for each direction, 8 of them exact, then as a logarithm to 128.
std::int64_t bucket(std::int64_t distance) {
  const std::int64_t side = distance > 0 ? 16 : 0, size = std::abs(distance);
  if (size < 8) return side + size;
  const double far = std::log(static_cast<double>(size) / 8) / std::log(128.0 / 8) * 8;
  return side + std::min<std::int64_t>(15, 8 + static_cast<std::int64_t>(far));
}

}  // namespace

int main() {
  const std::vector<float> q = recipe::normals(heads * queries * dim, 1), k = recipe::normals(heads * keys * dim, 2),
                           v = recipe::normals(heads * keys * dim, 3), learned = recipe::normals(32 * heads, 4);

  // line[h][distance + keys - 1], distance = key - query.
  std::vector<float> line;
  for (std::int64_t h = 0; h < heads; ++h)
    for (std::int64_t distance = 1 - keys; distance < keys; ++distance)
      line.push_back(learned[bucket(distance) * heads + h]);

  std::vector<float> output(q.size());
  attn::AttentionArgs a;
  a.query_heads = a.kv_heads = heads;
  a.query_length = queries;
  a.key_length = keys;
  a.head_dim = a.value_dim = dim;
  a.query = attn::bhtd(q.data(), heads, queries, dim);
  a.key = attn::bhtd(k.data(), heads, keys, dim);
  a.value = attn::bhtd(v.data(), heads, keys, dim);
  a.output = attn::bhtd(output.data(), heads, queries, dim);
  a.scale = 1;  // T5 has none
  // Row 0 is the query at keys - queries; its distance to key 0 is queries - keys, which stands at queries - 1.
  a.bias = {line.data() + (queries - 1), attn::DType::f32, 0, distances, -1, 1};
  attn::throw_if_error(attn::attention(a));

  // The same as a whole matrix [heads, queries, keys].
  std::vector<float> matrix, want(q.size());
  for (std::int64_t h = 0; h < heads; ++h)
    for (std::int64_t t = keys - queries; t < keys; ++t)
      for (std::int64_t j = 0; j < keys; ++j) matrix.push_back(learned[bucket(j - t) * heads + h]);
  a.bias = {matrix.data(), attn::DType::f32, 0, queries * keys, keys, 1};
  a.output = attn::bhtd(want.data(), heads, queries, dim);
  attn::throw_if_error(attn::attention(a));

  std::printf("%.1f MB of bias\n", static_cast<double>(line.size()) * 4e-6);
  return recipe::same("the line and the matrix", output, want) ? 0 : 1;
}
