// Every option of a layer's call that is wrong is named with its value; the output, the weights and the cache stay.
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "attn/layers.hpp"
#include "blas/blas.hpp"
#include "support/catch.hpp"
#include "support/layer_call.hpp"
#include "support/random.hpp"

using attn::ForwardOptions;

namespace {

// Two items of three tokens; embed_dim 8, two heads of 4, with an output projection. A cache of 10 rows, 4 and 6 used.
struct Call {
  test::Random random{90};
  test::Layer layer = [this] {
    test::Layer l = test::make_layer(random, 8, 2, 2, 4);
    test::add_output_projection(l, random, true);
    return l;
  }();
  std::vector<float> x = random.normals(2 * 3 * 8), context = random.normals(2 * 5 * 8);
  std::vector<float> output = std::vector<float>(2 * 3 * 8, 7.0f), weights = std::vector<float>(2 * 2 * 3 * 10, 7.0f);
  test::CacheMemory memory = test::make_cache(random, layer, {4, 6}, 10);
  attn::LayerCache cache = memory.view();
  ForwardOptions options;

  // What the exception says: of std::invalid_argument, or of the one for what is unsupported. Nothing was written.
  std::string message(bool with_weights = false) {
    const test::CacheMemory before = memory;
    const std::vector<float> x_before = x;
    const std::string text = thrown(with_weights);
    CHECK(output == std::vector<float>(output.size(), 7.0f));
    CHECK(weights == std::vector<float>(weights.size(), 7.0f));
    CHECK(x == x_before);
    CHECK(memory.lengths == before.lengths);
    CHECK(memory.key == before.key);
    CHECK(memory.value == before.value);
    return text;
  }

 private:
  std::string thrown(bool with_weights) {
    try {
      attn::MultiHeadAttention(layer.config())
          .forward_into(x.data(), 2, 3, output.data(), with_weights ? weights.data() : nullptr, options);
    } catch (const std::invalid_argument& error) {
      return error.what();
    } catch (const std::runtime_error& error) {
      return std::string("unsupported: ") + error.what();
    }
    return "no error";
  }
};

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("layer options: values that are none of their enumeration", "[refused][layers]") {
  Call c;
  c.options.alignment = attn::Alignment::given;
  CHECK(c.message() == "alignment must be bottom_right (0) or top_left (1), got 2");
  c.options.alignment = static_cast<attn::Alignment>(-1);
  CHECK(c.message() == "alignment must be bottom_right (0) or top_left (1), got -1");
  c.options.alignment = attn::Alignment::top_left;
  c.options.path = static_cast<attn::Path>(3);
  CHECK(c.message() == "path is not a value of Path, got 3");
  c.options.path = attn::Path::automatic;
  const float bias[1] = {};
  c.options.bias.data = bias;
  c.options.bias.dtype = static_cast<attn::DType>(9);
  CHECK(c.message() == "bias.dtype is not a value of DType, got 9");
}

TEST_CASE("layer options: threads that cannot run", "[refused][layers]") {
  Call c;
  attn::Parallel parallel;
  c.options.parallel = &parallel;
  CHECK(c.message() == "parallel->run is null");
  parallel.run = [](void*, std::int64_t, attn::Parallel::Task, void*) {};
  parallel.threads = -2;
  CHECK(c.message() == "parallel->threads must be at least 1, got -2");
}

TEST_CASE("layer options: key_lengths", "[refused][layers]") {
  Call c;
  std::int64_t lengths[] = {3, 4};
  c.options.key_lengths = lengths;
  CHECK(c.message() == "key_lengths[1] must be in [0, length = 3], got 4");
  lengths[0] = -1;
  CHECK(c.message(true) == "key_lengths[0] must be in [0, length = 3], got -1");
  c.options.context = c.context.data();
  c.options.context_length = 2;
  lengths[0] = 3;
  CHECK(c.message() == "key_lengths[0] must be in [0, context_length = 2], got 3");
  c.options.context = nullptr;
  c.options.context_length = 0;
  const std::int64_t cu[] = {0, 2, 5};
  c.options.cu_lengths = cu;
  CHECK(c.message() == "key_lengths[0] must be in [0, the sequence's keys = 2], got 3");
}

TEST_CASE("layer options: a context", "[refused][layers]") {
  Call c;
  c.options.context_length = 5;
  CHECK(c.message() == "context_length must be 0 without a context, got 5");
  c.options.context = c.context.data();
  c.options.context_length = -5;
  CHECK(c.message() == "context_length must be at least 0, got -5");
  c.options.context_length = 2000000000;
  CHECK(c.message() == "context_length must be at most 1073741823 for a batch of 2, got 2000000000");
  c.options.context = nullptr;
  c.options.context_length = 0;
  c.layer = test::make_layer(c.random, 8, 2, 2, 4, 5);
  CHECK(c.message() == "kv_dim must be embed_dim (8) without a context, got 5");
  c.options.cache = &c.cache;
  CHECK(c.message() == "kv_dim must be embed_dim (8) without a context, got 5");
}

TEST_CASE("layer options: packed batches", "[refused][layers]") {
  Call c;
  std::int64_t cu[] = {0, 2, 5}, cu_context[] = {0, 4, 10};
  c.options.cu_context_lengths = cu_context;
  CHECK(c.message() == "context is null, but cu_context_lengths is not");
  c.options.context = c.context.data();
  c.options.context_length = 6;
  CHECK(c.message() == "cu_lengths is null, but cu_context_lengths is not");
  c.options.cu_context_lengths = nullptr;
  c.options.cu_lengths = cu;
  CHECK(c.message() == "cu_context_lengths is null, but cu_lengths is not");
  c.options.cu_context_lengths = cu_context;
  c.options.context_length = 5;
  CHECK(c.message() == "cu_context_lengths[2] must be 0 to context_length = 5 above the one before, got 4 and 10");
  cu[2] = 1;
  CHECK(c.message() == "cu_lengths[2] must be 0 to length = 3 above the one before, got 2 and 1");
  cu[2] = 6;
  CHECK(c.message() == "cu_lengths[2] must be 0 to length = 3 above the one before, got 2 and 6");
  cu[0] = 1;
  CHECK(c.message() == "cu_lengths[0] must be 0, got 1");
  cu[0] = 0;
  cu[2] = 5;
  c.options.context = nullptr;
  c.options.context_length = 0;
  c.options.cu_context_lengths = nullptr;
  c.options.cache = &c.cache;
  CHECK(c.message() == "cache is given with cu_lengths: a packed batch has none");
}

TEST_CASE("layer options: a packed batch of too many rows", "[refused][layers]") {
  Call c;
  const std::int64_t cu[] = {0, 1500000000, 3000000000};
  c.options.cu_lengths = cu;
  try {
    attn::MultiHeadAttention(c.layer.config())
        .forward_into(c.x.data(), 2, 1500000000, c.output.data(), nullptr, c.options);
    CHECK(false);
  } catch (const std::invalid_argument& error) {
    CHECK(std::string(error.what()) == "cu_lengths[2] must be at most 2147483647, got 3000000000");
  }
}

TEST_CASE("layer options: a cache", "[refused][layers]") {
  Call c;
  c.options.cache = &c.cache;
  const attn::LayerCache good = c.cache;
  const auto with = [&](auto change) {
    c.cache = good;
    change(c.cache);
    return c.message();
  };
  using attn::LayerCache;
  CHECK(with([](LayerCache& x) { x.capacity = -1; }) == "cache->capacity must be at least 0, got -1");
  CHECK(contains(
      with([](LayerCache& x) { x.capacity = std::numeric_limits<std::int64_t>::max(); }),
      "cache->capacity is more than memory can hold, got 9223372036854775807"));
  CHECK(with([](LayerCache& x) { x.lengths = nullptr; }) == "cache->lengths is null");
  CHECK(with([](LayerCache& x) {
          x.key.dtype = static_cast<attn::DType>(5);
        }) == "cache->key.dtype must be f32 (0), f16 (1) or bf16 (2), got 5");
  CHECK(with([](LayerCache& x) {
          x.value.dtype = static_cast<attn::DType>(-1);
        }) == "cache->value.dtype must be f32 (0), f16 (1) or bf16 (2), got -1");
  CHECK(contains(with([](LayerCache& x) { x.key.data = nullptr; }), "cache->key.data is null"));
  CHECK(contains(with([](LayerCache& x) { x.value.data = nullptr; }), "cache->value.data is null"));
  CHECK(contains(with([](LayerCache& x) { x.value.data = x.key.data; }), "cache->value overlaps cache->key"));
  CHECK(
      contains(with([](LayerCache& x) { x.key.batch_stride = 0; }), "cache->key.batch_stride makes elements overlap"));
  CHECK(with([](LayerCache& x) {
          x.capacity = 8;
        }) == "cache->capacity is too small: sequence 1 has 6 rows in use and gets 3 more, got 8");
  c.memory.lengths[1] = 11;
  CHECK(with([](LayerCache&) {}) == "cache->lengths[1] must be in [0, cache->capacity = 10], got 11");
  c.memory.lengths[1] = 6;
  c.memory.lengths[0] = -1;
  CHECK(with([](LayerCache&) {}) == "cache->lengths[0] must be in [0, cache->capacity = 10], got -1");
  c.memory.lengths[0] = 4;
  // What is wrong beside the cache leaves it as it is, too.
  c.options.path = attn::Path::streaming;
  const std::uint8_t mask[1] = {1};
  c.options.mask.data = mask;
  c.options.mask.batch_stride = std::numeric_limits<std::int64_t>::max();
  CHECK(contains(with([](LayerCache&) {}), "mask: a stride of 9223372036854775807"));
}

TEST_CASE("layer options: a cache that only the BLAS path refuses is not written to", "[refused][layers]") {
  if (!attn::blas::built) return;
  Call c;
  c.memory.lengths = {0, 0};
  c.cache.key.row_stride = std::int64_t{1} << 40;  // row 0 is in memory, and no other is ever reached
  c.options.cache = &c.cache;
  c.options.path = attn::Path::blas;
  const std::int64_t one_row[] = {1, 0};
  c.options.key_lengths = one_row;
  CHECK(contains(c.message(), "key.row_stride is more than BLAS's int can hold, got 1099511627776"));
}

TEST_CASE("layer options: results that overlap", "[refused][layers]") {
  Call c;
  const auto forward = [&](float* output, float* weights) {
    try {
      attn::MultiHeadAttention(c.layer.config()).forward_into(c.x.data(), 2, 3, output, weights, c.options);
    } catch (const std::invalid_argument& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  CHECK(contains(forward(c.x.data(), nullptr), "output overlaps x"));
  CHECK(contains(forward(c.output.data(), c.x.data() + 47), "weights overlaps x"));
  CHECK(contains(forward(c.output.data(), c.output.data() + 47), "weights overlaps output"));
  CHECK(forward(nullptr, nullptr) == "output is null");
  c.options.cache = &c.cache;
  CHECK(contains(forward(reinterpret_cast<float*>(c.memory.key.data()), nullptr), "cache->key overlaps output"));
  CHECK(
      contains(forward(reinterpret_cast<float*>(c.memory.lengths.data()), nullptr), "cache->lengths overlaps output"));
  c.options.context = c.output.data();
  c.options.context_length = 1;
  CHECK(contains(forward(c.output.data(), nullptr), "output overlaps context"));
  c.options.context = nullptr;
  c.options.context_length = 0;
  c.options.cache = nullptr;
  std::int64_t* lengths = reinterpret_cast<std::int64_t*>(c.output.data());
  lengths[0] = lengths[1] = 3;
  c.options.key_lengths = lengths;
  CHECK(contains(forward(c.output.data(), nullptr), "output overlaps key_lengths"));
}
