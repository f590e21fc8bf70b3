// append() into pages: each row at its place and nothing else; decoding from it is prefill to the bit; what is refused.
#include <algorithm>
#include <functional>
#include <numeric>
#include <string>
#include <vector>

#include "attn/attention.hpp"
#include "attn/kv_cache.hpp"
#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/problem.hpp"
#include "support/random.hpp"

namespace {

using attn::DType;
using std::int64_t;

// Two sequences of up to 48 rows in pages of 16, 3 heads; 4 columns of keys, 5 of values.
struct Cache {
  static constexpr int64_t batch = 2, heads = 3, length = 16, count = 7;
  std::vector<float> keys, values, key_cache, value_cache;
  std::vector<std::int32_t> table = {5, 2, 0, 6, 1, 3};
  int64_t lengths[2] = {10, 30}, new_lengths[2] = {30, 2};
  attn::AppendArgs args;

  explicit Cache(test::Random& random)
      : keys(random.normals(batch * heads * 30 * 4)),
        values(random.normals(batch * heads * 30 * 5)),
        key_cache(count * heads * length * 4, test::canary),
        value_cache(count * heads * length * 5, test::canary) {
    args.batch = batch;
    args.kv_heads = heads;
    args.new_length = 30;
    args.new_lengths = new_lengths;
    args.capacity = 48;
    args.head_dim = 4;
    args.value_dim = 5;
    args.key = attn::bhtd(keys.data(), heads, 30, 4);
    args.value = attn::bhtd(values.data(), heads, 30, 5);
    args.key_cache = attn::bhtd(key_cache.data(), heads, length, 4);
    args.value_cache = attn::bhtd(value_cache.data(), heads, length, 5);
    args.page_table = table.data();
    args.page_table_stride = 3;
    args.page_length = length;
    args.page_count = count;
    args.lengths = lengths;
  }

  bool untouched() const {
    return test::bits_equal(key_cache, std::vector<float>(key_cache.size(), test::canary)) &&
        test::bits_equal(value_cache, std::vector<float>(value_cache.size(), test::canary)) && lengths[0] == 10 &&
        lengths[1] == 30;
  }
};

}  // namespace

TEST_CASE("kv cache: in pages, the new rows at their places, and nothing else", "[right][kv_cache][pages]") {
  test::Random random(76);
  Cache c(random);
  c.table[3] = -1;  // entries that are not written need not be good
  REQUIRE(std::string(attn::append(c.args).message()) == "");
  CHECK(c.lengths[0] == 40);
  CHECK(c.lengths[1] == 32);
  std::vector<float> want_keys(c.key_cache.size(), test::canary), want_values(c.value_cache.size(), test::canary);
  const int64_t used[] = {10, 30};
  for (int64_t b = 0; b < 2; ++b)
    for (int64_t h = 0; h < c.heads; ++h)
      for (int64_t r = 0; r < c.new_lengths[b]; ++r) {
        const int64_t j = used[b] + r, page = c.table[static_cast<std::size_t>(b * 3 + j / 16)];
        const int64_t from = (b * c.heads + h) * 30 + r, to = (page * c.heads + h) * 16 + j % 16;
        std::copy_n(c.keys.begin() + from * 4, 4, want_keys.begin() + to * 4);
        std::copy_n(c.values.begin() + from * 5, 5, want_values.begin() + to * 5);
      }
  CHECK(test::bits_difference(c.key_cache, want_keys) == "");
  CHECK(test::bits_difference(c.value_cache, want_values) == "");
}

TEST_CASE("kv cache: in pages, bad arguments are named and nothing is written", "[right][kv_cache][pages][error]") {
  const struct {
    const char *field, *value;
    std::function<void(Cache&)> set;
  } faults[] = {
      {"page_length", "24", [](Cache& c) { c.args.page_length = 24; }},
      {"page_length", "16",
       [](Cache& c) {
         c.args.page_table = nullptr;
         c.args.page_table_stride = c.args.page_count = 0;
       }},
      {"page_count", "-2", [](Cache& c) { c.args.page_count = -2; }},
      {"capacity", "49", [](Cache& c) { c.args.capacity = 49; }},
      {"capacity", "32", [](Cache& c) { c.args.page_table_stride = 2; }},
      {"page_table[0][0]", "got -1", [](Cache& c) { c.table[0] = -1; }},
      {"page_table[0][2]", "got 7", [](Cache& c) { c.table[2] = 7; }},
      {"page_table[0][2]", "[0][1]", [](Cache& c) { c.table[2] = c.table[1]; }},
      {"page_table[1][1]", "[0][0]", [](Cache& c) { c.table[4] = c.table[0]; }},
      {"key_cache", "page_table",
       [](Cache& c) { c.args.page_table = reinterpret_cast<const std::int32_t*>(c.key_cache.data() + 3); }},
      {"lengths", "page_table", [](Cache& c) { c.args.page_table = reinterpret_cast<const std::int32_t*>(c.lengths); }},
  };
  for (const auto& fault : faults) {
    test::Random random(77);
    Cache c(random);
    fault.set(c);
    const attn::Status status = attn::append(c.args);
    INFO(fault.field << " " << fault.value << ": " << status.message());
    CHECK(status.code() == attn::StatusCode::invalid_argument);
    CHECK(std::string(status.message()).find(fault.field) != std::string::npos);
    CHECK(std::string(status.message()).find(fault.value) != std::string::npos);
    CHECK(c.untouched());
  }
}

TEST_CASE("kv cache: many pages written at once are told apart", "[right][kv_cache][pages][error]") {
  // Numbers on both sides of what is looked at together, and the same number twice at the end.
  constexpr int64_t pages = 140000;
  std::vector<float> row(16 * pages, 1.0f), cache(row.size(), test::canary);
  std::vector<std::int32_t> table(pages);
  for (int64_t i = 0; i < pages; ++i) table[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(pages - 1 - i);
  int64_t length = 0;
  attn::AppendArgs a;
  a.new_length = a.capacity = 16 * pages;
  a.head_dim = 1;
  a.key = attn::bhtd(row.data(), 1, 16 * pages, 1);
  a.key_cache = attn::bhtd(cache.data(), 1, 16, 1);
  a.page_table = table.data();
  a.page_table_stride = a.page_count = pages;
  a.page_length = 16;
  a.lengths = &length;
  table[pages - 2] = 70000;  // as [0][69999]
  const attn::Status status = attn::append(a);
  INFO(status.message());
  CHECK(std::string(status.message()).find("page_table[0][139998]") != std::string::npos);
  CHECK(std::string(status.message()).find("[0][69999]") != std::string::npos);
  CHECK(length == 0);
  table[pages - 2] = 1;
  CHECK(attn::append(a).ok());
  CHECK(std::count(cache.begin(), cache.end(), 1.0f) == 16 * pages);
}

TEST_CASE("kv cache: decoding token by token into pages is prefill to the last bit", "[right][kv_cache][pages][bits]") {
  const DType type = GENERATE(DType::f32, DType::bf16);
  const int64_t page = GENERATE(16, 128);
  constexpr int64_t heads = 4, kv_heads = 2, length = 530, dim = 40, value_dim = 24;
  test::Random random(78);
  test::Problem prefill({1, heads, kv_heads, length, length, dim, value_dim}, random);
  prefill.args.path = attn::Path::streaming;
  prefill.args.causal = true;
  const int64_t count = (length + page - 1) / page;
  const std::size_t size = type == DType::f32 ? 4 : 2;
  std::vector<unsigned char> keys(static_cast<std::size_t>(count * kv_heads * page * dim) * size),
      values(static_cast<std::size_t>(count * kv_heads * page * value_dim) * size);
  std::vector<std::int32_t> table;
  for (int64_t i = 0; i < count; ++i) table.push_back(static_cast<std::int32_t>((i * 7 + 3) % count));
  if (count % 7 == 0) std::iota(table.begin(), table.end(), 0);

  int64_t used = 0;
  attn::AppendArgs append;
  append.kv_heads = kv_heads;
  append.capacity = length;
  append.head_dim = dim;
  append.value_dim = value_dim;
  append.key_cache = {keys.data(), type, kv_heads * page * dim, page * dim, dim};
  append.value_cache = {values.data(), type, kv_heads * page * value_dim, page * value_dim, value_dim};
  append.key = prefill.args.key;
  append.value = prefill.args.value;
  append.page_table = table.data();
  append.page_table_stride = append.page_count = count;
  append.page_length = page;
  append.lengths = &used;

  attn::AttentionArgs a = prefill.args;
  a.key = append.key_cache;
  a.value = append.value_cache;
  a.page_table = table.data();
  a.page_table_stride = a.page_count = count;
  a.page_length = page;
  a.key_length = length;
  a.key_lengths = &used;
  std::vector<float> decoded(prefill.output.size(), test::canary);
  for (int64_t t = 0; t < length;) {
    const int64_t n = std::min<int64_t>(t < 6 ? 1 : t < 40 ? 17 : t < 200 ? 80 : 1, length - t);
    append.new_length = n;
    append.key.data = prefill.k.data() + t * dim;
    append.value.data = prefill.v.data() + t * value_dim;
    REQUIRE(attn::append(append).ok());
    a.query_length = n;
    a.query.data = prefill.q.data() + t * dim;
    a.output.data = decoded.data() + t * value_dim;
    REQUIRE(std::string(attn::attention(a).message()) == "");
    t += n;
  }
  a.query_length = length;
  a.query.data = prefill.q.data();
  a.output.data = prefill.output.data();
  REQUIRE(attn::attention(a).ok());
  CHECK(test::bits_difference(decoded, prefill.output) == "");
}

TEST_CASE("kv cache: pages without number, of which one is written", "[right][kv_cache][pages]") {
  const std::int32_t table[] = {2147483647};
  int64_t length = 0;
  attn::AppendArgs a;  // without columns no page needs memory
  a.new_length = 1;
  a.capacity = 16;
  a.page_table = table;
  a.page_table_stride = 1;
  a.page_count = int64_t{1} << 50;
  a.page_length = 16;
  a.lengths = &length;
  CHECK(std::string(attn::append(a).message()) == "");
  CHECK(length == 1);
}
