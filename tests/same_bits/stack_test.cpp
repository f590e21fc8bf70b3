// Decoded KV heads of one row each run several at a time: each has the bits that it has alone.
#include <vector>

#include "attn/attention.hpp"
#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/random.hpp"

namespace {

using std::int64_t;

TEST_CASE("bits: decoded heads together and alone", "[same_bits][bits]") {
  test::Random random(77);
  for (const int64_t heads : {2, 3, 8, 9, 12, 17})
    for (const int64_t keys : {1, 3, 7, 8, 11, 15, 16, 17, 31, 33, 64, 200, 257})
      for (const int64_t dim : {1, 4, 7, 32, 40, 65}) {
        const int64_t batch = 2, value_dim = dim + 3;
        const std::vector<float> q = random.normals(batch * heads * dim),
                                 k = random.normals(batch * heads * keys * dim),
                                 v = random.normals(batch * heads * keys * value_dim);
        const std::vector<int64_t> lengths{keys, keys / 2};
        std::vector<float> together(batch * heads * value_dim), alone(together.size());
        attn::AttentionArgs a;
        a.batch = batch;
        a.query_heads = a.kv_heads = heads;
        a.query_length = 1;
        a.key_length = keys;
        a.head_dim = dim;
        a.value_dim = value_dim;
        a.query = attn::bhtd(q.data(), heads, 1, dim);
        a.key = attn::bthd(k.data(), heads, keys, dim);
        a.value = attn::bhtd(v.data(), heads, keys, value_dim);
        a.key_lengths = lengths.data();
        a.output = attn::bhtd(together.data(), heads, 1, value_dim);
        REQUIRE(attn::attention(a).ok());
        a.batch = a.query_heads = a.kv_heads = 1;
        for (int64_t b = 0; b < batch; ++b)
          for (int64_t h = 0; h < heads; ++h) {
            a.query.data = q.data() + (b * heads + h) * dim;
            a.key.data = k.data() + b * a.key.batch_stride + h * a.key.head_stride;
            a.value.data = v.data() + b * a.value.batch_stride + h * a.value.head_stride;
            a.output.data = alone.data() + (b * heads + h) * value_dim;
            a.key_lengths = &lengths[b];
            REQUIRE(attn::attention(a).ok());
          }
        CAPTURE(heads, keys, dim);
        CHECK(test::bits_difference(together, alone) == "");
      }
}

}  // namespace
