// The two layers against the data files of NumPy and against loops in double.
#include "attn/layers.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "layers/numpy_random.hpp"
#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/data_file.hpp"
#include "support/layer.hpp"
#include "support/random.hpp"

using attn::AttentionResult;
using attn::ForwardOptions;
using attn::MultiHeadAttention;
using attn::MultiHeadConfig;
using attn::SelfAttention;
using attn::WeightLayout;

using test::add_biases;
using test::add_output_projection;
using test::index;
using test::Layer;
using test::make_layer;
using test::transposed;

namespace {

// With and without weights.
void check(const Layer& l, std::int64_t batch, std::int64_t length, ForwardOptions options, test::Random& random) {
  const std::vector<float> x = random.normals(index(batch * length * l.embed_dim));
  const test::LayerResult want = test::expected(l, x.data(), batch, length, options);
  const MultiHeadAttention layer(l.config());
  CHECK(layer.out_dim() == (l.w_o.empty() ? l.num_heads * l.head_dim : l.embed_dim));

  const std::vector<float> before = x;
  options.need_weights = true;
  const AttentionResult with = layer.forward(x.data(), batch, length, options);
  CHECK(test::difference(with.output, want.output, 1e-4) == "");
  CHECK(test::difference(with.weights, want.weights, 1e-5) == "");
  options.need_weights = false;
  const AttentionResult without = layer.forward(x.data(), batch, length, options);
  CHECK(test::difference(without.output, want.output, 1e-4) == "");
  CHECK(without.weights.empty());
  CHECK(test::bits_equal(x, before));
}

}  // namespace

// ---- The seed ----

TEST_CASE("The seed's example gives the seed's output and weights", "[right][layers]") {
  const test::DataFile file = test::read_data_file(ATTN_TEST_DATA "/seed_example.txt");
  const std::int64_t embed_dim = file.integer("embed_dim"), head_dim = file.integer("head_dim");
  const std::vector<float> x = file.array("X").floats();
  const std::vector<float> w_q = file.array("W_q").floats(), w_k = file.array("W_k").floats(),
                           w_v = file.array("W_v").floats();
  const SelfAttention layer(embed_dim, head_dim, w_q.data(), w_k.data(), w_v.data());
  CHECK(layer.embed_dim() == 8);
  CHECK(layer.head_dim() == 8);
  const AttentionResult result = layer.forward(x.data(), file.array("X").shape[0]);
  CHECK(test::difference(result.output, file.array("output").values, 1e-6) == "");
  CHECK(test::difference(result.weights, file.array("weights").values, 1e-6) == "");

  const std::vector<float> q = transposed(w_q, embed_dim, head_dim), k = transposed(w_k, embed_dim, head_dim),
                           v = transposed(w_v, embed_dim, head_dim);
  const SelfAttention other(embed_dim, head_dim, q.data(), k.data(), v.data(), WeightLayout::out_in);
  const AttentionResult same = other.forward(x.data(), 4);
  CHECK(test::bits_equal(same.output, result.output));
  CHECK(test::bits_equal(same.weights, result.weights));
}

TEST_CASE("RandomState draws NumPy's numbers", "[right][layers]") {
  const test::DataFile file = test::read_data_file(ATTN_TEST_DATA "/seed_example.txt");
  attn::RandomState random(42);
  for (const char* name : {"X", "W_q", "W_k", "W_v"}) {
    const double factor = name[0] == 'X' ? 1 : 0.1;
    for (const float want : file.array(name).floats()) {
      const float got = static_cast<float>(factor * random.randn());
      CHECK(
          std::abs(static_cast<std::int64_t>(test::bits(got)) - static_cast<std::int64_t>(test::bits(want))) <=
          1);  // ULP
    }
  }
}

TEST_CASE("A seed gives the layer 0.1 randn for W_q, then W_k, then W_v", "[right][layers]") {
  const std::int64_t embed_dim = 5, head_dim = 3;
  for (const std::uint32_t seed : {0u, 42u, 4294967295u}) {
    attn::RandomState random(seed);
    std::vector<float> w[3];
    for (std::vector<float>& part : w)
      for (std::int64_t i = 0; i < embed_dim * head_dim; ++i) part.push_back(static_cast<float>(0.1 * random.randn()));
    std::vector<float> x;
    for (int i = 0; i < 4 * embed_dim; ++i) x.push_back(static_cast<float>(random.randn()));
    const AttentionResult want =
        SelfAttention(embed_dim, head_dim, w[0].data(), w[1].data(), w[2].data()).forward(x.data(), 4);
    const AttentionResult got = SelfAttention(embed_dim, head_dim, seed).forward(x.data(), 4);
    CHECK(test::bits_equal(got.output, want.output));
    CHECK(test::bits_equal(got.weights, want.weights));
    if (seed == 42) {
      const AttentionResult by_default = SelfAttention(embed_dim, head_dim).forward(x.data(), 4);
      CHECK(test::bits_equal(by_default.output, want.output));
    }
  }
}

TEST_CASE("SelfAttention is one head of MultiHeadAttention", "[right][layers]") {
  test::Random random(21);
  CAPTURE(random.seed());
  for (const std::int64_t length : {1, 2, 30}) {
    const Layer l = make_layer(random, 12, 1, 1, 20);
    const std::vector<float> x = random.normals(index(length * 12));
    const test::LayerResult want = test::expected(l, x.data(), 1, length, {});
    const AttentionResult result =
        SelfAttention(12, 20, l.w_q.data(), l.w_k.data(), l.w_v.data()).forward(x.data(), length);
    CHECK(test::difference(result.output, want.output, 1e-5) == "");
    CHECK(test::difference(result.weights, want.weights, 1e-5) == "");
  }
}

// ---- A real encoder ----

TEST_CASE("Two heads of MiniLM give NumPy's output and weights", "[right][layers]") {
  const test::DataFile file = test::read_data_file(ATTN_TEST_DATA "/minilm_layer0_heads01.txt");
  Layer l{};
  l.embed_dim = l.kv_dim = 384;
  l.num_heads = file.integer("num_heads");
  l.head_dim = file.integer("head_dim");
  l.w_q = file.array("W_q").floats();
  l.w_k = file.array("W_k").floats();
  l.w_v = file.array("W_v").floats();
  l.b_q = file.array("b_q").floats();
  l.b_k = file.array("b_k").floats();
  l.b_v = file.array("b_v").floats();
  std::vector<float> x = file.array("X").floats();
  const std::vector<std::int64_t> lengths = file.array("key_lengths").integers();
  ForwardOptions options;
  options.key_lengths = lengths.data();
  const MultiHeadAttention layer(l.config());

  const AttentionResult streamed = layer.forward(x.data(), 2, 15, options);
  CHECK(test::difference(streamed.output, file.array("output").values, 1e-6) == "");
  options.need_weights = true;
  const AttentionResult result = layer.forward(x.data(), 2, 15, options);
  CHECK(test::difference(result.output, file.array("output").values, 1e-6) == "");
  CHECK(test::difference(result.weights, file.array("weights").values, 1e-6) == "");

  // What stands in padding tokens changes no row of a token.
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::fill(x.begin() + (15 + 8) * 384, x.end(), nan);
  std::vector<double> want = file.array("output").values;
  want.resize((15 + 8) * 64);
  for (const bool need_weights : {false, true}) {
    options.need_weights = need_weights;
    AttentionResult padded = layer.forward(x.data(), 2, 15, options);
    padded.output.resize((15 + 8) * 64);
    CHECK(test::difference(padded.output, want, 1e-6) == "");
  }
}

// ---- Every member, against the loops ----

TEST_CASE("MultiHeadAttention computes its formula", "[right][layers]") {
  test::Random random(22);
  CAPTURE(random.seed());
  struct Sizes {
    std::int64_t embed_dim, num_heads, kv_heads, head_dim, batch, length;
  };
  for (const Sizes s :
       {Sizes{8, 2, 2, 4, 1, 1},  // one token
        Sizes{24, 3, 3, 8, 1, 1},  // one token, one-row products
        Sizes{24, 3, 1, 8, 2, 1},  // a batch of single tokens, all heads share keys
        Sizes{16, 4, 2, 16, 2, 19},  // grouped, head_dim is not embed_dim / num_heads
        Sizes{33, 1, 1, 7, 3, 5},  // odd sizes
        Sizes{20, 6, 3, 5, 1, 70}}) {  // more rows than one tile
    CAPTURE(s.embed_dim, s.num_heads, s.kv_heads, s.head_dim, s.batch, s.length);
    for (const bool biases : {false, true})
      for (const int projection : {0, 1, 2}) {
        CAPTURE(biases, projection);
        Layer l = make_layer(random, s.embed_dim, s.num_heads, s.kv_heads, s.head_dim);
        if (biases) add_biases(l, random);
        if (projection > 0) add_output_projection(l, random, projection == 2);
        ForwardOptions options;
        check(l, s.batch, s.length, options, random);
        options.causal = true;
        check(l, s.batch, s.length, options, random);
        std::vector<std::int64_t> lengths;
        for (std::int64_t b = 0; b < s.batch; ++b) lengths.push_back(random.integer(0, s.length));
        options.key_lengths = lengths.data();
        check(l, s.batch, s.length, options, random);
        options.causal = false;
        check(l, s.batch, s.length, options, random);
      }
  }
}

TEST_CASE("Each bias counts on its own", "[right][layers]") {
  test::Random random(23);
  CAPTURE(random.seed());
  for (const int which : {0, 1, 2}) {
    CAPTURE(which);
    Layer l = make_layer(random, 10, 2, 1, 6);
    add_biases(l, random);
    if (which != 0) l.b_q.clear();
    if (which != 1) l.b_k.clear();
    if (which != 2) l.b_v.clear();
    check(l, 2, 9, {}, random);
  }
}

TEST_CASE("kv_heads and head_dim have defaults", "[right][layers]") {
  test::Random random(24);
  CAPTURE(random.seed());
  const Layer l = make_layer(random, 12, 3, 3, 4);
  const std::vector<float> x = random.normals(5 * 12);
  MultiHeadConfig config = l.config();
  const AttentionResult want = MultiHeadAttention(config).forward(x.data(), 1, 5);
  config.kv_heads = config.head_dim = 0;
  const MultiHeadAttention layer(config);
  CHECK(test::bits_equal(layer.forward(x.data(), 1, 5).output, want.output));
  CHECK(layer.embed_dim() == 12);
  CHECK(layer.out_dim() == 12);
}

TEST_CASE("Both weight layouts give the same bits", "[right][layers]") {
  test::Random random(25);
  CAPTURE(random.seed());
  Layer l = make_layer(random, 14, 4, 2, 5);
  add_biases(l, random);
  add_output_projection(l, random, true);
  const std::vector<float> x = random.normals(2 * 6 * 14);
  ForwardOptions options;
  options.need_weights = true;
  const AttentionResult want = MultiHeadAttention(l.config()).forward(x.data(), 2, 6, options);

  l.w_q = transposed(l.w_q, 14, 20);
  l.w_k = transposed(l.w_k, 14, 10);
  l.w_v = transposed(l.w_v, 14, 10);
  l.w_o = transposed(l.w_o, 20, 14);
  MultiHeadConfig config = l.config();
  config.layout = WeightLayout::out_in;
  const AttentionResult got = MultiHeadAttention(config).forward(x.data(), 2, 6, options);
  CHECK(test::bits_equal(got.output, want.output));
  CHECK(test::bits_equal(got.weights, want.weights));
}

TEST_CASE("The layer keeps its own copy of the weights", "[right][layers]") {
  test::Random random(26);
  CAPTURE(random.seed());
  Layer l = make_layer(random, 8, 2, 2, 4);
  add_biases(l, random);
  add_output_projection(l, random, true);
  const std::vector<float> x = random.normals(3 * 8);
  const MultiHeadAttention layer(l.config());
  const AttentionResult want = layer.forward(x.data(), 1, 3);
  for (std::vector<float>* v : {&l.w_q, &l.w_k, &l.w_v, &l.b_q, &l.b_k, &l.b_v, &l.w_o, &l.b_o})
    std::fill(v->begin(), v->end(), std::numeric_limits<float>::quiet_NaN());
  CHECK(test::bits_equal(layer.forward(x.data(), 1, 3).output, want.output));
}

TEST_CASE("Threads do not change the bits of a layer", "[right][layers]") {
  test::Random random(27);
  CAPTURE(random.seed());
  const Layer l = make_layer(random, 16, 4, 4, 32);
  const std::vector<float> x = random.normals(2 * 300 * 16);  // smaller ones are not worth a second thread
  const MultiHeadAttention layer(l.config());
  const AttentionResult want = layer.forward(x.data(), 2, 300);

  // Counts the tasks and runs them last first.
  std::int64_t tasks = 0;
  attn::Parallel parallel;
  parallel.context = &tasks;
  parallel.threads = 3;
  parallel.run = [](void* context, std::int64_t count, attn::Parallel::Task task, void* argument) {
    *static_cast<std::int64_t*>(context) += count;
    for (std::int64_t i = count; i-- > 0;) task(argument, i);
  };
  ForwardOptions options;
  options.parallel = &parallel;
  CHECK(test::bits_equal(layer.forward(x.data(), 2, 300, options).output, want.output));
  CHECK(tasks > 1);
}
