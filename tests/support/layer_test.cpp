// The formula of layers in double is right itself: against NumPy's numbers, and one kind of call against another.
#include "support/layer.hpp"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/data_file.hpp"
#include "support/layer_call.hpp"
#include "support/random.hpp"

using test::index;
using test::Layer;
using test::LayerResult;

TEST_CASE("layer oracle: two heads of MiniLM give NumPy's output and weights", "[support][layers]") {
  const test::DataFile file = test::read_data_file(ATTN_TEST_DATA "/minilm_layer0_heads01.txt");
  Layer l{};
  l.embed_dim = l.kv_dim = 384;
  l.num_heads = l.kv_heads = file.integer("num_heads");
  l.head_dim = file.integer("head_dim");
  l.w_q = file.array("W_q").floats();
  l.w_k = file.array("W_k").floats();
  l.w_v = file.array("W_v").floats();
  l.b_q = file.array("b_q").floats();
  l.b_k = file.array("b_k").floats();
  l.b_v = file.array("b_v").floats();
  const std::vector<float> x = file.array("X").floats();
  const std::vector<std::int64_t> lengths = file.array("key_lengths").integers();
  attn::ForwardOptions options;
  options.key_lengths = lengths.data();
  const LayerResult got = test::expected(l, x.data(), 2, 15, options);
  CHECK(test::difference(got.output, file.array("output").values, 1e-6) == "");
  CHECK(test::difference(got.weights, file.array("weights").values, 1e-6) == "");
}

TEST_CASE("layer oracle: packed is padded, a context of x is x, a cache is what was appended", "[support][layers]") {
  test::Random random(30);
  CAPTURE(random.seed());
  Layer l = test::make_layer(random, 8, 4, 2, 5);
  test::add_biases(l, random);
  test::add_output_projection(l, random, true);
  const std::int64_t length = 6;
  const std::vector<float> x = random.normals(index(length * 8));
  for (const bool causal : {false, true}) {
    attn::ForwardOptions options;
    options.causal = causal;
    const LayerResult want = test::expected(l, x.data(), 1, length, options);

    attn::ForwardOptions other = options;
    const std::int64_t cu[] = {0, length};
    other.cu_lengths = cu;
    const LayerResult packed = test::expected(l, x.data(), 1, length, other);
    CHECK(packed.output == want.output);
    CHECK(packed.weights == want.weights);

    other = options;
    other.context = x.data();
    other.context_length = length;
    const LayerResult context = test::expected(l, x.data(), 1, length, other);
    CHECK(context.output == want.output);
    CHECK(context.weights == want.weights);

    // The last four tokens see a cache with the keys and values of all six.
    test::CacheMemory memory = test::make_cache(random, l, {length}, length);
    const attn::LayerCache cache = memory.view();
    for (std::int64_t h = 0; h < 2; ++h)
      for (std::int64_t r = 0; r < length; ++r)
        for (std::int64_t e = 0; e < 5; ++e) {
          const std::int64_t at = (h * length + r) * 5 + e;
          static_cast<float*>(cache.key.data)[at] = static_cast<float>(want.key[index(r * 10 + h * 5 + e)]);
          static_cast<float*>(cache.value.data)[at] = static_cast<float>(want.value[index(r * 10 + h * 5 + e)]);
        }
    other = options;
    other.cache = &cache;
    const std::int64_t used = 2;
    const LayerResult cached = test::expected(l, x.data() + 2 * 8, 1, 4, other, &used);
    CHECK(
        test::difference(cached.output, std::vector<double>(want.output.begin() + 2 * 8, want.output.end()), 1e-5) ==
        "");
  }
}
