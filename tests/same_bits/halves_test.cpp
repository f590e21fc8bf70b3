// Halves as they are stored change nothing but the memory: a call on f16 and bf16 tensors gives the bits of the call on
// the same numbers as float32, in every mixture of types, on every instruction set. But bf16 queries times bf16 keys:
// those have the bits of float columns that change places in pairs.
#include <algorithm>
#include <string>
#include <vector>

#include "dispatch.hpp"
#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/guard.hpp"
#include "support/isas.hpp"
#include "support/paths.hpp"
#include "support/problem.hpp"

namespace {

using attn::DType;
using attn::Path;
using std::int64_t;
using test::Problem;

const DType types[] = {DType::f32, DType::f16, DType::bf16};

// Of ordinary size in either type, of both signs: [1/4, 2) as f16, [2^-3, 2) as bf16.
std::uint16_t draw(test::Random& random, DType type) {
  return type == DType::f16 ? random.signed_half(0x3400, 0x3fff) : random.signed_half(0x3e00, 0x3fff);
}

// A tensor as halves, and the same numbers as float in `wide`, which both calls share where the type is f32.
class Stored {
 public:
  Stored(test::Random& random, DType type, std::vector<float>& wide, attn::Tensor& tensor) {
    if (type == DType::f32) return;
    for (float& x : wide) {
      halves_.push_back(draw(random, type));
      x = number(halves_.back(), type);
    }
    tensor.data = halves_.data();
    tensor.dtype = type;
  }

  static float number(std::uint16_t half, DType type) {
    return static_cast<float>(test::element_of(attn::Tensor{&half, type, 0, 0, 0}, 0, 0, 0, 0));
  }

 private:
  std::vector<std::uint16_t> halves_;
};

// Queries and keys of floats whose products have the bits of bf16 queries and keys.
void exchange_columns(Problem& wide, const attn::AttentionArgs& halves) {
  const std::size_t dim = static_cast<std::size_t>(halves.head_dim);
  if (halves.query.dtype != DType::bf16 || halves.key.dtype != DType::bf16) return;
  for (std::vector<float>* const x : {&wide.q, &wide.k})
    for (std::size_t row = 0; row < x->size(); row += dim)
      for (std::size_t d = row; d + 2 <= row + dim; d += 2) std::swap((*x)[d], (*x)[d + 1]);
}

// The bits on the streaming path; BLAS may take another kernel where rows stand at other addresses.
std::string differs(Path path, const std::vector<float>& got, const std::vector<float>& want) {
  return path == Path::streaming ? test::bits_difference(got, want) : test::difference(got, want, 4e-6);
}

// What `narrow` makes of a float result, by the scalar kernel (kernels/halves_test.cpp proves that one).
std::vector<std::uint16_t> narrowed(const std::vector<float>& x, DType type) {
  std::vector<std::uint16_t> y(x.size());
  for (std::size_t i = 0; i < attn::isa_count(); ++i)
    if (std::string(attn::isa(i).name) == "scalar")
      attn::dispatch::candidates()[i].kernels->narrow(
          x.data(), static_cast<attn::DType>(type), static_cast<std::ptrdiff_t>(x.size()), y.data());
  return y;
}

}  // namespace

TEST_CASE("attention of halves: every mixture of types is the call on floats", "[same_bits][attention][half]") {
  const Path path = GENERATE(from_range(test::paths()));
  const int64_t rows = GENERATE(1, 3, 6, 7, 25);  // with two heads on one: 2 to 12 are read in place, 14 and 50 packed
  test::Random random(81);
  CAPTURE(random.seed());
  for (const int64_t dim : {1, 5, 16, 31, 33, 80, 128}) {
    if (test::quick() && dim != 5 && dim != 33) continue;
    for (int mixture = 0; mixture < 27; ++mixture) {
      // Keys of two blocks once in a while, else no multiple of 16.
      const int64_t keys = mixture % 9 == 5 ? 530 : 37, value_dim = dim == 33 ? 20 : dim;
      Problem wide({2, 4, 2, rows, keys, dim, value_dim}, random), half({2, 4, 2, rows, keys, dim, value_dim});
      half.args = wide.args;
      half.args.output = attn::bhtd(half.output.data(), 4, rows, value_dim);
      wide.args.path = half.args.path = path;
      wide.args.causal = half.args.causal = mixture % 2 == 1;
      const Stored q(random, types[mixture / 9], wide.q, half.args.query);
      const Stored k(random, types[mixture / 3 % 3], wide.k, half.args.key);
      const Stored v(random, types[mixture % 3], wide.v, half.args.value);
      exchange_columns(wide, half.args);
      INFO(test::describe(half.args));
      REQUIRE(test::on_scalar([&] { return wide.run(); }) == "");
      REQUIRE(half.run() == "");
      REQUIRE(differs(path, half.output, wide.output) == "");
    }
  }
}

TEST_CASE("attention of halves: a half output is the float output, rounded once", "[same_bits][attention][half]") {
  const Path path = GENERATE(from_range(test::paths()));
  const DType type = GENERATE(DType::f16, DType::bf16);
  test::Random random(82);
  CAPTURE(random.seed());
  for (const int64_t rows : {1, 5, 30, 300})
    for (const int64_t value_dim : {1, 15, 16, 33, 80}) {
      Problem p({1, 2, 1, rows, 50, 9, value_dim}, random);
      p.args.path = path;
      const int64_t offset[] = {-1};  // row 0 sees no key
      p.args.causal = true;
      p.args.alignment = attn::Alignment::given;
      p.args.query_offsets = offset;
      p.v[0] = 1e30f;  // beyond f16
      REQUIRE(p.run() == "");
      const std::vector<std::uint16_t> want = narrowed(p.output, type);
      // Rows of an odd pitch, whose gaps stay as they are.
      const int64_t pitch = value_dim + 3;
      std::vector<std::uint16_t> got(2 * rows * pitch + 1, 0xabcd);
      p.args.output = {got.data() + 1, type, 0, rows * pitch, pitch};
      INFO(test::describe(p.args));
      REQUIRE(p.run() == "");
      bool same = got[0] == 0xabcd;
      for (std::size_t i = 1; i < got.size(); ++i) {
        const std::size_t row = (i - 1) / static_cast<std::size_t>(pitch),
                          e = (i - 1) % static_cast<std::size_t>(pitch);
        const std::size_t columns = static_cast<std::size_t>(value_dim);
        same &= got[i] == (e < columns ? want[row * columns + e] : 0xabcd);
      }
      CHECK(same);
    }
}

TEST_CASE("attention of halves: any strides give the bits of dense", "[same_bits][attention][half]") {
  const Path path = GENERATE(from_range(test::paths()));
  const DType type = GENERATE(DType::f16, DType::bf16);
  test::Random random(83);
  CAPTURE(random.seed());
  for (const int64_t rows : {1, 4, 30})
    for (const int64_t dim : {1, 7, 32, 33}) {
      constexpr int64_t heads = 2, keys = 45;
      std::vector<std::uint16_t> q(heads * rows * dim), k(heads * keys * q.size() / (heads * rows)), v;
      for (std::uint16_t& h : q) h = draw(random, type);
      for (std::uint16_t& h : k) h = draw(random, type);
      v = k;
      std::reverse(v.begin(), v.end());
      Problem p({1, heads, heads, rows, keys, dim, dim});
      attn::AttentionArgs& a = p.args;
      a.path = path;
      const auto dense = [&](const std::vector<std::uint16_t>& x, int64_t n) {
        return attn::Tensor{x.data(), type, 0, n * dim, dim};
      };
      // [B, T, H, D] with gaps of NaN, from an odd element on, forwards or backwards.
      std::vector<std::vector<std::uint16_t>> copies;
      const auto spread = [&](const std::vector<std::uint16_t>& x, int64_t n, bool backwards) {
        const int64_t pitch = heads * dim + 5;
        std::vector<std::uint16_t> y(n * pitch + 1, 0x7fff);
        for (int64_t h = 0; h < heads; ++h)
          for (int64_t r = 0; r < n; ++r)
            std::copy_n(
                x.begin() + (h * n + r) * dim, dim, y.begin() + 1 + (backwards ? n - 1 - r : r) * pitch + h * dim);
        copies.push_back(std::move(y));
        return attn::Tensor{
            copies.back().data() + 1 + (backwards ? (n - 1) * pitch : 0), type, 0, dim, backwards ? -pitch : pitch};
      };
      a.query = dense(q, rows);
      a.key = dense(k, keys);
      a.value = dense(v, keys);
      INFO(test::describe(a));
      REQUIRE(p.check() == "");
      std::vector<float> want = p.output;
      for (const bool backwards : {false, true}) {
        a.query = spread(q, rows, backwards);
        a.key = spread(k, keys, backwards);
        a.value = spread(v, keys, backwards);
        REQUIRE(p.run() == "");
        CHECK(differs(path, p.output, want) == "");
      }
      // One row for all keys, one head for all heads: as if it had been copied.
      for (int64_t j = 1; j < heads * keys; ++j) {
        std::copy_n(k.begin(), dim, k.begin() + j * dim);
        std::copy_n(v.begin(), dim, v.begin() + j * dim);
      }
      a.query = dense(q, rows);
      a.key = dense(k, keys);
      a.value = dense(v, keys);
      REQUIRE(p.run() == "");
      want = p.output;
      a.key.head_stride = a.key.row_stride = a.value.head_stride = a.value.row_stride = 0;
      REQUIRE(p.run() == "");
      CHECK(differs(path, p.output, want) == "");
    }
}

TEST_CASE("attention of halves: not a byte beside Q, K, V and output", "[same_bits][attention][half]") {
  const Path path = GENERATE(from_range(test::paths()));
  const DType type = GENERATE(DType::f16, DType::bf16);
  const test::Edge edge = GENERATE(test::Edge::before, test::Edge::after);
  test::Random random(84);
  CAPTURE(random.seed());
  for (const int64_t keys : {1, 15, 16, 17, 63, 65})
    for (const int64_t rows : {1, 3, 13, 20})
      for (const int64_t dim : {1, 15, 16, 31, 32, 33, 65}) {
        Problem p({1, 1, 1, rows, keys, dim, dim});
        p.args.path = path;
        const std::size_t sizes[] = {static_cast<std::size_t>(rows * dim), static_cast<std::size_t>(keys * dim)};
        test::GuardedFloats q((sizes[0] + 1) / 2, edge), k((sizes[1] + 1) / 2, edge), v(k.size(), edge),
            out(q.size(), edge);
        const auto flush = [&](test::GuardedFloats& room, std::size_t count) {
          std::uint16_t* const first = reinterpret_cast<std::uint16_t*>(room.data());
          std::uint16_t* const data = edge == test::Edge::before ? first : first + 2 * room.size() - count;
          for (std::size_t i = 0; i < count; ++i) data[i] = draw(random, type);
          return data;
        };
        p.args.query = {flush(q, sizes[0]), type, 0, 0, dim};
        p.args.key = {flush(k, sizes[1]), type, 0, 0, dim};
        p.args.value = {flush(v, sizes[1]), type, 0, 0, dim};
        p.args.output = {flush(out, sizes[0]), type, 0, 0, dim};
        INFO(test::describe(p.args));
        REQUIRE(p.check() == "");
      }
}

TEST_CASE("attention of halves: NaN and infinity of any payload are those of floats", "[same_bits][attention][half]") {
  const DType type = GENERATE(DType::f16, DType::bf16);
  const std::uint16_t infinite = type == DType::f16 ? 0x7c00 : 0x7f80;
  test::Random random(85);
  CAPTURE(random.seed());
  for (const int64_t rows : {1, 4, 30})
    for (int round = 0; round < 60; ++round) {
      constexpr int64_t keys = 40, dim = 19;
      Problem wide({1, 1, 1, rows, keys, dim, dim}, random), half({1, 1, 1, rows, keys, dim, dim});
      half.args.causal = wide.args.causal = true;
      half.args.path = wide.args.path = Path::streaming;
      std::vector<std::uint16_t> halves[3];
      std::vector<float>* const floats[] = {&wide.q, &wide.k, &wide.v};
      attn::Tensor* const tensors[] = {&half.args.query, &half.args.key, &half.args.value};
      for (int t = 0; t < 3; ++t) {
        for (std::size_t i = 0; i < floats[t]->size(); ++i) halves[t].push_back(draw(random, type));
        if (round % 3 == t)  // infinite, signalling or quiet, of either sign; or subnormal
          for (int poison = 0; poison < 2; ++poison) {
            const int64_t what = poison == 0 ? infinite + random.integer(0, 3) * 21 : random.integer(1, 0x7f);
            const std::uint16_t bits = random.signed_half(what, what);
            halves[t][random.integer(0, static_cast<int64_t>(halves[t].size()) - 1)] = bits;
          }
        for (std::size_t i = 0; i < floats[t]->size(); ++i) (*floats[t])[i] = Stored::number(halves[t][i], type);
        tensors[t]->data = halves[t].data();
        tensors[t]->dtype = type;
      }
      exchange_columns(wide, half.args);
      INFO(test::describe(half.args));
      REQUIRE(test::on_scalar([&] { return wide.run(); }) == "");
      REQUIRE(half.run() == "");
      REQUIRE(test::bits_difference(half.output, wide.output) == "");
    }
}
