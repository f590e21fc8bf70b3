// Every option of a layer's call by the C interface: the bits of the C++ call, which differ from those without it.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "attn/attn.h"
#include "attn/layers.hpp"
#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/layer_call.hpp"
#include "support/random.hpp"

namespace {

using test::index;

struct Made {
  attn_multi_head* layer;
  std::string message;
};
Made make(const test::Layer& l, std::int64_t kv_dim) {
  attn_multi_head_config c{};
  c.size = sizeof c;
  c.embed_dim = l.embed_dim;
  c.num_heads = l.num_heads;
  c.kv_heads = l.kv_heads;
  c.head_dim = l.head_dim;
  c.w_q = l.w_q.data();
  c.w_k = l.w_k.data();
  c.w_v = l.w_v.data();
  c.kv_dim = kv_dim;
  c.projection = static_cast<std::int32_t>(l.projection);
  char message[256] = "";
  attn_multi_head* layer = attn_multi_head_create(&c, message, sizeof message);
  return {layer, message};
}

struct Floats {
  std::vector<float> output, weights;
};

template <class To, class From>
void copy(To& to, const From& from) {
  static_assert(sizeof to == sizeof from);
  std::memcpy(&to, &from, sizeof to);
}

Floats by_c(attn_multi_head* layer, const std::vector<float>& x, const attn::ForwardOptions& o) {
  attn_forward_options c{};
  c.size = sizeof c;
  c.key_lengths = o.key_lengths;
  c.causal = o.causal;
  c.bottom_right = o.alignment == attn::Alignment::bottom_right ? 1 : 0;
  c.average_weights = o.average_weights;
  c.path = static_cast<std::int32_t>(o.path);
  copy(c.mask, o.mask);
  copy(c.bias, o.bias);
  c.context = o.context;
  c.context_length = o.context_length;
  c.cu_lengths = o.cu_lengths;
  c.cu_context_lengths = o.cu_context_lengths;
  attn_layer_cache cache{};
  if (o.cache) {
    cache.size = sizeof cache;
    copy(cache.key, o.cache->key);
    copy(cache.value, o.cache->value);
    cache.capacity = o.cache->capacity;
    cache.lengths = o.cache->lengths;
    c.cache = &cache;
  }
  Floats r{std::vector<float>(2 * 5 * 24), std::vector<float>(2 * 4 * 5 * 9)};
  char message[256] = "";
  float* weights = o.cu_lengths ? nullptr : r.weights.data();
  CHECK(
      attn_multi_head_forward(layer, x.data(), 2, 5, &c, r.output.data(), weights, message, sizeof message) == ATTN_OK);
  CHECK(std::string(message) == "");
  return r;
}

Floats by_cpp(const attn::MultiHeadAttention& layer, const std::vector<float>& x, const attn::ForwardOptions& o) {
  Floats r{std::vector<float>(2 * 5 * 24), std::vector<float>(2 * 4 * 5 * 9)};
  layer.forward_into(x.data(), 2, 5, r.output.data(), o.cu_lengths ? nullptr : r.weights.data(), o);
  return r;
}

}  // namespace

TEST_CASE("C: each option of a layer's call is that of C++", "[right][layers]") {
  test::Random random(85);
  CAPTURE(random.seed());
  test::Layer l = test::make_layer(random, 12, 4, 2, 6);
  l.projection = attn::Projection::tiles;
  const std::vector<float> x = random.normals(2 * 5 * 12), context = random.normals(2 * 9 * 12),
                           bias = random.normals(9), factors = random.normals(4);
  std::vector<std::uint8_t> mask(9);
  for (std::uint8_t& m : mask) m = random.flip();
  mask[0] = 0;
  mask[1] = 1;
  const std::int64_t key_lengths[] = {3, 2}, cu[] = {0, 4, 7}, cu_context[] = {0, 9, 11};
  test::CacheMemory memory = test::make_cache(random, l, {2, 4}, 9);
  const test::CacheMemory start = memory;
  const attn::LayerCache cache = memory.view();

  using O = attn::ForwardOptions;
  const auto with_context = [&](O& o) {
    o.context = context.data();
    o.context_length = 9;
  };
  const auto packed = [&](O& o) { o.cu_lengths = cu; };
  const auto none = [](O&) {};
  const auto causal_context = [&](O& o) {
    with_context(o);
    o.causal = true;
  };
  const struct {
    const char* name;
    std::function<void(O&)> beside, option;
  } options[] = {
      {"key_lengths", none, [&](O& o) { o.key_lengths = key_lengths; }},
      {"causal", none, [](O& o) { o.causal = true; }},
      {"bottom_right", causal_context, [](O& o) { o.alignment = attn::Alignment::bottom_right; }},
      {"average_weights", none, [](O& o) { o.average_weights = true; }},
      {"mask", none,
       [&](O& o) {
         o.mask = {mask.data(), 0, 0, 0, 1};
       }},
      {"bias", none, [&](O& o) { o.bias = {bias.data(), attn::DType::f32, 0, 0, 0, 1, nullptr}; }},
      {"bias.head_factors", none, [&](O& o) { o.bias = {bias.data(), attn::DType::f32, 0, 0, 0, 1, factors.data()}; }},
      {"context", none, with_context},
      {"context_length", with_context, [](O& o) { o.context_length = 8; }},
      {"cu_lengths", none, packed},
      {"cu_context_lengths", packed,
       [&](O& o) {
         with_context(o);
         o.cu_context_lengths = cu_context;
       }},
      {"cache", none, [&](O& o) { o.cache = &cache; }}};
  const attn::MultiHeadAttention layer(l.config());
  const Made made = make(l, 0);
  REQUIRE(made.layer);
  for (const auto& option : options) {
    CAPTURE(option.name);
    O o;
    option.beside(o);
    const Floats without = by_c(made.layer, x, o);
    option.option(o);
    memory = start;
    attn::LayerCache view = memory.view();
    if (o.cache) o.cache = &view;
    const Floats want = by_cpp(layer, x, o);
    const std::vector<std::int64_t> lengths = memory.lengths;
    memory = start;
    view = memory.view();
    const Floats got = by_c(made.layer, x, o);
    CHECK(memory.lengths == lengths);
    CHECK(test::bits_equal(got.output, want.output));
    CHECK(test::bits_equal(got.weights, want.weights));
    CHECK(!(test::bits_equal(got.output, without.output) && test::bits_equal(got.weights, without.weights)));
  }
  attn_multi_head_destroy(made.layer);
}

TEST_CASE("C: path, kv_dim and projection of layers arrive", "[right][layers]") {
  test::Random random(86);
  CAPTURE(random.seed());
  test::Layer l = test::make_layer(random, 12, 4, 2, 6);
  l.projection = static_cast<attn::Projection>(9);
  CHECK(make(l, 0).message == "projection is not a value of Projection, got 9");
  l.projection = attn::Projection::tiles;
  CHECK(make(l, -3).message == "kv_dim must be at least 0, got -3");

  const Made made = make(l, 0);
  REQUIRE(made.layer);
  attn_forward_options c{};
  c.size = sizeof c;
  c.path = 5;
  float x[12] = {}, y[24];
  char message[256] = "";
  CHECK(attn_multi_head_forward(made.layer, x, 1, 1, &c, y, nullptr, message, sizeof message) == ATTN_INVALID_ARGUMENT);
  CHECK(std::string(message) == "path is not a value of Path, got 5");
  attn_multi_head_destroy(made.layer);
}
