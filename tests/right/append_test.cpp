// append(): new rows of keys and values into the caller's cache; and decoding with it, which equals prefill to the bit.
#include <algorithm>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "attn/attention.hpp"
#include "attn/kv_cache.hpp"
#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/dense.hpp"
#include "support/problem.hpp"
#include "support/random.hpp"

namespace {

using attn::DType;
using std::int64_t;

// A cache of [2, 3, 8] rows, 4 floats of key and 5 of value, with gaps between the rows, and up to 3 new rows each.
struct Cache {
  static constexpr int64_t batch = 2, heads = 3, capacity = 8, pitch = 7;
  std::vector<float> keys, values, key_cache, value_cache;
  int64_t lengths[2] = {1, 5}, new_lengths[2] = {3, 2};
  attn::AppendArgs args;

  explicit Cache(test::Random& random)
      : keys(random.normals(batch * heads * 3 * 4)),
        values(random.normals(batch * heads * 3 * 5)),
        key_cache(batch * heads * capacity * pitch, test::canary),
        value_cache(key_cache) {
    args.batch = batch;
    args.kv_heads = heads;
    args.new_length = 3;
    args.capacity = capacity;
    args.head_dim = 4;
    args.value_dim = 5;
    args.key = attn::bhtd(keys.data(), heads, 3, 4);
    args.value = attn::bthd(values.data(), heads, 3, 5);
    args.key_cache = {key_cache.data(), DType::f32, heads * capacity * pitch, capacity * pitch, pitch};
    args.value_cache = {value_cache.data(), DType::f32, heads * capacity * pitch, capacity * pitch, pitch};
    args.lengths = lengths;
  }

  bool untouched() const {
    return test::bits_equal(key_cache, std::vector<float>(key_cache.size(), test::canary)) &&
        test::bits_equal(value_cache, std::vector<float>(value_cache.size(), test::canary)) && lengths[0] == 1 &&
        lengths[1] == 5;
  }
};

}  // namespace

TEST_CASE("kv cache: the new rows, at each sequence's place, and nothing else", "[right][kv_cache]") {
  test::Random random(71);
  for (const bool ragged : {false, true}) {
    Cache c(random);
    if (ragged) c.args.new_lengths = c.new_lengths;
    REQUIRE(attn::append(c.args).ok());
    const int64_t used[] = {1, 5}, added[] = {3, ragged ? 2 : 3};
    CHECK(c.lengths[0] == used[0] + added[0]);
    CHECK(c.lengths[1] == used[1] + added[1]);
    const test::Dense key_cache(c.key_cache, 2, 3, 8, 7), value_cache(c.value_cache, 2, 3, 8, 7);
    const test::Dense keys(c.keys, 2, 3, 3, 4), values(c.values, 2, 3, 3, 5);  // of values, the heads stand in the rows
    for (int64_t b = 0; b < 2; ++b)
      for (int64_t h = 0; h < 3; ++h)
        for (int64_t j = 0; j < 8; ++j)
          for (int64_t d = 0; d < 7; ++d) {
            const int64_t r = j - used[b];
            const bool fresh = r >= 0 && r < added[b];
            CAPTURE(b, h, j, d, ragged);
            CHECK(key_cache(b, h, j, d) == (fresh && d < 4 ? keys(b, h, r, d) : test::canary));
            CHECK(value_cache(b, h, j, d) == (fresh && d < 5 ? values(b, r, h, d) : test::canary));
          }
  }
}

TEST_CASE("kv cache: float32 rows are rounded to the type of the cache, halves are copied", "[right][kv_cache]") {
  float rows[] = {1.0f, -2.5f, 1.00390625f, 65519.0f, 65520.0f, 1e-8f};
  std::uint16_t cache[2][6] = {}, copy[6] = {};
  int64_t lengths[] = {0};
  attn::AppendArgs a;
  a.new_length = a.capacity = 1;
  a.head_dim = a.value_dim = 6;
  a.key = a.value = attn::bhtd(rows, 1, 1, 6);
  a.key_cache = attn::bhtd(reinterpret_cast<attn::f16*>(cache[0]), 1, 1, 6);
  a.value_cache = attn::bhtd(reinterpret_cast<attn::bf16*>(cache[1]), 1, 1, 6);
  a.lengths = lengths;
  REQUIRE(attn::append(a).ok());
  const std::uint16_t f16[] = {0x3c00, 0xc100, 0x3c04, 0x7bff, 0x7c00, 0x0000};
  const std::uint16_t bf16[] = {0x3f80, 0xc020, 0x3f80, 0x4780, 0x4780, 0x322c};
  CHECK(std::memcmp(cache[0], f16, sizeof f16) == 0);
  CHECK(std::memcmp(cache[1], bf16, sizeof bf16) == 0);

  lengths[0] = 0;
  a.value_dim = 0;
  a.value_cache = {};
  a.key = attn::bhtd(reinterpret_cast<const attn::f16*>(cache[0]), 1, 1, 6);
  a.key_cache = attn::bhtd(reinterpret_cast<attn::f16*>(copy), 1, 1, 6);
  REQUIRE(attn::append(a).ok());
  CHECK(std::memcmp(copy, f16, sizeof f16) == 0);
}

TEST_CASE("kv cache: bad arguments are named and nothing is written", "[right][kv_cache][error]") {
  using attn::AppendArgs;
  static const int64_t too_many[] = {3, 4}, negative[] = {3, -1};
  const struct {
    const char *field, *value;
    std::function<void(Cache&)> set;
  } faults[] = {
      {"batch", "-1", [](Cache& c) { c.args.batch = -1; }},
      {"kv_heads", "-2", [](Cache& c) { c.args.kv_heads = -2; }},
      {"new_length", "-3", [](Cache& c) { c.args.new_length = -3; }},
      {"capacity", "-4", [](Cache& c) { c.args.capacity = -4; }},
      {"head_dim", "-5", [](Cache& c) { c.args.head_dim = -5; }},
      {"value_dim", "-6", [](Cache& c) { c.args.value_dim = -6; }},
      {"lengths", "null", [](Cache& c) { c.args.lengths = nullptr; }},
      {"capacity", "sequence 1", [](Cache& c) { c.args.capacity = 7; }},
      {"new_lengths[1]", "4", [](Cache& c) { c.args.new_lengths = too_many; }},
      {"new_lengths[1]", "-1", [](Cache& c) { c.args.new_lengths = negative; }},
      {"key.dtype", "8", [](Cache& c) { c.args.key.dtype = static_cast<DType>(8); }},
      {"value_cache.dtype", "7", [](Cache& c) { c.args.value_cache.dtype = static_cast<DType>(7); }},
      {"key_layout", "5", [](Cache& c) { c.args.key_layout = static_cast<attn::KeyLayout>(5); }},
      {"key_cache.head_stride", "56", [](Cache& c) { c.args.key_layout = attn::KeyLayout::panels; }},
      {"key.data", "null", [](Cache& c) { c.args.key.data = nullptr; }},
      {"value_cache.data", "null", [](Cache& c) { c.args.value_cache.data = nullptr; }},
      {"key_cache.row_stride", "3", [](Cache& c) { c.args.key_cache.row_stride = 3; }},
      {"key_cache", "key", [](Cache& c) { c.args.key.data = c.key_cache.data() + 3; }},
      {"value_cache", "key_cache", [](Cache& c) { c.args.value_cache.data = c.key_cache.data() + 1; }},
      {"lengths", "value_cache", [](Cache& c) { c.args.lengths = reinterpret_cast<int64_t*>(c.value_cache.data()); }},
  };
  for (const auto& fault : faults) {
    test::Random random(72);
    Cache c(random);
    fault.set(c);
    if (c.args.lengths && c.args.lengths != c.lengths) c.value_cache.assign(c.value_cache.size(), 0.0f);
    const attn::Status status = attn::append(c.args);
    INFO(fault.field << " " << fault.value << ": " << status.message());
    CHECK(status.code() == attn::StatusCode::invalid_argument);
    CHECK(std::string(status.message()).find(fault.field) != std::string::npos);
    CHECK(std::string(status.message()).find(fault.value) != std::string::npos);
    if (c.args.lengths == c.lengths) CHECK(c.untouched());
  }
  test::Random random(73);
  Cache c(random);
  c.lengths[1] = 9;
  CHECK(std::string(attn::append(c.args).message()).find("lengths[1]") != std::string::npos);
  c.lengths[1] = 5;
  c.args.key.dtype = DType::f16;
  CHECK(attn::append(c.args).code() == attn::StatusCode::unsupported);
  CHECK(c.untouched());
}

TEST_CASE("kv cache: sizes without elements cost nothing", "[right][kv_cache]") {
  constexpr int64_t many = int64_t{1} << 50;
  int64_t length = 3;
  attn::AppendArgs a;
  a.kv_heads = many;
  a.capacity = 8;
  a.lengths = &length;
  CHECK(attn::append(a).ok());
  CHECK(length == 3);
  a.new_length = 2;  // rows of no columns
  CHECK(attn::append(a).ok());
  CHECK(length == 5);
  a.batch = int64_t{1} << 62;
  CHECK(attn::append(a).code() == attn::StatusCode::invalid_argument);
  CHECK(length == 5);
}

TEST_CASE("kv cache: decoding token by token is prefill to the last bit", "[right][kv_cache][bits]") {
  const DType type = GENERATE(DType::f32, DType::f16, DType::bf16);
  constexpr int64_t batch = 2, heads = 4, kv_heads = 2, length = 530, dim = 40, value_dim = 24;
  const int64_t counts[] = {length, 300};  // the second sequence ends earlier
  test::Random random(74);
  test::Problem prefill({batch, heads, kv_heads, length, length, dim, value_dim}, random);
  const std::size_t width = type == DType::f32 ? 4 : 2;
  std::vector<unsigned char> keys(prefill.k.size() * width), values(prefill.v.size() * width);

  attn::AttentionArgs a = prefill.args;
  a.path = attn::Path::streaming;
  a.causal = true;
  a.window_left = 400;
  a.key = {keys.data(), type, kv_heads * length * dim, length * dim, dim};
  a.value = {values.data(), type, kv_heads * length * value_dim, length * value_dim, value_dim};

  attn::AppendArgs append;
  append.batch = batch;
  append.kv_heads = kv_heads;
  append.capacity = length;
  append.head_dim = dim;
  append.value_dim = value_dim;
  append.key_cache = {keys.data(), type, a.key.batch_stride, a.key.head_stride, dim};
  append.value_cache = {values.data(), type, a.value.batch_stride, a.value.head_stride, value_dim};
  int64_t lengths[batch] = {}, new_lengths[batch] = {};
  append.lengths = lengths;
  append.new_lengths = new_lengths;

  std::vector<float> decoded(prefill.output.size(), test::canary);
  for (int64_t t = 0; t < length;) {
    const int64_t step = t < 6 ? 1 : t < 40 ? 17 : t < 200 ? 80 : 1;  // a few at once in between, as a prompt in chunks
    const int64_t n = std::min(step, length - t);
    for (int64_t b = 0; b < batch; ++b) new_lengths[b] = std::min(n, std::max<int64_t>(counts[b] - t, 0));
    append.new_length = n;
    append.key = prefill.args.key;
    append.value = prefill.args.value;
    append.key.data = prefill.k.data() + t * dim;
    append.value.data = prefill.v.data() + t * value_dim;
    REQUIRE(attn::append(append).ok());

    attn::AttentionArgs one = a;
    one.query_length = n;
    one.query.data = prefill.q.data() + t * dim;
    one.output.data = decoded.data() + t * value_dim;
    one.key_lengths = lengths;
    int64_t offsets[batch] = {t, t};
    one.alignment = attn::Alignment::given;
    one.query_offsets = offsets;
    REQUIRE(attn::attention(one).ok());
    t += n;
  }
  CHECK(lengths[0] == length);
  CHECK(lengths[1] == 300);

  a.key_lengths = counts;
  a.alignment = attn::Alignment::top_left;
  REQUIRE(attn::attention(a).ok());
  const test::Dense step_by_step(decoded, batch, heads, length, value_dim);
  const test::Dense at_once(prefill.output, batch, heads, length, value_dim);
  for (int64_t b = 0; b < batch; ++b)
    for (int64_t h = 0; h < heads; ++h)
      for (int64_t t = 0; t < counts[b]; ++t)
        for (int64_t e = 0; e < value_dim; ++e)
          REQUIRE(test::bits(step_by_step(b, h, t, e)) == test::bits(at_once(b, h, t, e)));
}
