// A sliding window in a few pages that are used again and again: page number n of the text stands in page n % ring of
// the pool. The table says so, rows keep their positions, and keys before the window are not read. So several tokens at
// a time are as easy as one, and the bits are those of a cache that keeps the whole text.
#include <cstdint>
#include <cstdio>
#include <vector>

#include "attn/attn.hpp"
#include "recipe.hpp"

namespace {

constexpr std::int64_t heads = 4, kv_heads = 2, dim = 32;
constexpr std::int64_t window = 100, length = 720, step = 24;  // tokens that come together
constexpr std::int64_t page_length = 16, table_length = length / page_length;
// What the oldest query of a step sees and the newest row: window - 1 + step rows, which may begin inside a page.
constexpr std::int64_t ring = (window - 1 + step + page_length - 1) / page_length + 1;

attn::AttentionArgs shapes(const float* q, float* output, std::int64_t queries, std::int64_t keys) {
  attn::AttentionArgs a;
  a.query_heads = heads;
  a.kv_heads = kv_heads;
  a.query_length = queries;
  a.key_length = keys;
  a.head_dim = a.value_dim = dim;
  a.query = attn::bthd(q, heads, queries, dim);
  a.output = attn::bthd(output, heads, queries, dim);
  a.causal = true;
  a.window_left = window - 1;  // and the token itself
  return a;
}

}  // namespace

int main() {
  const std::vector<float> q = recipe::normals(length * heads * dim, 1),
                           k = recipe::normals(length * kv_heads * dim, 2),
                           v = recipe::normals(length * kv_heads * dim, 3);
  std::vector<float> keys(ring * page_length * kv_heads * dim), values(keys), output(q.size()), want(q.size());
  std::vector<std::int32_t> table;
  for (std::int64_t page = 0; page < table_length; ++page) table.push_back(static_cast<std::int32_t>(page % ring));

  std::int64_t used = 0;
  attn::AppendArgs append;
  append.kv_heads = kv_heads;
  append.new_length = step;
  append.capacity = length;
  append.head_dim = append.value_dim = dim;
  append.key_cache = attn::bthd(keys.data(), kv_heads, page_length, dim);  // a page: [page_length, kv_heads, dim]
  append.value_cache = attn::bthd(values.data(), kv_heads, page_length, dim);
  append.page_table = table.data();
  append.page_table_stride = table_length;
  append.page_length = page_length;
  append.page_count = ring;
  append.lengths = &used;

  while (used < length) {
    const std::int64_t first = used;
    append.key = attn::bthd(&k[first * kv_heads * dim], kv_heads, step, dim);
    append.value = attn::bthd(&v[first * kv_heads * dim], kv_heads, step, dim);
    attn::throw_if_error(attn::append(append));

    attn::AttentionArgs a = shapes(&q[first * heads * dim], &output[first * heads * dim], step, used);
    a.key = append.key_cache;
    a.value = append.value_cache;
    a.page_table = table.data();
    a.page_table_stride = table_length;
    a.page_length = page_length;
    a.page_count = ring;
    attn::throw_if_error(attn::attention(a));
  }

  attn::AttentionArgs whole = shapes(q.data(), want.data(), length, length);
  whole.key = attn::bthd(k.data(), kv_heads, length, dim);
  whole.value = attn::bthd(v.data(), kv_heads, length, dim);
  attn::throw_if_error(attn::attention(whole));
  std::printf("%d rows instead of %d\n", static_cast<int>(ring * page_length), static_cast<int>(length));
  return recipe::same("a window in pages and in the whole text", output, want) ? 0 : 1;
}
