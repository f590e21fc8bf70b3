// Linear against a sum in double.
#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "attn/layers.hpp"
#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/layer.hpp"
#include "support/random.hpp"

using attn::Linear;
using attn::Projection;
using attn::WeightLayout;
using test::index;

TEST_CASE("Linear: y = x W + b", "[right][layers]") {
  test::Random random(80);
  CAPTURE(random.seed());
  struct Sizes {
    std::int64_t rows, in, out;
  };
  for (const Sizes s :
       {Sizes{1, 1, 1}, {1, 40, 33}, {2, 3, 16}, {5, 17, 31}, {7, 64, 48}, {70, 33, 100}, {13, 600, 65}})
    for (const Projection projection : {Projection::blas, Projection::tiles})
      for (const bool with_bias : {false, true}) {
        CAPTURE(s.rows, s.in, s.out, static_cast<int>(projection), with_bias);
        const std::vector<float> x = random.normals(index(s.rows * s.in)), w = random.normals(index(s.in * s.out)),
                                 b = random.normals(index(with_bias ? s.out : 0)), t = test::transposed(w, s.in, s.out);
        const std::vector<double> want = test::linear(x.data(), s.rows, w, b, {s.in, s.out});
        const float* bias = with_bias ? b.data() : nullptr;
        const Linear linear(s.in, s.out, w.data(), bias, WeightLayout::in_out, projection);
        const Linear other(s.in, s.out, t.data(), bias, WeightLayout::out_in, projection);
        CHECK(linear.in_dim() == s.in);
        CHECK(linear.out_dim() == s.out);
        std::vector<float> y(want.size(), std::numeric_limits<float>::quiet_NaN()), y_other = y;
        linear.forward_into(x.data(), s.rows, y.data());
        other.forward_into(x.data(), s.rows, y_other.data());
        CHECK(test::difference(y, want, 1e-4) == "");
        CHECK(test::bits_equal(y, y_other));
      }
}

TEST_CASE("Linear keeps its own copy, and copies are whole", "[right][layers]") {
  test::Random random(81);
  CAPTURE(random.seed());
  for (const Projection projection : {Projection::blas, Projection::tiles}) {
    const std::vector<float> x = random.normals(3 * 20);
    std::vector<float> w = random.normals(20 * 18), b = random.normals(18), y(3 * 18), again(3 * 18);
    Linear linear(20, 18, w.data(), b.data(), WeightLayout::in_out, projection);
    linear.forward_into(x.data(), 3, y.data());
    std::fill(w.begin(), w.end(), 0.0f);
    std::fill(b.begin(), b.end(), 0.0f);
    const Linear copy = linear;
    linear = Linear(20, 18, w.data());
    copy.forward_into(x.data(), 3, again.data());
    CHECK(test::bits_equal(y, again));
  }
}

TEST_CASE("layers that were moved from still compute", "[right][layers]") {
  test::Random random(52);
  CAPTURE(random.seed());
  const std::vector<float> w = random.normals(48 * 48), x = random.normals(5 * 48);
  const auto same = [&](const attn::Linear& one, const attn::Linear& other) {
    std::vector<float> a(5 * 48), b(5 * 48);
    one.forward_into(x.data(), 5, a.data());
    other.forward_into(x.data(), 5, b.data());
    return test::bits_equal(a, b);
  };
  for (const attn::Projection projection : {attn::Projection::blas, attn::Projection::tiles}) {
    attn::Linear from(48, 48, w.data(), w.data(), attn::WeightLayout::in_out, projection);
    attn::Linear to(std::move(from));
    CHECK(same(from, to));  // NOLINT(bugprone-use-after-move)
    from = std::move(to);
    CHECK(same(from, to));  // NOLINT(bugprone-use-after-move)

    attn::MultiHeadConfig config;
    config.embed_dim = 48;
    config.num_heads = 3;
    config.w_q = config.w_k = config.w_v = config.w_o = w.data();
    config.projection = projection;
    attn::MultiHeadAttention heads(config);
    const attn::MultiHeadAttention moved(std::move(heads));
    CHECK(test::bits_equal(
        heads.forward(x.data(), 1, 5).output,
        moved.forward(x.data(), 1, 5).output));  // NOLINT(bugprone-use-after-move)
    attn::SelfAttention self(48, 16, 3, projection);
    const attn::SelfAttention moved_self(std::move(self));
    CHECK(test::bits_equal(
        self.forward(x.data(), 5).output, moved_self.forward(x.data(), 5).output));  // NOLINT(bugprone-use-after-move)
  }
}
