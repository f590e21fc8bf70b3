// P7 of int8 keys and values: each rule names argument and value, and nothing is written.
#include <algorithm>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "attn/attention.hpp"
#include "attn/kv_cache.hpp"
#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/options.hpp"
#include "support/paths.hpp"

namespace {

using attn::AppendArgs;
using attn::AttentionArgs;
using attn::DType;
using attn::StatusCode;
using std::int64_t;

// Addresses may follow.
bool begins(const attn::Status& status, const std::string& message) {
  const std::string got = status.message();
  return got == message || got.compare(0, message.size() + 2, message + ": ") == 0;
}

struct Fault {
  const char* message;
  std::function<void(AttentionArgs&, test::OptionMemory&)> set;
};

void check(const char* option_name, const std::vector<Fault>& faults, attn::Path path) {
  bool found = false;
  for (const test::Option& option : test::options()) {
    if (std::string(option.name) != option_name) continue;
    found = true;
    for (const Fault& fault : faults) {
      test::OptionMemory memory(3, 4);
      test::Problem p(test::option_shape(3, 4));
      option.set(p, memory);
      p.args.path = path;
      REQUIRE(attn::attention(p.args).ok());
      std::fill(p.output.begin(), p.output.end(), test::canary);
      fault.set(p.args, memory);
      const attn::Status status = attn::attention(p.args);
      INFO(status.message());
      CHECK(begins(status, fault.message));
      CHECK(status.code() == StatusCode::invalid_argument);
      CHECK(test::bits_equal(p.output, std::vector<float>(p.output.size(), test::canary)));
    }
  }
  REQUIRE(found);
}

}  // namespace

TEST_CASE("int8: bad arguments of attention are named", "[refused][int8][error]") {
  const attn::Path path = GENERATE(from_range(test::paths()));
  check(
      "i8",
      {{"key_scales is null, but key.dtype is i8 (3)",
        [](AttentionArgs& a, test::OptionMemory&) { a.key_scales.data = nullptr; }},
       {"value_scales is null, but value.dtype is i8 (3)",
        [](AttentionArgs& a, test::OptionMemory&) { a.value_scales.data = nullptr; }},
       {"query.dtype must be f32 (0), f16 (1) or bf16 (2), got 3",
        [](AttentionArgs& a, test::OptionMemory&) { a.query.dtype = DType::i8; }},
       {"output.dtype must be f32 (0), f16 (1) or bf16 (2), got 4",
        [](AttentionArgs& a, test::OptionMemory&) { a.output.dtype = DType::q8_0; }},
       {"bias.dtype must be f32 (0), f16 (1) or bf16 (2), got 3",
        [](AttentionArgs& a, test::OptionMemory& m) { a.bias = {m.bias.data(), DType::i8, 0, 0, 0, 1, nullptr}; }}},
      path);
  check(
      "i8 values",
      {{"key_scales must be null where key.dtype is not i8 (3), got key.dtype 0",
        [](AttentionArgs& a, test::OptionMemory& m) { a.key_scales.data = m.key_scales.data(); }}},
      path);
  check(
      "q8_0",
      {{"value_scales must be null where value.dtype is not i8 (3), got value.dtype 4",
        [](AttentionArgs& a, test::OptionMemory& m) { a.value_scales.data = m.key_scales.data(); }},
       {"head_dim must be a multiple of 32 for q8_0, got 33",
        [](AttentionArgs& a, test::OptionMemory&) { a.head_dim = 33; }},
       {"value_dim must be a multiple of 32 for q8_0, got 31",
        [](AttentionArgs& a, test::OptionMemory&) { a.value_dim = 31; }},
       {"key.row_stride must be a multiple of 32 for q8_0, got 65",
        [](AttentionArgs& a, test::OptionMemory&) { a.key.row_stride = 65; }},
       {"value.head_stride must be a multiple of 32 for q8_0, got -1",
        [](AttentionArgs& a, test::OptionMemory&) { a.value.head_stride = -1; }},
       {"value.batch_stride must be a multiple of 32 for q8_0, got 16",
        [](AttentionArgs& a, test::OptionMemory&) { a.value.batch_stride = 16; }},
       {"output overlaps key",
        [](AttentionArgs& a, test::OptionMemory&) { a.key.data = static_cast<char*>(a.output.data) + 4; }}},
      path);
}

TEST_CASE("int8: a stride that is never used may be any", "[refused][int8]") {
  const std::vector<attn::q8_0> blocks(2);
  const std::vector<float> query(32, 1.0f);
  std::vector<float> output(32);
  AttentionArgs a;
  a.query_length = a.key_length = 1;
  a.head_dim = a.value_dim = 32;
  a.query = attn::bhtd(query.data(), 1, 1, 32);
  a.key = {blocks.data(), DType::q8_0, 5, -7, 999};
  a.value = {blocks.data() + 1, DType::q8_0, 999, 3, 1};
  a.output = attn::bhtd(output.data(), 1, 1, 32);
  CHECK(std::string(attn::attention(a).message()) == "");
}

TEST_CASE("int8: bad arguments of append are named", "[refused][int8][error]") {
  std::vector<float> rows(64, 1.0f), scales(4, test::canary);
  std::vector<std::int8_t> integers(64, 7);
  std::vector<attn::q8_0> blocks(4);
  int64_t length = 0;
  AppendArgs good;
  good.new_length = 1;
  good.capacity = 2;
  good.head_dim = good.value_dim = 32;
  good.key = good.value = attn::bhtd(static_cast<const float*>(rows.data()), 1, 1, 32);
  good.key_cache = attn::bhtd(integers.data(), 1, 2, 32);
  good.value_cache = attn::bhtd(blocks.data(), 1, 2, 32);
  good.key_scales = {scales.data(), 0, 0, 1};
  good.lengths = &length;
  const struct {
    const char* message;
    StatusCode code;
    std::function<void(AppendArgs&)> set;
  } faults[] = {
      {"key_scales is null, but key_cache.dtype is i8 (3)", StatusCode::invalid_argument,
       [](AppendArgs& a) { a.key_scales.data = nullptr; }},
      {"value_scales must be null where value_cache.dtype is not i8 (3), got value_cache.dtype 4",
       StatusCode::invalid_argument, [](AppendArgs& a) { a.value_scales = a.key_scales; }},
      {"value_dim must be a multiple of 32 for q8_0, got 30", StatusCode::invalid_argument,
       [](AppendArgs& a) { a.value_dim = 30; }},
      {"value_cache.row_stride must be a multiple of 32 for q8_0, got 33", StatusCode::invalid_argument,
       [](AppendArgs& a) { a.value_cache.row_stride = 33; }},
      {"key.dtype is i8 (3): rows with scales are not copied, but made of f32 (0), f16 (1) or bf16 (2)",
       StatusCode::unsupported, [](AppendArgs& a) { a.key.dtype = DType::i8; }},
      {"key_cache.dtype is 3: rows of type 4 are copied to a cache of that type only", StatusCode::unsupported,
       [](AppendArgs& a) { a.key.dtype = DType::q8_0; }},
      {"key_scales.row_stride makes elements overlap, got 0", StatusCode::invalid_argument,
       [](AppendArgs& a) { a.key_scales.row_stride = 0; }},
      {"key_scales overlaps key", StatusCode::invalid_argument,
       [&](AppendArgs& a) { a.key_scales.data = rows.data() + 31; }},
  };
  const std::vector<attn::q8_0> before = blocks;
  for (const auto& fault : faults) {
    AppendArgs a = good;
    fault.set(a);
    const attn::Status status = attn::append(a);
    INFO(status.message());
    CHECK(begins(status, fault.message));
    CHECK(status.code() == fault.code);
    CHECK(length == 0);
    CHECK(scales == std::vector<float>(4, test::canary));
    CHECK(integers == std::vector<std::int8_t>(64, 7));
    CHECK(std::memcmp(blocks.data(), before.data(), blocks.size() * sizeof(attn::q8_0)) == 0);
  }
  CHECK(std::string(attn::append(good).message()) == "");
}

TEST_CASE("int8: the strides of blocks in pages and of packed rows are those that are used", "[refused][int8][pages]") {
  std::vector<attn::q8_0> blocks(32);
  const std::vector<float> query(32, 1.0f);
  const std::int32_t table[] = {1};
  float output[32];
  AttentionArgs a;
  a.query_length = 1;
  a.key_length = 5;
  a.head_dim = a.value_dim = 32;
  a.query = attn::bhtd(query.data(), 1, 1, 32);
  a.key = a.value = {blocks.data(), DType::q8_0, 513, 0, 32};
  a.output = attn::bhtd(output, 1, 1, 32);
  CHECK(std::string(attn::attention(a).message()) == "");  // one sequence: its stride is never used
  a.page_table = table;
  a.page_table_stride = 1;
  a.page_count = 2;
  a.page_length = 16;
  CHECK(begins(attn::attention(a), "key.batch_stride must be a multiple of 32 for q8_0, got 513"));
  a.key.batch_stride = a.value.batch_stride = 512;
  CHECK(std::string(attn::attention(a).message()) == "");

  a.page_table = nullptr;
  a.page_table_stride = a.page_count = a.page_length = 0;
  const std::vector<float> queries(64, 1.0f);
  std::vector<float> outputs(64);
  const int64_t cu[] = {0, 1, 2}, cu_keys[] = {0, 3, 5};
  a.batch = 2;
  a.key_length = 3;
  a.cu_query_lengths = cu;
  a.cu_key_lengths = cu_keys;
  a.query.data = const_cast<float*>(queries.data());
  a.output.data = outputs.data();
  a.key.batch_stride = a.value.batch_stride = 7;
  CHECK(std::string(attn::attention(a).message()) == "");
}
