// P1 of what is the library's own in a layer. Every product here is exact (small integers, and weights that only move
// and halve them), so that each BLAS gives the same; the softmax and the streaming path do the rest.
#include "attn/layers.hpp"

#include <cstdint>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/hashes.hpp"
#include "support/random.hpp"

namespace {

// Odd eighths in (-2, 2): never 0, whose sign a BLAS may choose.
std::vector<float> tokens(test::Random& random, std::int64_t count) {
  std::vector<float> x;
  for (std::int64_t i = 0; i < count; ++i) x.push_back(static_cast<float>(2 * random.integer(-8, 7) + 1) / 8);
  return x;
}

// [rows, columns], row-major: each column takes one row, whole or halved, of either sign.
std::vector<float> moves(test::Random& random, std::int64_t rows, std::int64_t columns) {
  std::vector<float> w(rows * columns);
  for (std::int64_t c = 0; c < columns; ++c) {
    const float size = random.flip() ? 1.0f : 0.5f, sign = random.flip() ? 1.0f : -1.0f;  // in this order
    w[random.integer(0, rows - 1) * columns + c] = size * sign;
  }
  return w;
}

constexpr std::int64_t embed_dim = 24, num_heads = 4, kv_heads = 2, head_dim = 16, batch = 2, length = 37;

struct Layer {
  test::Random random{94};
  std::vector<float> w_q = moves(random, embed_dim, num_heads*head_dim),
                     w_k = moves(random, embed_dim, kv_heads*head_dim),
                     w_v = moves(random, embed_dim, kv_heads*head_dim),
                     w_o = moves(random, num_heads*head_dim, embed_dim), b_q = tokens(random, num_heads*head_dim),
                     x = tokens(random, batch*length*embed_dim);
  attn::MultiHeadConfig config() const {
    attn::MultiHeadConfig c;
    c.embed_dim = embed_dim;
    c.num_heads = num_heads;
    c.kv_heads = kv_heads;
    c.head_dim = head_dim;
    c.w_q = w_q.data();
    c.w_k = w_k.data();
    c.w_v = w_v.data();
    c.b_q = b_q.data();
    c.w_o = w_o.data();
    return c;
  }
};

}  // namespace

TEST_CASE("layer bits: the output of MultiHeadAttention on the streaming path", "[same_bits][layers][hashes]") {
  const Layer layer;
  const attn::MultiHeadAttention attention(layer.config());
  const std::int64_t lengths[] = {length, 20};
  for (const bool causal : {false, true}) {
    attn::ForwardOptions options;
    options.causal = causal;
    options.key_lengths = lengths;
    const attn::AttentionResult result = attention.forward(layer.x.data(), batch, length, options);
    const std::string name = std::string("layers/multi-head output") + (causal ? ", causal" : "");
    CHECK(test::hash_difference(name, test::Hash().add(result.output).value()) == "");
  }
}

TEST_CASE("layer bits: the weights of both layers", "[same_bits][layers][hashes]") {
  const Layer layer;
  attn::ForwardOptions options;
  options.need_weights = true;
  const attn::AttentionResult many =
      attn::MultiHeadAttention(layer.config()).forward(layer.x.data(), batch, length, options);
  CHECK(test::hash_difference("layers/multi-head weights", test::Hash().add(many.weights).value()) == "");
  test::Random random(95);
  const std::vector<float> w_q = moves(random, embed_dim, head_dim), w_k = moves(random, embed_dim, head_dim),
                           w_v = moves(random, embed_dim, head_dim);
  const attn::SelfAttention self(embed_dim, head_dim, w_q.data(), w_k.data(), w_v.data());
  const attn::AttentionResult one = self.forward(layer.x.data(), length);
  CHECK(test::hash_difference("layers/self-attention weights", test::Hash().add(one.weights).value()) == "");
}
