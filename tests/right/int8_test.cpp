// Keys and values of int8: i8 with scales, ggml's blocks q8_0; and append, which makes them.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "attn/attention.hpp"
#include "attn/kv_cache.hpp"
#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/isas.hpp"
#include "support/paths.hpp"
#include "support/random_problem.hpp"

namespace {

using attn::DType;
using std::int64_t;
using test::Problem;

constexpr float quiet_nan = std::numeric_limits<float>::quiet_NaN();

// A cache of one sequence and head, filled by append from float32 rows.
struct Filled {
  Filled(const std::vector<float>& rows, int64_t columns, DType type) : columns(columns) {
    const int64_t count = static_cast<int64_t>(rows.size()) / columns;
    integers.resize(rows.size() + 1);
    blocks.resize(rows.size() / 32 + 1);
    scales.assign(static_cast<std::size_t>(count), 5.0f);
    attn::AppendArgs a;
    a.new_length = a.capacity = count;
    a.head_dim = columns;
    a.key = attn::bhtd(rows.data(), 1, count, columns);
    a.value = attn::bhtd(rows.data(), 1, count, 0);
    a.key_cache = attn::bhtd(integers.data(), 1, count, columns);
    a.key_scales = {scales.data(), 0, 0, 1};
    if (type == DType::q8_0) {
      a.key_cache = attn::bhtd(blocks.data(), 1, count, columns);
      a.key_scales = {};
    }
    a.lengths = &length;
    message = attn::append(a).message();
    cache = a.key_cache;
  }

  double scale(int64_t r, int64_t c) const {
    if (cache.dtype == DType::i8) return static_cast<double>(scales[static_cast<std::size_t>(r)]);
    const attn::q8_0& block = blocks[static_cast<std::size_t>(r * columns + c) / 32];
    return test::element_of({&block.scale, DType::f16, 0, 0, 0}, 0, 0, 0, 0);
  }
  int integer(int64_t r, int64_t c) const {
    const std::size_t i = static_cast<std::size_t>(r * columns + c);
    return cache.dtype == DType::i8 ? integers[i] : blocks[i / 32].values[i % 32];
  }

  int64_t columns, length = 0;
  std::vector<std::int8_t> integers;
  std::vector<attn::q8_0> blocks;
  std::vector<float> scales;
  std::string message;
  attn::Tensor cache;
};

}  // namespace

TEST_CASE("int8: append is off by half the scale at most, which is the largest element's / 127", "[right][int8]") {
  const DType type = GENERATE(DType::i8, DType::q8_0);
  test::Random random(61);
  for (const int64_t columns :
       type == DType::i8 ? std::vector<int64_t>{1, 2, 3, 31, 64, 257, 600} : std::vector<int64_t>{32, 64, 288, 640}) {
    std::vector<float> rows = random.normals(7 * columns);
    for (int64_t i = 0; i < columns; ++i) rows[columns + i] = 0;  // row 1
    for (int64_t i = 0; i < columns; ++i) rows[2 * columns + i] *= 1e4f;
    for (int64_t i = 0; i < columns; ++i) rows[3 * columns + i] = -0.0f;
    const Filled f(rows, columns, type);
    REQUIRE(f.message == "");
    CHECK(f.length == 7);
    const int64_t group = type == DType::i8 ? columns : 32;
    for (int64_t r = 0; r < 7; ++r)
      for (int64_t c = 0; c < columns; ++c) {
        const double x = static_cast<double>(rows[r * columns + c]), scale = f.scale(r, c);
        double largest = 0;
        for (int64_t i = c / group * group; i < (c / group + 1) * group; ++i)
          largest = std::fmax(largest, std::fabs(static_cast<double>(rows[r * columns + i])));
        CAPTURE(columns, r, c);
        REQUIRE(std::fabs(scale - largest / 127) <= largest / 127 * (type == DType::i8 ? 0x1p-24 : 0x1p-11));
        REQUIRE(std::fabs(f.integer(r, c) * scale - x) <= scale * 0.5000001);
        if (largest == 0) REQUIRE(f.integer(r, c) == 0);
      }
  }
}

TEST_CASE("int8: append rounds ties to even, and stays within 127", "[right][int8]") {
  std::vector<float> row(32, 0.5f);  // scale 1: what stands is x / scale
  const float x[] = {127, -127, 0.5f, 1.5f, 2.5f, -0.5f, -1.5f, -2.5f, 126.5f, 0.49999997f, 125.5f};
  const int want[] = {127, -127, 0, 2, 2, 0, -2, -2, 126, 0, 126};
  std::copy(std::begin(x), std::end(x), row.begin());
  for (const DType type : {DType::i8, DType::q8_0}) {
    const Filled f(row, 32, type);
    CHECK(f.scale(0, 0) == 1);
    for (int64_t c = 0; c < 11; ++c) CHECK(f.integer(0, c) == want[c]);
  }
  // Scales that are subnormal, or 0.
  for (const float tiny : {1e-45f, 1e-43f, 1e-40f, 1e-8f, 1e-7f, 1e-5f})
    for (const DType type : {DType::i8, DType::q8_0}) {
      const Filled f(std::vector<float>(32, -tiny), 32, type);
      for (int64_t c = 0; c < 32; ++c) {
        CHECK((f.integer(0, c) <= 0 && f.integer(0, c) >= -127));
        CHECK((f.scale(0, c) > 0 || f.integer(0, c) == 0));
      }
    }
}

TEST_CASE("int8: a row with a NaN or an infinity becomes a NaN row, a block a NaN block", "[right][int8]") {
  for (const float bad : {quiet_nan, -std::numeric_limits<float>::infinity()})
    for (const int64_t place : {0, 33, 63}) {
      std::vector<float> rows(128, 1.0f);
      rows[place] = bad;
      const Filled i8(rows, 64, DType::i8), q8_0(rows, 64, DType::q8_0);
      CHECK(std::isnan(i8.scale(0, 0)));
      CHECK(i8.scale(1, 0) == static_cast<double>(1.0f / 127));
      for (int64_t c = 0; c < 64; ++c) {
        CHECK(i8.integer(0, c) == 0);
        CHECK(std::isnan(q8_0.scale(0, c)) == (c / 32 == place / 32));
        CHECK(q8_0.integer(0, c) == (c / 32 == place / 32 ? 0 : 127));
      }
    }
  CHECK(std::isnan(Filled(std::vector<float>(32, 8.4e6f), 32, DType::q8_0).scale(0, 0)));
  CHECK(Filled(std::vector<float>(32, 8.3e6f), 32, DType::q8_0).scale(0, 0) > 65000);
}

TEST_CASE("int8: append takes halves, copies blocks, and gives the bits of scalar", "[right][int8][bits]") {
  test::Random random(62);
  std::vector<std::uint16_t> halves(3 * 320);
  for (std::uint16_t& h : halves) h = random.signed_half(0x3000, 0x4000);
  for (const DType from : {DType::f16, DType::bf16})
    for (const DType to : {DType::i8, DType::q8_0}) {
      std::vector<float> wide;
      for (const std::uint16_t& h : halves)
        wide.push_back(static_cast<float>(test::element_of({&h, from, 0, 0, 0}, 0, 0, 0, 0)));
      const Filled want = test::on_scalar([&] { return Filled(wide, 320, to); });
      attn::AppendArgs a;
      std::vector<std::int8_t> integers(halves.size());
      std::vector<attn::q8_0> blocks(halves.size() / 32), copied(blocks.size());
      std::vector<float> scales(3);
      int64_t length = 0;
      a.new_length = a.capacity = 3;
      a.value_dim = 320;
      a.value = {halves.data(), from, 0, 0, 320};
      a.value_cache = attn::bhtd(integers.data(), 1, 3, 320);
      if (to == DType::q8_0) a.value_cache = attn::bhtd(blocks.data(), 1, 3, 320);
      if (to == DType::i8) a.value_scales = {scales.data(), 0, 0, 1};
      a.lengths = &length;
      REQUIRE(std::string(attn::append(a).message()) == "");
      if (to == DType::i8) {
        CHECK(std::equal(integers.begin(), integers.end(), want.integers.begin()));
        CHECK(test::bits_equal(scales, want.scales));
        continue;
      }
      CHECK(std::memcmp(blocks.data(), want.blocks.data(), blocks.size() * sizeof(attn::q8_0)) == 0);
      length = 0;
      a.value = a.value_cache;
      a.value_cache = attn::bhtd(copied.data(), 1, 3, 320);
      REQUIRE(attn::append(a).ok());
      CHECK(std::memcmp(blocks.data(), copied.data(), blocks.size() * sizeof(attn::q8_0)) == 0);
    }
}

TEST_CASE("int8: blocks made by hand are read as ggml stores them", "[right][int8]") {
  static_assert(sizeof(attn::q8_0) == 34);
  // Two keys: the f16 scale, little-endian, then 32 numbers. 0x3800 is 0.5, 0xc000 is -2.
  unsigned char keys[68] = {}, values[68] = {};
  const unsigned char halves[] = {0x00, 0x38, 0x00, 0xc0};
  for (int j = 0; j < 2; ++j) {
    std::memcpy(keys + 34 * j, halves + 2 * j, 2);
    std::memcpy(values + 34 * j, halves + 2 * j, 2);
    for (int d = 0; d < 32; ++d) values[34 * j + 2 + d] = static_cast<unsigned char>(d - 16);
  }
  keys[2 + 3] = 0x81;  // key 0: -127 * 0.5 in column 3
  keys[34 + 2 + 3] = 5;  // key 1: 5 * -2
  std::vector<float> query(32), output(32);
  query[3] = 1;
  attn::AttentionArgs a;
  a.query_length = 1;
  a.key_length = 2;
  a.head_dim = a.value_dim = 32;
  a.scale = 0.125f;
  a.query = attn::bhtd(static_cast<const float*>(query.data()), 1, 1, 32);
  a.key = attn::bhtd(reinterpret_cast<const attn::q8_0*>(keys), 1, 2, 32);
  a.value = attn::bhtd(reinterpret_cast<const attn::q8_0*>(values), 1, 2, 32);
  a.output = attn::bhtd(output.data(), 1, 1, 32);
  const double w = 1 / (1 + std::exp((-63.5 + 10) * 0.125));  // of key 1
  for (const attn::Path path : test::paths()) {
    a.path = path;
    REQUIRE(std::string(attn::attention(a).message()) == "");
    for (int d = 0; d < 32; ++d) CHECK(test::close(static_cast<double>(output[d]), (d - 16) * (0.5 - 2.5 * w), 1e-5));
  }
}

TEST_CASE("int8: every head size, agrees with the oracle", "[right][int8]") {
  const attn::Path path = GENERATE(from_range(test::paths()));
  for (const int64_t dim : {1, 2, 3, 4, 5, 15, 16, 17, 63, 64, 65, 66, 67, 68, 69, 70, 129})
    for (const int64_t rows : {1, 2, 3, 12, 13, 30})
      for (const int64_t keys : {1, 7, 8, 15, 17, 40, 70}) {
        test::Random random(63);
        Problem p({1, 2, 1, rows, keys, dim, dim}, random);
        const Filled k(p.k, dim, DType::i8), v(p.v, dim, DType::i8);
        p.args.path = path;
        p.args.key = attn::bhtd(k.integers.data(), 1, keys, dim);
        p.args.value = attn::bhtd(v.integers.data(), 1, keys, dim);
        p.args.key_scales = {k.scales.data(), 0, 0, 1};
        p.args.value_scales = {v.scales.data(), 0, 0, 1};
        CAPTURE(dim, rows, keys);
        REQUIRE(p.check() == "");
      }
}

TEST_CASE("int8: products and values beyond float32 are computed in double", "[right][int8][overflow]") {
  const attn::Path path = GENERATE(from_range(test::paths()));
  for (const DType type : {DType::i8, DType::q8_0})
    for (const int64_t rows : {2, 40}) {
      test::Random random(65);
      Problem p({1, 1, 1, rows, 70, 64, 64}, random);
      Filled k(p.k, 64, type), v(p.v, 64, type);
      const float size = type == DType::i8 ? 0x1p98f : 0x1p124f;
      for (float& x : p.q) x *= size;
      for (float& x : k.scales) x *= 0x1p28f;
      for (float& x : v.scales) x *= 0x1p125f;  // values up to 2^127
      p.args.path = path;
      p.args.key = k.cache;
      p.args.value = v.cache;
      if (type == DType::i8) {
        p.args.key_scales = {k.scales.data(), 0, 0, 1};
        p.args.value_scales = {v.scales.data(), 0, 0, 1};
      }
      p.args.scale = type == DType::i8 ? 0x1p-126f : 0x1p-124f;
      CAPTURE(rows, type);
      CHECK(p.check() == "");
    }
}

TEST_CASE("int8: mixtures of all options, agree with the oracle", "[right][int8][mixtures]") {
  const attn::Path path = GENERATE(from_range(test::paths()));
  for (int round = 0; round < test::rounds(2000); ++round) {
    test::Random random(static_cast<std::uint64_t>(27000 + round));
    test::RandomProblem p(random, path, round % 30 == 0);
    if (round % 3 == 1) p.vary_bias(random);
    if (round % 3 == 2) p.add_structure(random);
    p.quantise(random);
    INFO("round " << round << ": " << test::describe(p.args()));
    REQUIRE(p.check() == "");
  }
}

TEST_CASE("int8: scores whose sums overflow before their scale, as float32 rows of the same values", "[right][int8]") {
  const attn::Path path = GENERATE(from_range(test::paths()));
  const DType type = GENERATE(DType::i8, DType::q8_0);
  const int64_t dim = type == DType::i8 ? 8 : 32, length = GENERATE(1, 5);  // of queries: decode, and a tile
  const bool blocks = type == DType::q8_0;
  const float scale = blocks ? 0x1.1p-20f : 1e-37f, query = blocks ? 1e36f : 1e37f;
  const std::int8_t integers[] = {100, 50};
  std::vector<std::int8_t> key;
  std::vector<attn::q8_0> key_blocks(2);
  std::vector<float> rows;
  for (std::size_t j = 0; j < 2; ++j) {
    key_blocks[j].scale.bits = 0x0011;  // 17 * 2^-24
    for (int64_t c = 0; c < dim; ++c) {
      key.push_back(integers[j]);
      rows.push_back(integers[j] * scale);
      if (blocks) key_blocks[j].values[c] = integers[j];
    }
  }
  const std::vector<float> queries(static_cast<std::size_t>(length * dim), query), scales(2, scale), values = {1, 2};
  std::vector<float> got(static_cast<std::size_t>(length)), want(got.size());
  attn::AttentionArgs a;
  a.path = path;
  a.query_length = length;
  a.key_length = 2;
  a.head_dim = dim;
  a.value_dim = 1;
  a.scale = blocks ? 0x1p-108f : 1e-3f;
  a.query = attn::bhtd(queries.data(), 1, length, dim);
  a.key = attn::bhtd(rows.data(), 1, 2, dim);
  a.value = attn::bhtd(values.data(), 1, 2, 1);
  a.output = attn::bhtd(want.data(), 1, length, 1);
  REQUIRE(attn::attention(a).ok());
  if (blocks)
    a.key = attn::bhtd(key_blocks.data(), 1, 2, dim);
  else {
    a.key = attn::bhtd(key.data(), 1, 2, dim);
    a.key_scales = {scales.data(), 0, 0, 1};
  }
  a.output.data = got.data();
  REQUIRE(attn::attention(a).ok());
  for (std::size_t i = 0; i < got.size(); ++i) {
    CHECK(std::isfinite(got[i]));
    CHECK(std::fabs(got[i] - want[i]) < 1e-5f);
  }
}

TEST_CASE("int8: weights alone, of keys and values in q8_0 without columns of value", "[right][int8]") {
  const attn::Path path = GENERATE(from_range(test::paths()));
  const std::vector<attn::q8_0> blocks(20);  // scores of 0: every key weighs the same
  const std::vector<float> query(32, 1.0f);
  std::vector<float> weights(20);
  float output = test::canary, lse = 0;
  attn::AttentionArgs a;
  a.path = path;
  a.query_length = 1;
  a.key_length = 20;
  a.head_dim = 32;
  a.value_dim = 0;
  a.query = attn::bhtd(query.data(), 1, 1, 32);
  a.key = attn::bhtd(blocks.data(), 1, 20, 32);
  a.value = {blocks.data(), DType::q8_0, 0, 0, 32};
  a.output = attn::bhtd(&output, 1, 1, 0);
  a.weights = attn::bhtd(weights.data(), 1, 1, 20);
  a.logsumexp = &lse;
  REQUIRE(std::string(attn::attention(a).message()) == "");
  CHECK(std::fabs(lse - std::log(20.0f)) < 1e-5f);
  for (const float w : weights) CHECK(std::fabs(w - 0.05f) < 1e-6f);
  CHECK(output == test::canary);
}
