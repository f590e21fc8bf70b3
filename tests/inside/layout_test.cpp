// Where tensors stand in memory: layouts, views, broadcasts, alignment, page ends. Every layout gives the same bits.
#include <algorithm>
#include <limits>
#include <vector>

#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/guard.hpp"
#include "support/isas.hpp"
#include "support/paths.hpp"
#include "support/problem.hpp"

namespace {

using attn::Path;
using test::describe;
using test::Problem;
using test::Random;

// [B,H,T,D] -> [B,T,H,D] with `pitch` floats from row to row; what is between the rows is `fill`.
std::vector<float> token_major(
    const std::vector<float>& x, std::int64_t batch, std::int64_t heads, std::int64_t rows, std::int64_t columns,
    std::int64_t pitch, float fill = -1e30f) {
  std::vector<float> y(batch * rows * pitch, fill);
  for (std::int64_t b = 0; b < batch; ++b)
    for (std::int64_t h = 0; h < heads; ++h)
      for (std::int64_t r = 0; r < rows; ++r)
        std::copy_n(
            x.begin() + ((b * heads + h) * rows + r) * columns, columns,
            y.begin() + (b * rows + r) * pitch + h * columns);
  return y;
}

}  // namespace

TEST_CASE("layout: [B,T,H,D] views, padded rows and packed QKV equal dense", "[inside][attention][layout]") {
  const Path path = GENERATE(from_range(test::paths()));
  const std::int64_t query_length = GENERATE(1, 7, 40);
  Random random(61);
  constexpr std::int64_t B = 2, H = 4, Hkv = 2, Tk = 9, D = 12;
  Problem dense({B, H, Hkv, query_length, Tk, D, D}, random);
  dense.args.path = path;
  REQUIRE(dense.check() == "");
  Problem p({B, H, Hkv, query_length, Tk, D, D});
  p.args = dense.args;
  p.args.output = attn::bhtd(p.output.data(), H, query_length, D);
  std::vector<float> q, k, v, out = dense.output;

  SECTION("all four by bthd()") {
    q = token_major(dense.q, B, H, query_length, D, H * D);
    k = token_major(dense.k, B, Hkv, Tk, D, Hkv * D);
    v = token_major(dense.v, B, Hkv, Tk, D, Hkv * D);
    p.args.query = attn::bthd(static_cast<const float*>(q.data()), H, query_length, D);
    p.args.key = attn::bthd(static_cast<const float*>(k.data()), Hkv, Tk, D);
    p.args.value = attn::bthd(static_cast<const float*>(v.data()), Hkv, Tk, D);
    p.args.output = attn::bthd(p.output.data(), H, query_length, D);
    out = token_major(dense.output, B, H, query_length, D, H * D);
  }
  SECTION("only value") {
    v = token_major(dense.v, B, Hkv, Tk, D, Hkv * D);
    p.args.value = attn::bthd(static_cast<const float*>(v.data()), Hkv, Tk, D);
  }
  SECTION("only key, with padding after every token") {
    k = token_major(dense.k, B, Hkv, Tk, D, Hkv * D + 5);
    p.args.key = {k.data(), attn::DType::f32, Tk * (Hkv * D + 5), D, Hkv * D + 5};
  }
  SECTION("keys and values side by side in one buffer") {
    constexpr std::int64_t pitch = 2 * Hkv * D;
    k = token_major(dense.k, B, Hkv, Tk, D, pitch);
    const std::vector<float> values = token_major(dense.v, B, Hkv, Tk, D, pitch);
    for (std::int64_t row = 0; row < B * Tk; ++row)
      std::copy_n(values.begin() + row * pitch, Hkv * D, k.begin() + row * pitch + Hkv * D);
    p.args.key = {k.data(), attn::DType::f32, Tk * pitch, D, pitch};
    p.args.value = {k.data() + Hkv * D, attn::DType::f32, Tk * pitch, D, pitch};
  }
  SECTION("the output beside its query in one buffer, the gaps kept") {
    constexpr std::int64_t pitch = 2 * H * D + 3;
    q = token_major(dense.q, B, H, query_length, D, pitch, test::canary);
    std::vector<float> want = q;
    const std::vector<float> results = token_major(dense.output, B, H, query_length, D, pitch);
    for (std::int64_t row = 0; row < B * query_length; ++row)
      std::copy_n(results.begin() + row * pitch, H * D, want.begin() + row * pitch + H * D);
    p.args.query = {q.data(), attn::DType::f32, query_length * pitch, D, pitch};
    p.args.output = {q.data() + H * D, attn::DType::f32, query_length * pitch, D, pitch};
    REQUIRE(p.run() == "");
    if (path == Path::streaming) CHECK(test::bits_difference(q, want) == "");
    CHECK(test::difference(q, want, 4e-6) == "");
    return;
  }
  REQUIRE(p.run() == "");
  if (path == Path::streaming) CHECK(test::bits_difference(p.output, out) == "");
  CHECK(test::difference(p.output, out, 4e-6) == "");
}

TEST_CASE("layout: the stride of a dimension of size 1 is never used", "[inside][attention][layout]") {
  const Path path = GENERATE(from_range(test::paths()));
  Random random(62);
  constexpr std::int64_t top = std::numeric_limits<std::int64_t>::max();
  for (const std::int64_t stride : {std::int64_t{0}, std::int64_t{999}, std::int64_t{-3}, std::int64_t{1}, top, -top}) {
    INFO("stride " << stride);
    Problem p({1, 1, 1, 1, 1, 5, 1}, random);
    p.args.path = path;
    p.args.query.batch_stride = p.args.query.head_stride = p.args.query.row_stride = stride;
    p.args.key.batch_stride = p.args.key.head_stride = p.args.key.row_stride = stride;
    p.args.value.batch_stride = p.args.value.head_stride = p.args.value.row_stride = stride;
    p.args.output.batch_stride = p.args.output.head_stride = p.args.output.row_stride = stride;
    if (path == Path::blas) {
      p.want_weights();
      p.args.weights.batch_stride = p.args.weights.head_stride = p.args.weights.row_stride = stride;
    }
    REQUIRE(p.check() == "");

    Problem rows({2, 3, 1, 4, 6, 5, 2}, random);  // only the KV head is single
    rows.args.path = path;
    rows.args.key.head_stride = rows.args.value.head_stride = stride;
    REQUIRE(rows.check() == "");
  }
}

TEST_CASE("layout: a stride of 0 broadcasts an input", "[inside][attention][layout]") {
  const Path path = GENERATE(from_range(test::paths()));
  Random random(63);
  Problem p({3, 4, 4, 5, 11, 6, 7}, random);
  p.args.path = path;
  SECTION("query over the batch") { p.args.query.batch_stride = 0; }
  SECTION("query over the heads") { p.args.query.head_stride = 0; }
  SECTION("key over the batch") { p.args.key.batch_stride = 0; }
  SECTION("key over the heads") { p.args.key.head_stride = 0; }
  SECTION("value over batch and heads") { p.args.value.batch_stride = p.args.value.head_stride = 0; }
  REQUIRE(p.check() == "");
}

TEST_CASE("layout: any alignment of floats", "[inside][attention][layout]") {
  const Path path = GENERATE(from_range(test::paths()));
  const std::int64_t query_length = GENERATE(1, 20);
  Random random(64);
  Problem p({1, 2, 2, query_length, 33, 17, 17}, random);
  p.args.path = path;
  REQUIRE(p.check() == "");
  for (const std::size_t offset : std::vector<std::size_t>{1, 2, 3, 5}) {
    const auto shifted = [&](const std::vector<float>& x) {
      std::vector<float> y(offset, -1e30f);
      y.insert(y.end(), x.begin(), x.end());
      return y;
    };
    const std::vector<float> q = shifted(p.q), k = shifted(p.k), v = shifted(p.v);
    std::vector<float> output(p.output.size() + offset + 3, test::canary), want = p.output;
    want.insert(want.begin(), offset, test::canary);
    want.insert(want.end(), 3, test::canary);
    attn::AttentionArgs args = p.args;
    args.query.data = q.data() + offset;
    args.key.data = k.data() + offset;
    args.value.data = v.data() + offset;
    args.output.data = output.data() + offset;
    REQUIRE(attn::attention(args).ok());
    INFO("offset " << offset);
    if (path == Path::streaming) CHECK(test::bits_difference(output, want) == "");
    CHECK(test::difference(output, want, 4e-6) == "");
  }
}

TEST_CASE("layout: not a byte outside the tensors is touched", "[inside][attention][layout]") {
  const Path path = GENERATE(from_range(test::paths()));
  Random random(65);
  CAPTURE(random.seed());
  for (const test::Edge edge : {test::Edge::before, test::Edge::after})
    for (const std::int64_t dim : {1, 3, 5, 17, 64})
      for (const std::int64_t keys : {1, 3, 7, 15, 33, 513})
        for (const std::int64_t queries : {1, 3, 14}) {
          if (keys > 500 && dim != 5) continue;
          const std::int64_t value_dim = random.pick(std::vector<std::int64_t>{1, 3, 17, 64});
          Problem p({1, 2, 1, queries, keys, dim, value_dim}, random);
          test::GuardedFloats q(p.q.size(), edge), k(p.k.size(), edge), v(p.v.size(), edge), out(p.output.size(), edge);
          std::copy(p.q.begin(), p.q.end(), q.begin());
          std::copy(p.k.begin(), p.k.end(), k.begin());
          std::copy(p.v.begin(), p.v.end(), v.begin());
          std::fill(out.begin(), out.end(), test::canary);
          p.args.path = path;
          p.args.causal = random.flip();
          p.args.query.data = q.data();
          p.args.key.data = k.data();
          p.args.value.data = v.data();
          p.args.output.data = out.data();
          test::GuardedFloats lse(2 * queries, edge);
          test::GuardedFloats weights(2 * queries * keys, edge);
          p.args.logsumexp = lse.data();
          if (path == Path::blas && random.flip()) p.args.weights = attn::bhtd(weights.data(), 2, queries, keys);
          INFO(describe(p.args));
          REQUIRE(p.check() == "");
        }
}

TEST_CASE("layout: keys past the length are not even mapped", "[inside][attention][layout]") {
  const Path path = GENERATE(from_range(test::paths()));
  Random random(66);
  for (const std::int64_t length : {1, 7, 16, 33}) {
    Problem p({1, 1, 1, 5, 100, 8, 8}, random);
    test::GuardedFloats k(length * 8, test::Edge::after), v(k.size(), test::Edge::after);
    std::copy_n(p.k.begin(), k.size(), k.begin());
    std::copy_n(p.v.begin(), v.size(), v.begin());
    p.args.key.data = k.data();
    p.args.value.data = v.data();
    p.args.key_lengths = &length;
    p.args.path = path;
    INFO("length " << length);
    REQUIRE(p.check() == "");
  }
}

TEST_CASE("layout: not a byte outside of panels is touched", "[inside][attention][layout][panels]") {
  const Path path = GENERATE(from_range(test::paths()));
  Random random(67);
  for (const test::Edge edge : {test::Edge::before, test::Edge::after})
    for (const bool halves : {false, true})
      for (const std::int64_t dim : {1, 3, 5, 17, 64})
        for (const std::int64_t keys : {1, 3, 15, 33, 100, 513})
          for (const std::int64_t queries : {1, 3, 14}) {
            if (keys > 500 && dim != 5) continue;
            Problem p({1, 2, 1, queries, keys, dim, 3}, random);
            // As halves the floats are other numbers, of which some are not finite.
            test::GuardedFloats panels(attn::panel_rows(keys) * dim / (halves ? 2 : 1), edge);
            for (float& x : panels) x = halves ? 0.5f : random.normal();
            p.args.path = path;
            p.args.key = attn::key_panels(panels.data(), 1, keys, dim);
            if (halves) p.args.key.dtype = attn::DType::bf16;
            p.args.key_layout = attn::KeyLayout::panels;
            INFO(describe(p.args));
            REQUIRE(p.check() == "");
          }
}
