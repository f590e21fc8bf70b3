// A bias of any type, with strides and factors of any kind, against the oracle, on both paths.
#include <limits>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/paths.hpp"
#include "support/random_problem.hpp"

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

}  // namespace

TEST_CASE("bias: in mixtures of all options, agrees with the oracle", "[right][bias][mixtures]") {
  const attn::Path path = GENERATE(from_range(test::paths()));
  for (int round = 0; round < test::rounds(3000); ++round) {
    test::Random random(static_cast<std::uint64_t>(19000 + round));
    test::RandomProblem p(random, path, round % 50 == 0);
    p.vary_bias(random);
    INFO("round " << round << ": " << test::describe(p.args()));
    REQUIRE(p.check() == "");
  }
}

TEST_CASE("bias: every type, columns side by side, apart, backwards and one for all", "[right][bias]") {
  const attn::Path path = GENERATE(from_range(test::paths()));
  const attn::DType type = GENERATE(attn::DType::f32, attn::DType::f16, attn::DType::bf16);
  static const float factors[] = {0.5f, -3, 0, 1};
  const std::int64_t rows = GENERATE(3, 40), keys = 530;
  for (const std::int64_t stride : {1, 3, -1, 0})
    for (const float* const by_head : {static_cast<const float*>(nullptr), factors}) {
      test::Random random(61);
      test::Problem p({1, 4, 2, rows, keys, 9, 20}, random);
      p.args.path = path;
      p.want_logsumexp();
      p.want_weights();
      if (path == attn::Path::blas) p.want_scores(attn::ScoresStage::biased);
      std::vector<float> floats = random.normals(rows * keys * 3);
      for (std::size_t i = 0; i < floats.size(); i += 11) floats[i] = -infinity;
      std::vector<std::uint16_t> halves;
      for (const float x : floats)
        halves.push_back(
            x == -infinity                 ? (type == attn::DType::f16 ? 0xfc00 : 0xff80)
                : type == attn::DType::f32 ? 0
                                           : test::to_half(x, type));
      const std::int64_t start = stride < 0 ? keys - 1 : 0;
      const void* const data =
          type == attn::DType::f32 ? static_cast<const void*>(floats.data() + start) : halves.data() + start;
      p.args.bias = {data, type, 0, 0, keys * (stride == 3 ? 3 : 1), stride, by_head};
      INFO(test::describe(p.args) << ", column stride " << stride);
      CHECK(p.check() == "");
    }
}

TEST_CASE("bias: +inf and NaN are seen, -inf never", "[right][bias]") {
  const attn::Path path = GENERATE(from_range(test::paths()));
  for (const float x : {infinity, std::numeric_limits<float>::quiet_NaN()}) {
    test::Random random(62);
    test::Problem p({1, 1, 1, 20, 40, 9, 20}, random);
    std::vector<float> bias(20 * 40, 0.0f);
    bias[3 * 40 + 7] = x;
    bias[5 * 40 + 7] = -infinity;
    for (int j = 0; j < 40; ++j) bias[8 * 40 + j] = -infinity;
    p.args.path = path;
    p.args.bias = {bias.data(), attn::DType::f32, 0, 0, 40, 1};
    p.want_logsumexp();
    p.want_weights();
    CHECK(p.check() == "");
  }
}
