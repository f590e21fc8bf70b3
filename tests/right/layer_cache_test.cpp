// The cache of MultiHeadAttention, against the formula in double, and call after call against one call.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "attn/layers.hpp"
#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/layer_call.hpp"
#include "support/random.hpp"

using test::CacheMemory;
using test::index;
using test::Layer;
using test::LayerCall;

namespace {

void check(const Layer& l, const LayerCall& call) {
  for (const bool weights : {false, true}) {
    CAPTURE(weights);
    CHECK(test::check(l, call, weights) == "");
  }
}

}  // namespace

TEST_CASE("layer cache: keys and values of x are appended, then all rows in use are attended to", "[right][layers]") {
  test::Random random(50);
  CAPTURE(random.seed());
  Layer l = test::make_layer(random, 12, 4, 2, 6);
  test::add_biases(l, random);
  test::add_output_projection(l, random, true);
  for (const attn::DType type : {attn::DType::f32, attn::DType::f16, attn::DType::bf16})
    for (const auto layout : {CacheMemory::apart, CacheMemory::interleaved, CacheMemory::rows_first})
      for (const std::int64_t length : {1, 4})
        for (const bool causal : {false, true}) {
          LayerCall c;
          c.batch = 3;
          c.length = length;
          c.x = random.normals(index(3 * length * 12));
          c.options.causal = causal;
          c.cache.push_back(test::make_cache(random, l, {0, 13, 7}, 17, type, layout));
          check(l, c);
          c.options.alignment = attn::Alignment::bottom_right;  // changes nothing
          check(l, c);
          c.key_lengths = {length, 0, length / 2};
          check(l, c);
        }
}

TEST_CASE("layer cache: a context is appended once, then queries attend to what is there", "[right][layers]") {
  test::Random random(51);
  CAPTURE(random.seed());
  const Layer l = test::make_layer(random, 12, 2, 2, 6, 9);
  LayerCall c;
  c.batch = 2;
  c.length = 3;
  c.x = random.normals(2 * 3 * 12);
  c.has_context = true;
  c.context_length = 5;
  c.context = random.normals(2 * 5 * 9);
  c.cache.push_back(test::make_cache(random, l, {0, 2}, 8));
  check(l, c);
  c.key_lengths = {4, 5};
  check(l, c);
  const attn::MultiHeadAttention layer(l.config());
  const test::LayerFloats first = test::run(layer, l, c, true);
  CHECK(c.cache[0].lengths == std::vector<std::int64_t>{4, 7});

  c.key_lengths.clear();
  c.context_length = 0;
  c.context.clear();
  check(l, c);
  const test::LayerFloats again = test::run(layer, l, c, true);
  CHECK(c.cache[0].lengths == std::vector<std::int64_t>{4, 7});
  CHECK(test::bits_equal(again.output, first.output));
  CHECK(test::bits_equal(again.weights, first.weights));
  for (const attn::Alignment alignment : {attn::Alignment::top_left, attn::Alignment::bottom_right}) {
    c.options.causal = true;
    c.options.alignment = alignment;
    check(l, c);
  }
}

TEST_CASE("layer cache: mask, bias and averaged weights count the cache's rows", "[right][layers]") {
  test::Random random(52);
  CAPTURE(random.seed());
  const Layer l = test::make_layer(random, 12, 4, 2, 6);
  LayerCall c;
  c.batch = 2;
  c.length = 3;
  c.x = random.normals(2 * 3 * 12);
  c.cache.push_back(test::make_cache(random, l, {5, 8}, 12));
  const bool all[4] = {true, true, true, true};
  c.add_mask(random, l, all);
  check(l, c);
  c.add_bias(random, l, all, true);
  c.options.average_weights = true;
  check(l, c);
}

TEST_CASE("layer cache: token by token, in chunks and at once", "[right][layers]") {
  test::Random random(53);
  CAPTURE(random.seed());
  const std::int64_t length = 40;
  Layer l = test::make_layer(random, 24, 4, 2, 8);
  test::add_output_projection(l, random, true);
  const std::vector<float> x = random.normals(index(length * 24));
  attn::ForwardOptions causal;
  causal.causal = true;
  const std::vector<double> want = test::expected(l, x.data(), 1, length, causal).output;
  const attn::MultiHeadAttention layer(l.config());
  for (const std::int64_t step : {1, 7, 40}) {
    CAPTURE(step);
    CacheMemory memory = test::make_cache(random, l, {0}, length);
    const attn::LayerCache cache = memory.view();
    attn::ForwardOptions options = causal;
    options.cache = &cache;
    std::vector<float> got;
    for (std::int64_t t = 0; t < length; t += step) {
      const attn::AttentionResult part = layer.forward(x.data() + t * 24, 1, std::min(step, length - t), options);
      got.insert(got.end(), part.output.begin(), part.output.end());
    }
    CHECK(memory.lengths[0] == length);
    CHECK(test::difference(got, want, 1e-4) == "");
  }
}

TEST_CASE("layer cache: no tokens change nothing", "[right][layers]") {
  test::Random random(54);
  CAPTURE(random.seed());
  const Layer l = test::make_layer(random, 12, 2, 2, 6);
  LayerCall c;
  c.batch = 2;
  c.cache.push_back(test::make_cache(random, l, {3, 0}, 4));
  check(l, c);
  // Nothing is computed, and the context is there for the calls to come.
  c.has_context = true;
  c.context_length = 1;
  c.context = random.normals(2 * 12);
  check(l, c);
}
