// P1 of layers whose projections are the library's own (Projection::tiles): any numbers, the same bits.
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "attn/layers.hpp"
#include "attn/parallel.hpp"
#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/data_file.hpp"
#include "support/hashes.hpp"
#include "support/isas.hpp"
#include "support/random.hpp"

namespace {

using attn::AttentionResult;
using attn::Linear;
using attn::MultiHeadAttention;
using attn::Parallel;
using attn::Projection;

// Runs the tasks of so many threads one after the other, the last thread first.
Parallel backwards(std::int64_t threads) {
  Parallel p;
  p.threads = threads;
  p.run = [](void*, std::int64_t count, Parallel::Task task, void* argument) {
    for (std::int64_t i = count; i-- > 0;) task(argument, i);
  };
  return p;
}

std::vector<float> scaled(test::Random& random, std::int64_t count, float scale) {
  std::vector<float> x = random.normals(count);
  for (float& value : x) value *= scale;
  return x;
}

struct Weights {
  std::int64_t in, out;
  std::vector<float> w, b;
  Weights(test::Random& random, std::int64_t from, std::int64_t to)
      : in(from), out(to), w(scaled(random, from * to, 0.1f)), b(random.normals(to)) {}
  Linear linear() const { return Linear(in, out, w.data(), b.data()); }
};

std::vector<float> forward(
    const Linear& linear, const float* x, std::int64_t rows, const Parallel* parallel = nullptr) {
  std::vector<float> y(rows * linear.out_dim());
  linear.forward_into(x, rows, y.data(), parallel);
  return y;
}

// Four query heads, two KV heads of 24, biases everywhere.
struct Layer {
  static constexpr std::int64_t embed_dim = 40, num_heads = 4, kv_heads = 2, head_dim = 24, batch = 3, length = 45;
  test::Random random{131};
  Weights q{random, embed_dim, num_heads*head_dim}, k{random, embed_dim, kv_heads*head_dim},
      v{random, embed_dim, kv_heads*head_dim}, o{random, num_heads*head_dim, embed_dim};
  std::vector<float> x = random.normals(batch * length * embed_dim);
  std::vector<std::int64_t> lengths{45, 20, 1};

  MultiHeadAttention attention() const {
    attn::MultiHeadConfig c;
    c.embed_dim = embed_dim;
    c.num_heads = num_heads;
    c.kv_heads = kv_heads;
    c.head_dim = head_dim;
    c.w_q = q.w.data();
    c.b_q = q.b.data();
    c.w_k = k.w.data();
    c.b_k = k.b.data();
    c.w_v = v.w.data();
    c.b_v = v.b.data();
    c.w_o = o.w.data();
    c.b_o = o.b.data();
    c.projection = Projection::tiles;
    return MultiHeadAttention(c);
  }
};

}  // namespace

TEST_CASE("projection bits: Linear", "[same_bits][layers][hashes]") {
  test::Random random(132);
  test::Hash hash;
  for (const std::int64_t rows : {1, 2, 5, 12, 13, 150})
    for (const std::int64_t in : {1, 30, 300})
      for (const std::int64_t out : {1, 40, 128}) {
        const Linear linear = Weights(random, in, out).linear();
        hash.add(forward(linear, random.normals(rows * in).data(), rows));
      }
  CHECK(test::hash_difference("projection/linear", hash.value()) == "");
}

TEST_CASE("projection bits: SelfAttention with its own weights", "[same_bits][layers][hashes]") {
  test::Random random(133);
  for (const std::int64_t length : {1, 6, 100}) {
    const attn::SelfAttention layer(48, 20, 42, Projection::tiles);
    const AttentionResult r = layer.forward(random.normals(length * 48).data(), length);
    const std::string name = "projection/self-attention, " + std::to_string(length) + " tokens";
    CHECK(test::hash_difference(name, test::Hash().add(r.output).add(r.weights).value()) == "");
  }
}

TEST_CASE("projection bits: MultiHeadAttention, with and without weights", "[same_bits][layers][hashes]") {
  const Layer layer;
  const MultiHeadAttention attention = layer.attention();
  for (const bool causal : {false, true})
    for (const bool need_weights : {false, true}) {
      attn::ForwardOptions options;
      options.causal = causal;
      options.need_weights = need_weights;
      options.key_lengths = layer.lengths.data();
      const AttentionResult r = attention.forward(layer.x.data(), Layer::batch, Layer::length, options);
      const std::string name =
          std::string("projection/multi-head") + (causal ? ", causal" : "") + (need_weights ? ", weights" : "");
      CHECK(test::hash_difference(name, test::Hash().add(r.output).add(r.weights).value()) == "");
    }
}

TEST_CASE("projection bits: two heads of MiniLM", "[same_bits][layers][hashes]") {
  const test::DataFile file = test::read_data_file(ATTN_TEST_DATA "/minilm_layer0_heads01.txt");
  const auto floats = [&](const char* name) { return file.array(name).floats(); };
  const std::vector<float> w_q = floats("W_q"), w_k = floats("W_k"), w_v = floats("W_v"), b_q = floats("b_q"),
                           b_k = floats("b_k"), b_v = floats("b_v"), x = floats("X");
  const std::vector<std::int64_t> lengths = file.array("key_lengths").integers();
  attn::MultiHeadConfig c;
  c.embed_dim = 384;
  c.num_heads = 2;
  c.head_dim = 32;
  c.w_q = w_q.data();
  c.w_k = w_k.data();
  c.w_v = w_v.data();
  c.b_q = b_q.data();
  c.b_k = b_k.data();
  c.b_v = b_v.data();
  c.projection = Projection::tiles;
  attn::ForwardOptions options;
  options.key_lengths = lengths.data();
  options.need_weights = true;
  const AttentionResult r = MultiHeadAttention(c).forward(x.data(), 2, 15, options);
  CHECK(test::difference(r.output, file.array("output").values, 1e-6) == "");
  CHECK(test::hash_difference("projection/MiniLM", test::Hash().add(r.output).add(r.weights).value()) == "");
}

TEST_CASE("projection bits: threads change none", "[same_bits][layers]") {
  test::Random random(134);
  attn::ThreadPool pool(3);
  std::vector<Parallel> all{pool.parallel()};
  for (const std::int64_t threads : {1, 2, 5, 64, 1000}) all.push_back(backwards(threads));
  // So large that there is work for several workers, and tasks of all sorts of edges.
  for (const std::int64_t rows : {1, 2, 3, 12, 29, 130, 300})
    for (const std::int64_t out : {24, 200, 1001}) {
      const Linear linear = Weights(random, 100, out).linear();
      const std::vector<float> x = random.normals(rows * 100), want = forward(linear, x.data(), rows);
      for (const Parallel& parallel : all) {
        INFO(rows << " rows to " << out << ", " << parallel.threads << " threads");
        REQUIRE(test::bits_difference(forward(linear, x.data(), rows, &parallel), want) == "");
      }
    }
  const Layer layer;
  const MultiHeadAttention attention = layer.attention();
  attn::ForwardOptions options;
  options.need_weights = true;
  const AttentionResult want = attention.forward(layer.x.data(), Layer::batch, Layer::length, options);
  for (const Parallel& parallel : all) {
    options.parallel = &parallel;
    const AttentionResult got = attention.forward(layer.x.data(), Layer::batch, Layer::length, options);
    CHECK(test::bits_difference(got.output, want.output) == "");
    CHECK(test::bits_difference(got.weights, want.weights) == "");
  }
}

TEST_CASE("projection: the caller's threads get the work", "[same_bits][layers]") {
  test::Random random(135);
  std::int64_t most = 0;
  Parallel parallel = backwards(64);
  parallel.context = &most;
  parallel.run = [](void* context, std::int64_t count, Parallel::Task task, void* argument) {
    *static_cast<std::int64_t*>(context) = std::max(*static_cast<std::int64_t*>(context), count);
    for (std::int64_t i = 0; i < count; ++i) task(argument, i);
  };
  const Linear large = Weights(random, 384, 1536).linear(), small = Weights(random, 8, 8).linear();
  const std::vector<float> x = random.normals(300 * 384);
  forward(small, x.data(), 4, &parallel);
  CHECK(most == 0);  // far less than what a worker is worth
  forward(large, x.data(), 300, &parallel);
  CHECK(most == 64);
}

TEST_CASE("projection bits: a row alone and in a batch, at any place", "[same_bits][layers]") {
  test::Random random(136);
  const Linear linear = Weights(random, 270, 75).linear();
  constexpr std::int64_t rows = 40;
  const std::vector<float> x = random.normals(rows * 270), want = forward(linear, x.data(), rows);
  for (std::int64_t first = 0; first < rows; ++first)
    for (const std::int64_t count : {1, 2, 3, 7, 14}) {
      if (first + count > rows) continue;
      INFO("rows " << first << " to " << first + count);
      const std::vector<float> part(want.begin() + first * 75, want.begin() + (first + count) * 75);
      REQUIRE(test::bits_difference(forward(linear, x.data() + first * 270, count), part) == "");
    }
}

TEST_CASE("projection bits: an item alone and in a batch", "[same_bits][layers]") {
  const Layer layer;
  const MultiHeadAttention attention = layer.attention();
  attn::ForwardOptions options;
  options.need_weights = true;
  options.key_lengths = layer.lengths.data();
  const AttentionResult all = attention.forward(layer.x.data(), Layer::batch, Layer::length, options);
  for (std::int64_t b = 0; b < Layer::batch; ++b) {
    options.key_lengths = &layer.lengths[b];
    const AttentionResult one =
        attention.forward(layer.x.data() + b * Layer::length * Layer::embed_dim, 1, Layer::length, options);
    const auto part = [&](const std::vector<float>& of) {
      const std::int64_t size = static_cast<std::int64_t>(of.size()) / Layer::batch;
      return std::vector<float>(of.begin() + b * size, of.begin() + (b + 1) * size);
    };
    CHECK(test::bits_difference(one.output, part(all.output)) == "");
    CHECK(test::bits_difference(one.weights, part(all.weights)) == "");
  }
}

TEST_CASE("projection bits: weights packed once serve every instruction set", "[same_bits][layers]") {
  test::Random random(137);
  const Weights weights(random, 90, 100);
  const Linear here = weights.linear(), there = test::on_scalar([&] { return weights.linear(); });
  const std::vector<float> x = random.normals(20 * 90), want = forward(here, x.data(), 20);
  CHECK(test::bits_difference(forward(there, x.data(), 20), want) == "");
  CHECK(test::bits_difference(test::on_scalar([&] { return forward(here, x.data(), 20); }), want) == "");
}

TEST_CASE("projection bits: both layouts of the weights", "[same_bits][layers]") {
  test::Random random(138);
  for (const std::int64_t out : {1, 16, 50}) {
    const Weights weights(random, 33, out);
    std::vector<float> turned(weights.w.size());
    for (std::int64_t k = 0; k < 33; ++k)
      for (std::int64_t n = 0; n < out; ++n) turned[n * 33 + k] = weights.w[k * out + n];
    const Linear linear(33, out, turned.data(), weights.b.data(), attn::WeightLayout::out_in);
    const std::vector<float> x = random.normals(9 * 33);
    CHECK(test::bits_difference(forward(linear, x.data(), 9), forward(weights.linear(), x.data(), 9)) == "");
  }
}
