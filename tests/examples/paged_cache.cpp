// A cache in pages, as servers keep it: a table says which page holds which rows of a sequence, so that sequences grow
// without moving and share what they have in common. Here one text is continued in two ways: both have the pages of the
// text; the page that is not yet full is copied for the one that writes first.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <vector>

#include "attn/attn.hpp"
#include "recipe.hpp"

namespace {

constexpr std::int64_t heads = 4, kv_heads = 2, dim = 32;
constexpr std::int64_t page_length = 16, page_count = 32, most_pages = 12;  // of the pool; of a sequence
constexpr std::int64_t text = 120, more = 40, length = text + more;  // 120 rows: seven pages and half of one
constexpr std::int64_t sequences = 2;

// Keys and values of all pages, [page_count, kv_heads, page_length, dim] each, and how many sequences have each page.
struct Pool {
  std::vector<float> keys = std::vector<float>(page_count * kv_heads * page_length * dim), values = keys;
  std::vector<int> owners = std::vector<int>(page_count);

  std::int32_t take() {
    const auto free = std::find(owners.begin(), owners.end(), 0);  // a server looks whether there is one
    *free = 1;
    return static_cast<std::int32_t>(free - owners.begin());
  }
  std::int32_t copy_of(std::int32_t page) {
    const std::int32_t copy = take();
    for (std::vector<float>* x : {&keys, &values}) {
      const std::int64_t size = kv_heads * page_length * dim;
      std::copy_n(x->begin() + page * size, size, x->begin() + copy * size);
    }
    --owners[page];
    return copy;
  }
};

// The table of two sequences and the rows that each has in use.
struct Tables {
  std::int32_t page[sequences][most_pages] = {};
  std::int64_t used[sequences] = {};

  // Before a row is written: a new page where one begins, a copy where another sequence has the page, too.
  void make_room(Pool& pool, std::int64_t s) {
    std::int32_t& last = page[s][used[s] / page_length];
    if (used[s] % page_length == 0) last = pool.take();
    if (pool.owners[last] > 1) last = pool.copy_of(last);
  }
};

void append(Pool& pool, Tables& tables, const float* k, const float* v, const std::int64_t* new_lengths) {
  for (std::int64_t s = 0; s < sequences; ++s)
    if (new_lengths[s] > 0) tables.make_room(pool, s);
  attn::AppendArgs a;
  a.batch = sequences;
  a.kv_heads = kv_heads;
  a.new_length = 1;
  a.new_lengths = new_lengths;
  a.capacity = most_pages * page_length;
  a.head_dim = a.value_dim = dim;
  a.key = attn::bhtd(k, kv_heads, 1, dim);
  a.value = attn::bhtd(v, kv_heads, 1, dim);
  a.key_cache = attn::bhtd(pool.keys.data(), kv_heads, page_length, dim);  // the first dimension counts pages
  a.value_cache = attn::bhtd(pool.values.data(), kv_heads, page_length, dim);
  a.page_table = tables.page[0];
  a.page_table_stride = most_pages;
  a.page_length = page_length;
  a.page_count = page_count;
  a.lengths = tables.used;
  attn::throw_if_error(attn::append(a));
}

attn::AttentionArgs shapes(const std::vector<float>& q, std::vector<float>& output) {
  attn::AttentionArgs a;
  a.batch = sequences;
  a.query_heads = heads;
  a.kv_heads = kv_heads;
  a.query_length = 1;
  a.head_dim = a.value_dim = dim;
  a.query = attn::bhtd(q.data(), heads, 1, dim);
  a.output = attn::bhtd(output.data(), heads, 1, dim);
  return a;
}

}  // namespace

int main() {
  // Rows [length, sequences, kv_heads, dim]: in the text both sequences have those of the first.
  const std::int64_t row = kv_heads * dim;
  const std::vector<float> k = recipe::normals(length * sequences * row, 1),
                           v = recipe::normals(length * sequences * row, 2),
                           q = recipe::normals(sequences * heads * dim, 3);
  Pool pool;
  Tables tables;
  constexpr std::int64_t first_alone[] = {1, 0}, both[] = {1, 1};
  for (std::int64_t t = 0; t < text; ++t)
    append(pool, tables, &k[t * sequences * row], &v[t * sequences * row], first_alone);

  // The second sequence begins as the first one stands: the same pages.
  std::copy_n(tables.page[0], most_pages, tables.page[1]);
  tables.used[1] = tables.used[0];
  for (std::int64_t i = 0; i * page_length < text; ++i) ++pool.owners[tables.page[0][i]];
  for (std::int64_t t = text; t < length; ++t)
    append(pool, tables, &k[t * sequences * row], &v[t * sequences * row], both);

  std::vector<float> output(q.size());
  attn::AttentionArgs paged = shapes(q, output);
  paged.key_length = most_pages * page_length;
  paged.key_lengths = tables.used;
  paged.key = attn::bhtd(pool.keys.data(), kv_heads, page_length, dim);
  paged.value = attn::bhtd(pool.values.data(), kv_heads, page_length, dim);
  paged.page_table = tables.page[0];
  paged.page_table_stride = most_pages;
  paged.page_length = page_length;
  paged.page_count = page_count;
  attn::throw_if_error(attn::attention(paged));

  // The same without pages: a cache for each sequence, [sequences, length, kv_heads, dim].
  std::vector<float> keys, values, want(q.size());
  for (std::int64_t s = 0; s < sequences; ++s)
    for (std::int64_t t = 0; t < length; ++t) {
      const std::int64_t from = (t * sequences + (t < text ? 0 : s)) * row;
      keys.insert(keys.end(), &k[from], &k[from + row]);
      values.insert(values.end(), &v[from], &v[from + row]);
    }
  attn::AttentionArgs whole = shapes(q, want);
  whole.key_length = length;
  whole.key = attn::bthd(keys.data(), kv_heads, length, dim);
  whole.value = attn::bthd(values.data(), kv_heads, length, dim);
  attn::throw_if_error(attn::attention(whole));

  const bool same = recipe::same("in pages and in one piece", output, want);
  const std::int64_t pages = std::count_if(pool.owners.begin(), pool.owners.end(), [](int n) { return n > 0; });
  std::printf(
      "%d pages in use, %d without sharing\n", static_cast<int>(pages),
      static_cast<int>(sequences * ((length + page_length - 1) / page_length)));
  return same && pages == 13 ? 0 : 1;  // 7 whole pages of the text, and of each sequence 3 for the rows behind them
}
