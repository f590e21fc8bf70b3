// Each option of MultiHeadAttention's calls on its own, against the formula in double. tests/right/layers_test.cpp has
// those of the layer; layer_mixtures_test.cpp mixes them.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "attn/layers.hpp"
#include "blas/blas.hpp"
#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/layer_call.hpp"
#include "support/paths.hpp"
#include "support/random.hpp"

using test::index;
using test::Layer;
using test::LayerCall;

namespace {

Layer layer_of(test::Random& random, std::int64_t kv_dim = 0) {
  Layer l = test::make_layer(random, 12, 4, 2, 6, kv_dim);
  test::add_biases(l, random);
  test::add_output_projection(l, random, true);
  return l;
}

LayerCall call_of(test::Random& random, const Layer& l, std::int64_t batch, std::int64_t length) {
  LayerCall c;
  c.batch = batch;
  c.length = length;
  c.x = random.normals(index(batch * length * l.embed_dim));
  return c;
}

void add_context(test::Random& random, const Layer& l, LayerCall& c, std::int64_t length) {
  c.has_context = true;
  c.context_length = length;
  c.context = random.normals(index(c.batch * length * l.kv_dim));
}

// With each kind of projection, and with and without weights.
void check(Layer l, const LayerCall& call) {
  for (const attn::Projection projection : {attn::Projection::blas, attn::Projection::tiles})
    for (const bool weights : {false, true}) {
      CAPTURE(static_cast<int>(projection), weights);
      l.projection = projection;
      CHECK(test::check(l, call, weights) == "");
    }
}

}  // namespace

TEST_CASE("layer: causal with Alignment::bottom_right", "[right][layers]") {
  test::Random random(40);
  CAPTURE(random.seed());
  const Layer l = layer_of(random);
  LayerCall c = call_of(random, l, 2, 7);
  c.options.causal = true;
  c.options.alignment = attn::Alignment::bottom_right;
  c.key_lengths = {7, 4};  // three queries of the second see no key
  check(l, c);
}

TEST_CASE("layer: average_weights", "[right][layers]") {
  test::Random random(41);
  CAPTURE(random.seed());
  const Layer l = layer_of(random);
  for (const std::int64_t length : {1, 9, 80}) {  // 80 x 80 floats: more than one task
    LayerCall c = call_of(random, l, 2, length);
    c.options.average_weights = true;
    check(l, c);
    c.options.causal = true;
    check(l, c);
  }
}

TEST_CASE("layer: average_weights sums in the order of the heads, with the same bits on threads", "[right][layers]") {
  test::Random random(42);
  CAPTURE(random.seed());
  const Layer l = layer_of(random);
  LayerCall c = call_of(random, l, 2, 80);
  const attn::MultiHeadAttention layer(l.config());
  const std::vector<float> each = test::run(layer, l, c, true).weights;
  std::vector<float> want(index(2 * 80 * 80));
  for (std::int64_t b = 0; b < 2; ++b)
    for (std::int64_t i = 0; i < 80 * 80; ++i) {
      float sum = each[index(b * 4 * 6400 + i)];
      for (std::int64_t h = 1; h < 4; ++h) sum += each[index((b * 4 + h) * 6400 + i)];
      want[index(b * 6400 + i)] = sum * (1.0f / 4);
    }
  c.options.average_weights = true;
  CHECK(test::bits_equal(test::run(layer, l, c, true).weights, want));
  attn::Parallel parallel;
  parallel.threads = 3;
  parallel.run = [](void*, std::int64_t count, attn::Parallel::Task task, void* argument) {
    for (std::int64_t i = count; i-- > 0;) task(argument, i);
  };
  c.options.parallel = &parallel;
  CHECK(test::bits_equal(test::run(layer, l, c, true).weights, want));
}

TEST_CASE("layer: path", "[right][layers]") {
  test::Random random(43);
  CAPTURE(random.seed());
  Layer l = layer_of(random);
  LayerCall c = call_of(random, l, 1, 30);
  for (const attn::Path path : test::paths()) {
    c.options.path = path;
    check(l, c);
  }
}

TEST_CASE("layer: path decides who attends, and automatic is streaming", "[right][layers]") {
  test::Random random(39);
  CAPTURE(random.seed());
  Layer l = test::make_layer(random, 16, 4, 4, 32);
  LayerCall c = call_of(random, l, 2, 300);
  // Their bits tell the paths apart: streaming divides sums of 300 products by the sum of weights, blas each weight.
  const auto output = [&](attn::Path path, bool weights) {
    c.options.path = path;
    return test::run(attn::MultiHeadAttention(l.config()), l, c, weights).output;
  };
  for (const attn::Projection projection : {attn::Projection::blas, attn::Projection::tiles}) {
    l.projection = projection;
    const std::vector<float> streaming = output(attn::Path::streaming, true);
    for (const bool weights : {false, true}) {
      CHECK(test::bits_equal(output(attn::Path::streaming, weights), streaming));
      CHECK(test::bits_equal(output(attn::Path::automatic, weights), streaming));
      if (attn::blas::built) CHECK(!test::bits_equal(output(attn::Path::blas, weights), streaming));
    }
  }
}

TEST_CASE("layer: SelfAttention takes the BLAS path with the BLAS, streaming with tiles", "[right][layers]") {
  test::Random random(40);
  CAPTURE(random.seed());
  Layer l = test::make_layer(random, 16, 1, 1, 32);
  LayerCall c = call_of(random, l, 1, 300);
  for (const attn::Projection projection : {attn::Projection::blas, attn::Projection::tiles}) {
    l.projection = projection;
    const bool blas = attn::blas::built && projection == attn::Projection::blas;
    c.options.path = blas ? attn::Path::blas : attn::Path::streaming;
    const test::LayerFloats want = test::run(attn::MultiHeadAttention(l.config()), l, c, true);
    const attn::AttentionResult got =
        attn::SelfAttention(16, 32, l.w_q.data(), l.w_k.data(), l.w_v.data(), attn::WeightLayout::in_out, projection)
            .forward(c.x.data(), 300);
    CHECK(test::bits_equal(got.output, want.output));
    CHECK(test::bits_equal(got.weights, want.weights));
  }
}

TEST_CASE("layer: threads are handed to products and attention", "[right][layers]") {
  test::Random random(38);
  CAPTURE(random.seed());
  Layer l = test::make_layer(random, 64, 4, 4, 32);
  test::add_output_projection(l, random, false);
  LayerCall c = call_of(random, l, 2, 300);
  std::int64_t calls = 0;
  attn::Parallel parallel;
  parallel.context = &calls;
  parallel.threads = 3;
  parallel.run = [](void* context, std::int64_t count, attn::Parallel::Task task, void* argument) {
    ++*static_cast<std::int64_t*>(context);
    for (std::int64_t i = 0; i < count; ++i) task(argument, i);
  };
  c.options.parallel = &parallel;
  test::run(attn::MultiHeadAttention(l.config()), l, c, false);
  const std::int64_t by_blas = calls;
  CHECK(by_blas >= 1);
  calls = 0;
  l.projection = attn::Projection::tiles;
  test::run(attn::MultiHeadAttention(l.config()), l, c, false);
  CHECK(calls == by_blas + (attn::blas::built ? 2 : 0));  // of x, and of the heads; without a BLAS both are tiles
}

TEST_CASE("layer: mask, and bias with factors of the heads", "[right][layers]") {
  test::Random random(44);
  CAPTURE(random.seed());
  const Layer l = layer_of(random);
  for (int whole = 0; whole < 16; ++whole) {
    const bool strides[4] = {(whole & 1) != 0, (whole & 2) != 0, (whole & 4) != 0, (whole & 8) != 0};
    LayerCall c = call_of(random, l, 2, 9);
    c.add_mask(random, l, strides);
    check(l, c);
    c.mask.clear();
    c.add_bias(random, l, strides, (whole & 1) != 0);
    check(l, c);
  }
}

TEST_CASE("layer: a context gives keys and values", "[right][layers]") {
  test::Random random(45);
  CAPTURE(random.seed());
  for (const std::int64_t kv_dim : {12, 5, 40}) {
    const Layer l = layer_of(random, kv_dim);
    for (const std::int64_t context_length : {0, 1, 19}) {
      CAPTURE(kv_dim, context_length);
      LayerCall c = call_of(random, l, 3, 6);
      add_context(random, l, c, context_length);
      check(l, c);
      for (int b = 0; b < 3; ++b) c.key_lengths.push_back(random.integer(0, context_length));
      check(l, c);
      c.options.causal = true;
      check(l, c);
      c.options.alignment = attn::Alignment::bottom_right;
      check(l, c);
    }
  }
}

TEST_CASE("layer: kv_dim that is embed_dim is the default", "[right][layers]") {
  test::Random random(46);
  CAPTURE(random.seed());
  const Layer l = layer_of(random);
  LayerCall c = call_of(random, l, 2, 6);
  attn::MultiHeadConfig config = l.config();
  CHECK(config.kv_dim == 0);
  const test::LayerFloats want = test::run(attn::MultiHeadAttention(config), l, c, false);
  config.kv_dim = 12;
  CHECK(test::bits_equal(test::run(attn::MultiHeadAttention(config), l, c, false).output, want.output));
}

TEST_CASE("layer: queries' columns that are no multiple of 16, beside a context", "[right][layers]") {
  test::Random random(47);
  CAPTURE(random.seed());
  for (const std::int64_t head_dim : {1, 5, 16, 17}) {
    const Layer l = test::make_layer(random, 12, 3, 1, head_dim);
    LayerCall c = call_of(random, l, 2, 6);
    check(l, c);
    add_context(random, l, c, 11);
    check(l, c);
  }
}

TEST_CASE("SelfAttention with Projection::tiles computes its formula", "[right][layers]") {
  test::Random random(48);
  CAPTURE(random.seed());
  const Layer l = test::make_layer(random, 12, 1, 1, 20);
  for (const std::int64_t length : {1, 30}) {
    const std::vector<float> x = random.normals(index(length * 12));
    const test::LayerResult want = test::expected(l, x.data(), 1, length, {});
    const attn::SelfAttention layer(
        12, 20, l.w_q.data(), l.w_k.data(), l.w_v.data(), attn::WeightLayout::in_out, attn::Projection::tiles);
    const attn::AttentionResult got = layer.forward(x.data(), length);
    CHECK(test::difference(got.output, want.output, 1e-5) == "");
    CHECK(test::difference(got.weights, want.weights, 1e-5) == "");
  }
  const std::vector<float> x = random.normals(4 * 5);
  const attn::AttentionResult a = attn::SelfAttention(5, 3, 7, attn::Projection::tiles).forward(x.data(), 4);
  const attn::AttentionResult b = attn::SelfAttention(5, 3, 7).forward(x.data(), 4);
  CHECK(test::difference(a.output, b.output, 1e-6) == "");
}

TEST_CASE("layer: what stands in the context's padding has no influence", "[right][layers]") {
  test::Random random(49);
  CAPTURE(random.seed());
  const Layer l = layer_of(random, 7);
  LayerCall c = call_of(random, l, 2, 6);
  add_context(random, l, c, 9);
  c.key_lengths = {9, 4};
  std::fill(c.context.begin() + (9 + 4) * 7, c.context.end(), std::nanf(""));
  check(l, c);
}
