// What is not there cannot be seen (P3), what is there can (P4), and nothing outside is touched (P5), for all that a
// call reads beside float32 tensors: biases, masks, slopes, sinks, halves, packed batches. (nan/attention_test.cpp has
// Q, K and V.)
#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/dense.hpp"
#include "support/guard.hpp"
#include "support/paths.hpp"
#include "support/problem.hpp"

namespace {

using attn::Path;
using std::int64_t;
using test::Problem;

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float quiet_nan = std::numeric_limits<float>::quiet_NaN();

// As it was: to the bit on the streaming path, within rounding on the other, where BLAS may take another kernel.
std::string as_before(Path path, const std::vector<float>& got, const std::vector<float>& was) {
  if (path == Path::streaming) return test::bits_difference(got, was);
  return test::difference(got, was, 1e-6);
}

struct Shapes {
  const char* name;
  test::Shape shape;
};
const Shapes shapes[] = {{"few rows", {2, 4, 2, 3, 70, 9, 20}}, {"many rows", {2, 4, 2, 40, 530, 9, 20}}};

// The part of a result that belongs to item b, head h.
std::vector<float> head_of(const Problem& p, const std::vector<float>& x, int64_t b, int64_t h) {
  const int64_t heads = p.args.query_heads, size = static_cast<int64_t>(x.size()) / (p.args.batch * heads);
  return {x.begin() + (b * heads + h) * size, x.begin() + (b * heads + h + 1) * size};
}

}  // namespace

TEST_CASE("poison: a bias is not seen where the key is excluded", "[not_there][attention][poison]") {
  const Path path = GENERATE(from_range(test::paths()));
  for (const Shapes& s : shapes) {
    test::Random random(51);
    Problem p(s.shape, random);
    attn::AttentionArgs& a = p.args;
    a.path = path;
    p.want_logsumexp();
    p.want_weights();
    p.want_key_weight_sums();
    const int64_t rows = a.query_length, keys = a.key_length;
    std::vector<std::uint8_t> mask(rows * keys);
    for (std::uint8_t& m : mask) m = random.integer(0, 2) > 0;
    std::vector<float> bias = random.normals(mask.size());
    const int64_t lengths[] = {keys - 7, keys};
    a.mask = {mask.data(), 0, 0, keys, 1};
    a.bias = {bias.data(), attn::DType::f32, 0, 0, keys, 1};
    a.key_lengths = lengths;
    a.causal = true;
    INFO(s.name << ", " << test::name_of(path));
    REQUIRE(p.check() == "");
    const std::vector<float> output = p.output, weights = p.weights, lse = p.logsumexp, sums = p.key_weight_sums;
    for (const float poison : {quiet_nan, infinity, -infinity}) {
      for (int64_t t = 0; t < rows; ++t)
        for (int64_t j = 0; j < keys; ++j)  // excluded in both items: of the second, the last query sees the last key
          if (!test::Dense(mask, rows, keys)(t, j) || j > keys - rows + t) test::Dense(bias, rows, keys)(t, j) = poison;
      REQUIRE(p.run() == "");
      CHECK(as_before(path, p.output, output) == "");
      CHECK(as_before(path, p.weights, weights) == "");
      CHECK(as_before(path, p.logsumexp, lse) == "");
      CHECK(as_before(path, p.key_weight_sums, sums) == "");
    }
  }
}

TEST_CASE("poison: a bias that is NaN spoils the rows that see it", "[not_there][attention][poison]") {
  const Path path = GENERATE(from_range(test::paths()));
  for (const Shapes& s : shapes) {
    test::Random random(52);
    Problem p(s.shape, random);
    p.args.path = path;
    p.want_logsumexp();
    p.want_weights();
    const int64_t rows = p.args.query_length, keys = p.args.key_length;
    std::vector<float> bias = random.normals(rows * keys);
    p.args.bias = {bias.data(), attn::DType::f32, 0, 0, keys, 1};
    REQUIRE(p.run() == "");
    const std::vector<float> clean = p.output;
    const int64_t victim = rows - 2;
    bias[victim * keys + keys - 1] = quiet_nan;
    REQUIRE(p.check() == "");  // the oracle knows which rows are NaN
    for (std::size_t i = 0; i < p.output.size(); ++i) {
      const bool hit = static_cast<int64_t>(i) / p.args.value_dim % rows == victim;
      REQUIRE(std::isnan(p.output[i]) == hit);
      if (!hit && path == Path::streaming) REQUIRE(test::bits(p.output[i]) == test::bits(clean[i]));
    }
  }
}

TEST_CASE("poison: slopes and sinks that are NaN or infinite spoil their head", "[not_there][attention][poison]") {
  const Path path = GENERATE(from_range(test::paths()));
  for (const Shapes& s : shapes)
    for (const bool sink : {false, true})
      for (const float poison : {quiet_nan, infinity}) {
        test::Random random(53);
        Problem p(s.shape, random);
        p.args.path = path;
        p.want_logsumexp();
        std::vector<float> numbers{0.5f, 0.25f, 1.0f, 2.0f};
        (sink ? p.args.sinks : p.args.alibi_slopes) = numbers.data();
        const int64_t offsets[] = {-2, -2};  // two rows of each head see no key
        p.args.causal = true;
        p.args.alignment = attn::Alignment::given;
        p.args.query_offsets = offsets;
        REQUIRE(p.check() == "");
        const std::vector<float> clean = p.output;
        numbers[2] = poison;
        INFO(s.name << ", " << test::name_of(path) << ", sink " << sink << ", " << poison);
        CHECK(p.check() == "");
        for (int64_t b = 0; b < 2; ++b)
          for (int64_t h = 0; h < 4; ++h) {
            if (h != 2) CHECK(as_before(path, head_of(p, p.output, b, h), head_of(p, clean, b, h)) == "");
            if (h == 2 && sink)
              for (const float x : head_of(p, p.output, b, h)) CHECK(std::isnan(x));
          }
      }
}

TEST_CASE("poison: halves beyond the length, and under a mask", "[not_there][attention][poison]") {
  const Path path = GENERATE(from_range(test::paths()));
  const attn::DType type = GENERATE(attn::DType::f16, attn::DType::bf16);
  for (const Shapes& s : shapes)
    for (const bool by_row : {false, true}) {
      test::Random random(54);
      Problem p(s.shape, random);
      attn::AttentionArgs& a = p.args;
      a.path = path;
      const int64_t keys = a.key_length, rows = a.query_length;
      // Numbers of ordinary size in either type: sign, and some bits around the exponent of 1.
      const auto draw = [&](std::size_t n) {
        std::vector<std::uint16_t> x(n);
        for (std::uint16_t& h : x)
          h = type == attn::DType::f16 ? random.signed_half(0x3400, 0x3fff) : random.signed_half(0x3f00, 0x3fff);
        return x;
      };
      std::vector<std::uint16_t> k = draw(p.k.size()), v = draw(p.v.size());
      a.key.data = k.data();
      a.value.data = v.data();
      a.key.dtype = a.value.dtype = type;
      const int64_t lengths[] = {keys - 9, keys - 1};
      a.key_lengths = lengths;
      std::vector<std::uint8_t> mask(rows * keys);
      for (int64_t i = 0; i < rows * keys; ++i) mask[i] = (by_row ? (i / keys + i % keys) % 3 : i % keys % 3) != 0;
      a.mask = {mask.data(), 0, 0, keys, 1};
      INFO(s.name << ", " << test::name_of(path) << ", by row " << by_row);
      REQUIRE(p.check() == "");
      const std::vector<float> clean = p.output;
      for (const std::uint16_t poison : {0x7fff, 0x7f80, 0x7c00, 0xfc00, 0xff80}) {
        for (int64_t b = 0; b < a.batch; ++b)
          for (int64_t h = 0; h < a.kv_heads; ++h)
            for (int64_t j = 0; j < keys; ++j) {
              if (j < lengths[b] && (by_row || j % 3 != 0)) continue;
              const int64_t row = (b * a.kv_heads + h) * keys + j;
              std::fill_n(k.begin() + row * a.head_dim, a.head_dim, poison);
              std::fill_n(v.begin() + row * a.value_dim, a.value_dim, poison);
            }
        REQUIRE(p.run() == "");
        CHECK(as_before(path, p.output, clean) == "");
      }
      if (!by_row) continue;
      // One key that some rows of a tile see and others do not: those others stay as they were.
      const int64_t j = 5;
      std::fill_n(v.begin() + j * a.value_dim, a.value_dim, static_cast<std::uint16_t>(0x7fff));
      REQUIRE(p.run() == "");
      const test::Dense now(p.output, a.batch, a.query_heads, rows, a.value_dim);
      const test::Dense before(clean, a.batch, a.query_heads, rows, a.value_dim);
      for (int64_t t = 0; t < rows; ++t)
        for (int64_t e = 0; e < a.value_dim; ++e) {
          if (test::Dense(mask, rows, keys)(t, j)) {
            REQUIRE(std::isnan(now(0, 0, t, e)));
          } else if (path == Path::streaming) {
            REQUIRE(test::bits(now(0, 0, t, e)) == test::bits(before(0, 0, t, e)));
          }
        }
    }
}

TEST_CASE("poison: the neighbours in a packed batch", "[not_there][attention][poison]") {
  const Path path = GENERATE(from_range(test::paths()));
  test::Random random(55);
  // Sequences of 1, 40, 0 and 17 queries, 30, 600, 5 and 0 keys, end to end.
  const int64_t cu_queries[] = {0, 1, 41, 41, 58}, cu_keys[] = {0, 30, 630, 635, 635};
  Problem p({1, 4, 2, 58, 635, 9, 20}, random);
  attn::AttentionArgs& a = p.args;
  a.path = path;
  a.batch = 4;
  a.query_length = 40;
  a.key_length = 600;
  a.cu_query_lengths = cu_queries;
  a.cu_key_lengths = cu_keys;
  p.want_logsumexp();
  p.want_key_weight_sums();
  REQUIRE(p.check() == "");
  const std::vector<float> clean = p.output, clean_sums = p.key_weight_sums;
  for (int64_t alone = 0; alone < 4; ++alone) {
    const std::vector<float> q = p.q, k = p.k, v = p.v;
    for (int64_t h = 0; h < 4; ++h)
      for (int64_t t = 0; t < 58; ++t)
        if (t < cu_queries[alone] || t >= cu_queries[alone + 1])
          std::fill_n(p.q.begin() + (h * 58 + t) * 9, 9, quiet_nan);
    for (int64_t h = 0; h < 2; ++h)
      for (int64_t j = 0; j < 635; ++j)
        if (j < cu_keys[alone] || j >= cu_keys[alone + 1]) {
          std::fill_n(p.k.begin() + (h * 635 + j) * 9, 9, quiet_nan);
          std::fill_n(p.v.begin() + (h * 635 + j) * 20, 20, infinity);
        }
    REQUIRE(p.run() == "");
    p.q = q;
    p.k = k;
    p.v = v;
    INFO("sequence " << alone << ", " << test::name_of(path));
    for (int64_t h = 0; h < 4; ++h) {
      const auto part = [&](const std::vector<float>& x, int64_t all, const int64_t* cu, int64_t width) {
        return std::vector<float>(
            x.begin() + (h * all + cu[alone]) * width, x.begin() + (h * all + cu[alone + 1]) * width);
      };
      CHECK(as_before(path, part(p.output, 58, cu_queries, 20), part(clean, 58, cu_queries, 20)) == "");
      CHECK(as_before(path, part(p.key_weight_sums, 635, cu_keys, 1), part(clean_sums, 635, cu_keys, 1)) == "");
    }
  }
}

TEST_CASE("poison: not a byte beside masks, biases and halves is touched", "[not_there][attention][poison]") {
  const Path path = GENERATE(from_range(test::paths()));
  const test::Edge edge = GENERATE(test::Edge::before, test::Edge::after);
  for (const int64_t keys : {1, 15, 17, 33, 70, 513})
    for (const int64_t rows : {1, 3, 20})
      for (const int64_t dim : {1, 7, 16, 31, 33}) {
        test::Random random(56);
        Problem p({1, 1, 1, rows, keys, dim, dim}, random);
        attn::AttentionArgs& a = p.args;
        a.path = path;
        a.softcap = 3;
        test::GuardedFloats bias(rows * keys, edge), mask(bias.size() / 4 + 1, edge), k((keys * dim + 1) / 2, edge),
            v(k.size(), edge);
        for (float& x : bias) x = random.normal();
        std::fill(k.begin(), k.end(), 0.5f);  // halves 0 and 0x3f00
        std::fill(v.begin(), v.end(), 0.5f);
        // Flush with the forbidden page on the side in question.
        const std::size_t used = bias.size(), spare = 4 * mask.size() - used;
        std::uint8_t* bytes = reinterpret_cast<std::uint8_t*>(mask.data()) + (edge == test::Edge::after ? spare : 0);
        for (std::size_t i = 0; i < used; ++i) bytes[i] = static_cast<std::uint8_t>(random.integer(0, 3));
        a.mask = {bytes, 0, 0, keys, 1};
        a.bias = {bias.data(), attn::DType::f32, 0, 0, keys, 1};
        const int64_t odd = edge == test::Edge::after ? keys * dim % 2 : 0;
        a.key.data = reinterpret_cast<std::uint16_t*>(k.data()) + odd;
        a.value.data = reinterpret_cast<std::uint16_t*>(v.data()) + odd;
        a.key.dtype = a.value.dtype = attn::DType::bf16;
        INFO(test::describe(a));
        REQUIRE(p.check() == "");
      }
}
