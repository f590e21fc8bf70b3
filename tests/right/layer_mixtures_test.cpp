// Random mixtures of all that a multi-head layer and its calls take, against the formula in double.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "attn/layers.hpp"
#include "blas/blas.hpp"
#include "support/catch.hpp"
#include "support/isas.hpp"
#include "support/layer_call.hpp"
#include "support/random.hpp"

using test::index;
using test::Layer;
using test::LayerCall;

namespace {

Layer random_layer(test::Random& random) {
  const std::int64_t kv_heads = random.integer(1, 3), embed_dim = random.integer(1, 40);
  const std::int64_t group = random.integer(1, 3), head_dim = random.integer(1, 24);
  const std::int64_t value_dim = random.flip() ? 0 : random.integer(1, 40);
  Layer l = test::make_layer(random, embed_dim, kv_heads * group, kv_heads, head_dim, value_dim);
  if (random.flip()) test::add_biases(l, random);
  for (std::vector<float>* b : {&l.b_q, &l.b_k, &l.b_v})
    if (random.integer(0, 3) == 0) b->clear();
  if (random.flip()) test::add_output_projection(l, random, random.flip());
  for (float& w : l.w_o) w *= 0.2f;
  l.projection = random.flip() ? attn::Projection::tiles : attn::Projection::blas;
  return l;
}

// The batch's [0, ..., sum of lengths], each at most `most`.
std::vector<std::int64_t> cumulative(test::Random& random, std::int64_t batch, std::int64_t most) {
  std::vector<std::int64_t> cu = {0};
  for (std::int64_t b = 0; b < batch; ++b) cu.push_back(cu.back() + random.integer(0, most));
  return cu;
}

LayerCall random_call(test::Random& random, const Layer& l) {
  LayerCall c;
  c.batch = random.integer(1, 4);
  c.length = random.integer(0, 3) == 0 ? 1 : random.integer(0, 30);
  const bool packed = random.integer(0, 2) == 0;
  if (packed) c.cu_lengths = cumulative(random, c.batch, c.length);
  c.x = random.normals(index(c.rows() * l.embed_dim));
  c.has_context = l.kv_dim != l.embed_dim || random.flip();
  std::int64_t sources = c.batch * c.length;
  if (c.has_context) {
    c.context_length = random.integer(0, 30);
    sources = c.batch * c.context_length;
    if (packed) {
      c.cu_context_lengths = cumulative(random, c.batch, c.context_length);
      sources = c.cu_context_lengths.back();
    }
    c.context = random.normals(index(sources * l.kv_dim));
  }
  const std::int64_t source_length = c.has_context ? c.context_length : c.length;
  const std::vector<std::int64_t>& cu = c.has_context ? c.cu_context_lengths : c.cu_lengths;
  if (random.flip())
    for (std::int64_t b = 0; b < c.batch; ++b)
      c.key_lengths.push_back(random.integer(0, packed ? cu[index(b + 1)] - cu[index(b)] : source_length));
  if (!packed && random.flip()) {
    std::vector<std::int64_t> used;
    for (std::int64_t b = 0; b < c.batch; ++b) used.push_back(random.integer(0, 20));
    const std::int64_t capacity = *std::max_element(used.begin(), used.end()) + source_length + random.integer(0, 3);
    const auto type = static_cast<attn::DType>(random.integer(0, 2));
    const auto layout = static_cast<test::CacheMemory::Layout>(random.integer(0, 2));
    c.cache.push_back(test::make_cache(random, l, used, capacity, type, layout));
  }
  const auto whole = [&](bool(&dimensions)[4]) {
    for (bool& d : dimensions) d = random.flip();
  };
  bool dimensions[4];
  whole(dimensions);
  if (random.integer(0, 2) == 0) c.add_mask(random, l, dimensions);
  whole(dimensions);
  if (random.integer(0, 2) == 0) c.add_bias(random, l, dimensions, random.flip());
  c.options.causal = random.flip();
  c.options.alignment = random.flip() ? attn::Alignment::top_left : attn::Alignment::bottom_right;
  c.options.average_weights = random.flip();
  c.options.path = static_cast<attn::Path>(random.integer(0, 2));
  if (!attn::blas::built && c.options.path == attn::Path::blas) c.options.path = attn::Path::streaming;
  return c;
}

// Of packed batches only, or of others only.
void check_mixtures(test::Random& random, bool packed, bool weights) {
  for (int n = 0; n < (test::quick() ? 60 : 600); ++n) {
    CAPTURE(n);
    const Layer l = random_layer(random);
    const LayerCall c = random_call(random, l);
    if (c.cu_lengths.empty() == packed) continue;
    CHECK(test::check(l, c, weights) == "");
  }
}

}  // namespace

TEST_CASE("layer mixtures", "[right][layers]") {
  test::Random random(70);
  CAPTURE(random.seed());
  check_mixtures(random, false, false);
  check_mixtures(random, false, true);
  check_mixtures(random, true, false);
}

TEST_CASE("layer mixtures: weights of packed batches", "[right][layers]") {
  test::Random random(71);
  CAPTURE(random.seed());
  check_mixtures(random, true, true);
}
