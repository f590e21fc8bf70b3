// P1 of each option on its own: a stored hash of all results, which every instruction set and number of threads must
// give, few rows (which read K and V in place) and many. (streaming_test.cpp has the calls without options,
// mixtures_test.cpp the mixtures: if one of those is off, the one here that is off with it says why.)
//
// A hash of 0 is to be filled in: `attn_tests "option bits*"` prints what it is, once the result is right by the
// oracle.
#include <cinttypes>
#include <cstdio>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "attn/attention.hpp"
#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/isas.hpp"
#include "support/problem.hpp"

namespace {

using attn::AttentionArgs;
using attn::DType;
using std::int64_t;

// Two items, four heads over two, 600 keys: one block and a part of one.
constexpr int64_t batch = 2, heads = 4, kv_heads = 2, keys = 600, head_dim = 20, value_dim = 37;

// What the options read. Random draws are the same on every machine.
struct Memory {
  explicit Memory(int64_t rows) : rows(rows) {
    test::Random random(87);
    for (int64_t i = 0; i < heads * rows * keys; ++i) mask.push_back(random.integer(0, 2) != 0);
    bias = random.normals(static_cast<std::size_t>(heads * rows * keys));
    for (std::size_t i = 0; i < bias.size(); i += 17) bias[i] = -std::numeric_limits<float>::infinity();
    slopes = {0.5f, 0.25f, 0.125f, 0.0625f};
    sinks = {1.0f, -2.0f, 0.25f, -std::numeric_limits<float>::infinity()};
    // Around 1, of either sign, as either type.
    for (int64_t i = 0; i < batch * heads * keys * value_dim; ++i) {
      const int sign = random.flip() ? 0x8000 : 0;
      f16.push_back(static_cast<std::uint16_t>(sign | random.integer(0x3000, 0x3fff)));
      bf16.push_back(static_cast<std::uint16_t>(sign | random.integer(0x3e80, 0x3fff)));
    }
    cu_queries = {0, rows / 3, rows};
    cu_keys = {0, 530, keys};
    lengths = {571, 40};
  }
  int64_t rows;
  std::vector<std::uint8_t> mask;
  std::vector<float> bias, slopes, sinks;
  std::vector<std::uint16_t> f16, bf16;
  std::vector<int64_t> cu_queries, cu_keys, lengths;
};

void store_inputs(AttentionArgs& a, const std::vector<std::uint16_t>& halves, DType type) {
  a.query.data = a.key.data = a.value.data = halves.data();
  a.query.dtype = a.key.dtype = a.value.dtype = type;
}

struct Case {
  const char* name;
  std::uint64_t few, many;  // hashes, of 5 and 60 rows
  std::function<void(AttentionArgs&, const Memory&)> set;
  bool weights = false, halves_out = false;
};

const std::vector<Case>& cases() {
  static const std::vector<Case> list = {
      {"mask", 0x3c56b77e1e5bf764, 0xf2696100a6f6eb6f,
       [](AttentionArgs& a, const Memory& m) {
         a.mask = {m.mask.data(), 0, m.rows * keys, keys, 1};
       }},
      {"mask of keys", 0xcdb8b49bf397aac8, 0xb633f6df699bbd0f,
       [](AttentionArgs& a, const Memory& m) {
         a.mask = {m.mask.data(), 300, 0, 0, 1};
       }},
      {"bias", 0x8c00e0579baf99c1, 0x61c1ba51a5dcfd0b,
       [](AttentionArgs& a, const Memory& m) {
         a.bias = {m.bias.data(), 0, m.rows * keys, keys, 1};
       }},
      {"bias, transposed", 0x1d86da843e50629b, 0xdf10ff47a06c3f41,
       [](AttentionArgs& a, const Memory& m) {
         a.bias = {m.bias.data(), 0, 0, 1, m.rows};
       }},
      {"softcap", 0x093473a3b4cb094f, 0xb6566850b858e4cf, [](AttentionArgs& a, const Memory&) { a.softcap = 1.5f; }},
      {"alibi", 0xf7f16624af250ec9, 0xf95ee2c6076275a9,
       [](AttentionArgs& a, const Memory& m) { a.alibi_slopes = m.slopes.data(); }},
      {"sinks", 0x2f92772719db221d, 0xd12a25f82e714d28,
       [](AttentionArgs& a, const Memory& m) { a.sinks = m.sinks.data(); }},
      {"f16", 0xc703080a50425d3c, 0x0ac71a226d62fba8,
       [](AttentionArgs& a, const Memory& m) { store_inputs(a, m.f16, DType::f16); }},
      {"bf16", 0x4e47c95e83033ac7, 0x651e605ddaf0d177,
       [](AttentionArgs& a, const Memory& m) { store_inputs(a, m.bf16, DType::bf16); }},
      {"output in f16", 0x7045e9124001e5df, 0x022ebb2ca0761927,
       [](AttentionArgs& a, const Memory&) { a.output.dtype = DType::f16; }, false, true},
      {"output in bf16", 0x5ff4273ddc4e46bc, 0xa37274151226cc62,
       [](AttentionArgs& a, const Memory&) { a.output.dtype = DType::bf16; }, false, true},
      {"weights and their sums", 0x16a02063563b0941, 0xe8c7bb01fc231804, [](AttentionArgs&, const Memory&) {}, true},
      {"packed", 0x558bb7ece44a44da, 0x003db35863961046,
       [](AttentionArgs& a, const Memory& m) {
         a.cu_query_lengths = m.cu_queries.data(), a.cu_key_lengths = m.cu_keys.data();
       }},
      {"all together", 0x2cb77a1e26e4b8d3, 0xbd5e28756ce3b881,
       [](AttentionArgs& a, const Memory& m) {
         store_inputs(a, m.bf16, DType::bf16);
         a.mask = {m.mask.data(), 300, 0, 0, 1};
         a.bias = {m.bias.data(), 0, m.rows * keys, keys, 1};
         a.softcap = 3, a.alibi_slopes = m.slopes.data(), a.sinks = m.sinks.data();
         a.key_lengths = m.lengths.data(), a.causal = true, a.window_left = 400;
         a.output.dtype = DType::f16;
       },
       true, true},
  };
  return list;
}

// FNV-1a over the bits.
std::uint64_t hash(const std::vector<std::vector<float>>& results) {
  std::uint64_t h = 0xcbf29ce484222325u;
  for (const std::vector<float>& x : results)
    for (const float value : x)
      for (int byte = 0; byte < 4; ++byte) h = (h ^ (test::bits(value) >> (8 * byte) & 255u)) * 0x100000001b3u;
  return h;
}

std::string digits(std::uint64_t x) {
  char text[24];
  std::snprintf(text, sizeof text, "0x%016" PRIx64, x);
  return text;
}

void check_case(const Case& c, int64_t rows, std::uint64_t want) {
  const Memory memory(rows);
  test::Random random(88);
  test::Problem p({batch, heads, kv_heads, rows, keys, head_dim, value_dim}, random);
  c.set(p.args, memory);
  p.args.path = attn::Path::streaming;
  p.want_logsumexp();
  if (c.weights) p.want_weights(), p.want_key_weight_sums();
  std::vector<std::uint16_t> halves(c.halves_out ? p.output.size() : 0);
  if (c.halves_out) p.args.output.data = halves.data();
  const bool packed = p.args.cu_query_lengths != nullptr;
  const auto result = [&]() -> std::uint64_t {
    if (p.run() != "") return 0;
    return hash({test::gather(p.args.output, packed ? 1 : batch, heads, rows, value_dim), p.logsumexp, p.weights,
                 p.key_weight_sums});
  };
  INFO(c.name << ", " << rows << " rows");
  CHECK(p.check() == "");
  CHECK(digits(result()) == digits(want));
  if (test::quick() && test::scalar_is_active()) return;
  for (int64_t threads = 2; threads <= 4; ++threads) {
    attn::ThreadPool pool(threads);
    const attn::Parallel parallel = pool.parallel();
    p.args.parallel = &parallel;
    INFO(threads << " threads");
    CHECK(digits(result()) == digits(want));
    p.args.parallel = nullptr;
  }
}

}  // namespace

TEST_CASE("option bits: each option has the bits that it had", "[same_bits][bits]") {
  for (const Case& c : cases()) {
    check_case(c, 5, c.few);
    check_case(c, 60, c.many);
  }
}
