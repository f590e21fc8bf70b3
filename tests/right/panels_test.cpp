// Keys in panels: both paths against the oracle, a cache that append() fills, keys_to_panels().
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "attn/attention.hpp"
#include "attn/kv_cache.hpp"
#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/isas.hpp"
#include "support/oracle.hpp"
#include "support/paths.hpp"
#include "support/random_problem.hpp"

namespace {

using attn::DType;
using std::int64_t;

std::size_t bytes_of(DType type) { return type == DType::f32 ? 4 : type == DType::i8 ? 1 : 2; }

// Keys [batch, heads, capacity, dim] in panels, every byte 0xff: a NaN of each type.
struct PanelCache {
  PanelCache(DType type, int64_t batch, int64_t heads, int64_t capacity, int64_t dim)
      : heads(heads),
        dim(dim),
        bytes(static_cast<std::size_t>(batch * heads * attn::panel_rows(capacity) * dim) * bytes_of(type), 0xff),
        output{
            bytes.data(), type, heads * attn::panel_rows(capacity) * dim, attn::panel_rows(capacity) * dim, 16 * dim} {}
  PanelCache(const PanelCache&) = delete;

  double at(int64_t b, int64_t h, int64_t j, int64_t d) const {
    return test::element_of(output, b, h, j / 16, 16 * d + j % 16);
  }
  int64_t heads, dim;
  std::vector<unsigned char> bytes;
  attn::Output output;
};

}  // namespace

TEST_CASE("panels: mixtures of all options agree with the oracle", "[right][panels][mixtures]") {
  const attn::Path path = GENERATE(from_range(test::paths()));
  for (int round = 0; round < test::rounds(1000); ++round) {
    test::Random random(static_cast<std::uint64_t>(25000 + round));
    test::RandomProblem p(random, path, round % 30 == 0);
    if (round % 2 == 1) p.add_structure(random);
    p.lay_in_panels(random);
    INFO("round " << round << ": " << test::describe(p.args()));
    REQUIRE(p.check() == "");
  }
}

TEST_CASE("panels: the size of a cache", "[right][panels]") {
  CHECK(attn::panel_rows(0) == 0);
  CHECK(attn::panel_rows(1) == 16);
  CHECK(attn::panel_rows(16) == 16);
  CHECK(attn::panel_rows(17) == 32);
  float x = 0;
  const attn::Output o = attn::key_panels(&x, 3, 17, 5);
  CHECK(o.batch_stride == 3 * 32 * 5);
  CHECK(o.head_stride == 32 * 5);
  CHECK(o.row_stride == 16 * 5);
  const attn::Tensor t = attn::key_panels(static_cast<const float*>(&x), 3, 17, 5);
  CHECK(t.data == &x);
  CHECK((t.batch_stride == o.batch_stride && t.head_stride == o.head_stride && t.row_stride == o.row_stride));
}

TEST_CASE("panels: append writes the new keys and nothing else", "[right][panels][kv_cache]") {
  const DType from = GENERATE(DType::f32, DType::f16, DType::bf16),
              to = GENERATE(DType::f32, DType::f16, DType::bf16, DType::i8);
  if (from != DType::f32 && from != to && to != DType::i8) return;  // refused
  constexpr int64_t batch = 2, heads = 3, capacity = 45, dim = 300, count = 20;  // narrowed in steps of 256
  test::Random random(76);
  const std::vector<float> keys = random.normals(batch * heads * count * dim);
  std::vector<std::uint16_t> halves;
  for (const float x : keys) halves.push_back(test::to_half(x, from));
  for (const int64_t first : {0, 1, 15, 16, 17, 25}) {
    PanelCache cache(to, batch, heads, capacity, dim);
    int64_t lengths[] = {first, first + 1}, added[] = {count, 3};
    attn::AppendArgs a;
    a.batch = batch;
    a.kv_heads = heads;
    a.new_length = count;
    a.capacity = capacity;
    a.head_dim = dim;
    a.key = {
        from == DType::f32 ? static_cast<const void*>(keys.data()) : halves.data(), from, heads * count * dim,
        count * dim, dim};
    a.key_cache = cache.output;
    a.key_layout = attn::KeyLayout::panels;
    a.new_lengths = added;
    a.lengths = lengths;
    std::vector<float> scales(batch * heads * capacity, test::canary), scales_of_rows = scales;
    if (to == DType::i8) a.key_scales = {scales.data(), heads * capacity, capacity, 1};
    REQUIRE(attn::append(a).ok());
    CHECK(lengths[0] == first + count);
    CHECK(lengths[1] == first + 4);
    // The same rows in a cache of rows: conversion is that of rows.
    std::vector<unsigned char> rows(batch * heads * capacity * dim * bytes_of(to), 0xff);
    lengths[0] = first;
    lengths[1] = first + 1;
    a.key_layout = attn::KeyLayout::rows;
    a.key_cache = {rows.data(), to, heads * capacity * dim, capacity * dim, dim};
    if (to == DType::i8) a.key_scales.data = scales_of_rows.data();
    REQUIRE(attn::append(a).ok());
    CHECK(test::bits_equal(scales, scales_of_rows));
    for (int64_t b = 0; b < batch; ++b)
      for (int64_t h = 0; h < heads; ++h)
        for (int64_t j = 0; j < attn::panel_rows(capacity); ++j)
          for (int64_t d = 0; d < dim; ++d) {
            const int64_t r = j - first - b;
            const bool fresh = r >= 0 && r < added[b];
            const std::size_t size = bytes_of(to);
            const auto place = [&](int64_t element) { return static_cast<std::size_t>(element) * size; };
            const unsigned char* const got = cache.bytes.data() +
                place(((b * heads + h) * attn::panel_rows(capacity) + j / 16 * 16) * dim + 16 * d + j % 16);
            const unsigned char none[] = {0xff, 0xff, 0xff, 0xff};
            const unsigned char* const want =
                fresh ? rows.data() + place(((b * heads + h) * capacity + j) * dim + d) : none;
            if (std::memcmp(got, want, size) != 0) FAIL("key " << j << " of head " << h << ", column " << d);
          }
  }
}

TEST_CASE("panels: decoding token by token is prefill to the last bit", "[right][panels][kv_cache][bits]") {
  const DType type = GENERATE(DType::f32, DType::f16, DType::bf16);
  constexpr int64_t heads = 4, kv_heads = 2, length = 530, dim = 40;
  test::Random random(77);
  test::Problem prefill({1, heads, kv_heads, length, length, dim, dim}, random);
  prefill.args.causal = true;
  prefill.args.path = attn::Path::streaming;
  PanelCache keys(type, 1, kv_heads, length, dim);
  std::vector<float> values(prefill.v.size()), decoded(prefill.output.size());
  int64_t used = 0;
  attn::AppendArgs append;
  append.kv_heads = kv_heads;
  append.capacity = length;
  append.head_dim = append.value_dim = dim;
  append.key_cache = keys.output;
  append.key_layout = attn::KeyLayout::panels;
  append.value_cache = attn::bhtd(values.data(), kv_heads, length, dim);
  append.lengths = &used;
  for (int64_t t = 0; t < length;) {
    const int64_t n = std::min<int64_t>(t < 20 ? 1 : t < 40 ? 17 : t < 400 ? 80 : 1, length - t);
    append.new_length = n;
    append.key = prefill.args.key;
    append.value = prefill.args.value;
    append.key.data = prefill.k.data() + t * dim;
    append.value.data = prefill.v.data() + t * dim;
    REQUIRE(attn::append(append).ok());
    attn::AttentionArgs one = prefill.args;
    one.key = keys.output;
    one.key_layout = attn::KeyLayout::panels;
    one.value = append.value_cache;
    one.key_lengths = &used;
    one.query_length = n;
    one.query.data = prefill.q.data() + t * dim;
    one.output.data = decoded.data() + t * dim;
    REQUIRE(attn::attention(one).ok());
    t += n;
  }
  // The same keys at once, in rows.
  std::vector<unsigned char> rows(prefill.k.size() * bytes_of(type));
  used = 0;
  append.new_length = length;
  append.key = prefill.args.key;
  append.value = prefill.args.value;
  append.key_layout = attn::KeyLayout::rows;
  append.key_cache = {rows.data(), type, kv_heads * length * dim, length * dim, dim};
  REQUIRE(attn::append(append).ok());
  prefill.args.key = append.key_cache;
  REQUIRE(attn::attention(prefill.args).ok());
  CHECK(test::bits_difference(decoded, prefill.output) == "");
}

TEST_CASE("panels: keys_to_panels copies keys, and only these", "[right][panels]") {
  const DType type = GENERATE(DType::f32, DType::f16, DType::bf16, DType::i8);
  for (const int64_t keys : {0, 1, 15, 16, 17, 40}) {
    constexpr int64_t batch = 2, heads = 3, dim = 5, pitch = 7;  // rows with gaps, heads inside the rows
    test::Random random(78);
    std::vector<float> rows = random.normals(batch * 40 * heads * pitch);
    std::vector<std::uint16_t> halves;
    for (const float x : rows) halves.push_back(test::to_half(x, type));
    std::vector<std::int8_t> integers;
    for (std::size_t i = 0; i < rows.size(); ++i) integers.push_back(static_cast<std::int8_t>(i % 127));
    const attn::Tensor from = {
        type == DType::f32      ? static_cast<const void*>(rows.data())
            : type == DType::i8 ? static_cast<const void*>(integers.data())
                                : halves.data(),
        type, 40 * heads * pitch, pitch, heads * pitch};
    PanelCache cache(type, batch, heads, 40, dim);
    REQUIRE(attn::keys_to_panels(batch, heads, keys, dim, from, cache.output).ok());
    for (int64_t b = 0; b < batch; ++b)
      for (int64_t h = 0; h < heads; ++h)
        for (int64_t j = 0; j < 48; ++j)
          for (int64_t d = 0; d < dim; ++d) {
            const double got = cache.at(b, h, j, d);
            CAPTURE(keys, b, h, j, d);
            if (j < keys) REQUIRE(got == test::element_of(from, b, h, j, d));
            if (j >= keys) REQUIRE((got != got || got == -1));  // all bits 1, as i8
          }
  }
}

TEST_CASE("panels: bad arguments of keys_to_panels are named, nothing is written", "[right][panels][error]") {
  struct Call {
    int64_t batch = 2, heads = 2, keys = 20, dim = 4;
    std::vector<float> memory = std::vector<float>(2 * 2 * 32 * 4, test::canary), rows = memory;
    attn::Tensor from = attn::bhtd(static_cast<const float*>(rows.data()), 2, 20, 4);
    attn::Output to = attn::key_panels(memory.data(), 2, 20, 4);
  };
  const struct {
    const char *name, *value;
    attn::StatusCode code;
    std::function<void(Call&)> set;
  } faults[] = {
      {"batch", "-1", attn::StatusCode::invalid_argument, [](Call& c) { c.batch = -1; }},
      {"kv_heads", "-2", attn::StatusCode::invalid_argument, [](Call& c) { c.heads = -2; }},
      {"key_length", "-3", attn::StatusCode::invalid_argument, [](Call& c) { c.keys = -3; }},
      {"head_dim", "-4", attn::StatusCode::invalid_argument, [](Call& c) { c.dim = -4; }},
      {"rows", "memory", attn::StatusCode::invalid_argument, [](Call& c) { c.dim = int64_t{1} << 60; }},
      {"rows.dtype", "9", attn::StatusCode::invalid_argument, [](Call& c) { c.from.dtype = static_cast<DType>(9); }},
      {"rows.dtype", "q8_0", attn::StatusCode::unsupported, [](Call& c) { c.from.dtype = c.to.dtype = DType::q8_0; }},
      {"panels.dtype", "1", attn::StatusCode::invalid_argument, [](Call& c) { c.to.dtype = DType::f16; }},
      {"rows.data", "null", attn::StatusCode::invalid_argument, [](Call& c) { c.from.data = nullptr; }},
      {"panels.data", "null", attn::StatusCode::invalid_argument, [](Call& c) { c.to.data = nullptr; }},
      {"panels.row_stride", "63", attn::StatusCode::invalid_argument, [](Call& c) { c.to.row_stride = 63; }},
      {"panels", "rows", attn::StatusCode::invalid_argument, [](Call& c) { c.from.data = c.memory.data() + 500; }},
  };
  for (const auto& fault : faults) {
    Call c;
    fault.set(c);
    const attn::Status status = attn::keys_to_panels(c.batch, c.heads, c.keys, c.dim, c.from, c.to);
    INFO(fault.name << " " << fault.value << ": " << status.message());
    CHECK(status.code() == fault.code);
    CHECK(std::string(status.message()).find(fault.name) != std::string::npos);
    CHECK(std::string(status.message()).find(fault.value) != std::string::npos);
    CHECK(test::bits_equal(c.memory, std::vector<float>(c.memory.size(), test::canary)));
  }
  // The last panel is whole: its columns behind the keys are memory of the tensor, too.
  Call c;
  c.from.data = c.memory.data() + c.memory.size() - 1;
  c.batch = c.heads = c.keys = c.dim = 1;
  CHECK(
      attn::keys_to_panels(1, 1, 1, 1, c.from, {c.memory.data() + c.memory.size() - 16, DType::f32, 0, 0, 0}).code() ==
      attn::StatusCode::invalid_argument);
}
