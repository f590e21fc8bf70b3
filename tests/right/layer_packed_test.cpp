// Packed batches of MultiHeadAttention, against the formula in double.
#include <cstdint>
#include <vector>

#include "attn/layers.hpp"
#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/layer_call.hpp"
#include "support/paths.hpp"
#include "support/random.hpp"

using test::index;
using test::Layer;
using test::LayerCall;

namespace {

// Sequences of 3, 0, 8 and 1 tokens.
LayerCall packed(test::Random& random, const Layer& l) {
  LayerCall c;
  c.batch = 4;
  c.length = 9;
  c.cu_lengths = {0, 3, 3, 11, 12};
  c.x = random.normals(index(12 * l.embed_dim));
  return c;
}

// Contexts of 5, 2, 0 and 7 rows.
void add_context(test::Random& random, const Layer& l, LayerCall& c) {
  c.has_context = true;
  c.context_length = 7;
  c.cu_context_lengths = {0, 5, 7, 7, 14};
  c.context = random.normals(index(14 * l.kv_dim));
}

const bool all[4] = {true, true, true, true};

// Every option that a packed batch serves, one upon the other.
void check_all(test::Random& random, bool weights) {
  for (const std::int64_t kv_dim : {12, 7}) {
    Layer l = test::make_layer(random, 12, 4, 2, 6, kv_dim);
    test::add_biases(l, random);
    test::add_output_projection(l, random, true);
    LayerCall c = packed(random, l);
    if (kv_dim == 12) {
      CHECK(test::check(l, c, weights) == "");
      c.key_lengths = {2, 0, 8, 0};
      CHECK(test::check(l, c, weights) == "");
    }
    add_context(random, l, c);
    c.key_lengths.clear();
    CHECK(test::check(l, c, weights) == "");
    c.key_lengths = {5, 1, 0, 3};
    CHECK(test::check(l, c, weights) == "");
    c.options.causal = true;
    CHECK(test::check(l, c, weights) == "");
    c.options.alignment = attn::Alignment::bottom_right;
    CHECK(test::check(l, c, weights) == "");
    c.add_mask(random, l, all);
    CHECK(test::check(l, c, weights) == "");
    c.add_bias(random, l, all, true);
    CHECK(test::check(l, c, weights) == "");
    for (const attn::Path path : test::paths()) {
      c.options.path = path;
      CHECK(test::check(l, c, weights) == "");
    }
    if (!weights) continue;
    c.options.average_weights = true;
    CHECK(test::check(l, c, weights) == "");
  }
}

}  // namespace

TEST_CASE("layer: packed batches", "[right][layers]") {
  test::Random random(60);
  CAPTURE(random.seed());
  check_all(random, false);
}

TEST_CASE("layer: weights of packed batches", "[right][layers]") {
  test::Random random(61);
  CAPTURE(random.seed());
  check_all(random, true);
}

TEST_CASE("layer: a packed batch of nothing", "[right][layers]") {
  test::Random random(62);
  const Layer l = test::make_layer(random, 12, 4, 2, 6);
  const attn::MultiHeadAttention layer(l.config());
  const std::int64_t none[] = {0, 0, 0};
  attn::ForwardOptions options;
  options.cu_lengths = none;
  CHECK(layer.forward(nullptr, 2, 5, options).output.empty());
  CHECK(layer.forward(nullptr, 0, 5, options).output.empty());
}

TEST_CASE("layer: forward of a packed batch returns its rows", "[right][layers]") {
  test::Random random(63);
  CAPTURE(random.seed());
  const Layer l = test::make_layer(random, 12, 4, 2, 6);
  LayerCall c = packed(random, l);
  const attn::MultiHeadAttention layer(l.config());
  attn::ForwardOptions options;
  options.cu_lengths = c.cu_lengths.data();
  const attn::AttentionResult got = layer.forward(c.x.data(), 4, 9, options);
  CHECK(test::bits_equal(got.output, test::run(layer, l, c, false).output));
}
