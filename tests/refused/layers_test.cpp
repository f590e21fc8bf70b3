// What the layers do with nothing and with nonsense.
#include "attn/layers.hpp"

#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/catch.hpp"

using attn::AttentionResult;
using attn::ForwardOptions;
using attn::MultiHeadAttention;
using attn::MultiHeadConfig;
using attn::SelfAttention;

namespace {

template <class Call>
std::string message_of(Call call) {
  try {
    call();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "no error";
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

std::string message(const MultiHeadConfig& config) {
  return message_of([&] { MultiHeadAttention layer(config); });
}

// embed_dim 8, two heads of 4, an output projection: `w` serves for all four matrices.
MultiHeadConfig small_config(const std::vector<float>& w) {
  MultiHeadConfig config;
  config.embed_dim = 8;
  config.num_heads = 2;
  config.w_q = config.w_k = config.w_v = config.w_o = w.data();
  return config;
}

}  // namespace

TEST_CASE("No tokens give empty results", "[refused][layers]") {
  const std::vector<float> w(64);
  const MultiHeadAttention layer(small_config(w));
  ForwardOptions options;
  options.need_weights = true;
  const std::int64_t shapes[][2] = {{0, 5}, {5, 0}, {0, 0}};
  for (const auto& [batch, length] : shapes) {
    const AttentionResult result = layer.forward(nullptr, batch, length, options);
    CHECK(result.output.empty());
    CHECK(result.weights.empty());
  }
  const AttentionResult result = SelfAttention(8, 4).forward(nullptr, 0);
  CHECK(result.output.empty());
  CHECK(result.weights.empty());
}

TEST_CASE("SelfAttention names the argument that is wrong", "[refused][layers]") {
  const std::vector<float> w(64);
  const std::int64_t huge = std::numeric_limits<std::int64_t>::max();
  CHECK(message_of([] { SelfAttention(0, 8); }) == "embed_dim must be at least 1, got 0");
  CHECK(message_of([] { SelfAttention(8, -3); }) == "head_dim must be at least 1, got -3");
  CHECK(message_of([&] { SelfAttention(huge, 8); }) == "embed_dim must be at most 2147483647, got 9223372036854775807");
  CHECK(message_of([&] { SelfAttention(8, huge); }) == "head_dim must be at most 2147483647, got 9223372036854775807");
  CHECK(message_of([] { SelfAttention(8, 715827883); }) == "3 * head_dim must be at most 2147483647, got 2147483649");
  CHECK(contains(
      message_of([] { SelfAttention(2147483647, 715827882); }), "w_q, w_k and w_v: 2147483647 x 715827882 x 3 floats"));
  CHECK(message_of([&] { SelfAttention(8, 8, nullptr, w.data(), w.data()); }) == "w_q is null");
  CHECK(message_of([&] { SelfAttention(8, 8, w.data(), nullptr, w.data()); }) == "w_k is null");
  CHECK(message_of([&] { SelfAttention(8, 8, w.data(), w.data(), nullptr); }) == "w_v is null");
  CHECK(
      message_of([&] { SelfAttention(0, 8, w.data(), w.data(), w.data()); }) == "embed_dim must be at least 1, got 0");
  CHECK(message_of([&] { SelfAttention(8, 0, w.data(), w.data(), w.data()); }) == "head_dim must be at least 1, got 0");
  const SelfAttention layer(8, 8);
  CHECK(message_of([&] { static_cast<void>(layer.forward(w.data(), -1)); }) == "length must be at least 0, got -1");
  CHECK(message_of([&] { static_cast<void>(layer.forward(nullptr, 1)); }) == "x is null");
}

TEST_CASE("MultiHeadConfig: the member that is wrong is named with its value", "[refused][layers]") {
  const std::vector<float> w(144);
  MultiHeadConfig good;
  good.embed_dim = 12;
  good.num_heads = 4;
  good.w_q = good.w_k = good.w_v = good.w_o = good.b_o = w.data();
  REQUIRE(message(good) == "no error");

  const auto with = [&](std::int64_t MultiHeadConfig::*member, std::int64_t value) {
    MultiHeadConfig config = good;
    config.*member = value;
    return message(config);
  };
  const std::int64_t int_max = 2147483647, huge = std::numeric_limits<std::int64_t>::max();
  CHECK(with(&MultiHeadConfig::embed_dim, 0) == "embed_dim must be at least 1, got 0");
  CHECK(with(&MultiHeadConfig::embed_dim, huge) == "embed_dim must be at most 2147483647, got 9223372036854775807");
  CHECK(with(&MultiHeadConfig::num_heads, -4) == "num_heads must be at least 1, got -4");
  CHECK(with(&MultiHeadConfig::num_heads, huge) == "num_heads must be at most 2147483647, got 9223372036854775807");
  CHECK(with(&MultiHeadConfig::kv_heads, -1) == "kv_heads must be at least 0, got -1");
  CHECK(with(&MultiHeadConfig::kv_heads, 3) == "kv_heads must divide num_heads (4), got 3");
  CHECK(with(&MultiHeadConfig::kv_heads, 8) == "kv_heads must divide num_heads (4), got 8");
  CHECK(with(&MultiHeadConfig::head_dim, -1) == "head_dim must be at least 0, got -1");
  CHECK(with(&MultiHeadConfig::head_dim, int_max) == "num_heads * head_dim must be at most 2147483647, got 8589934588");
  CHECK(
      with(&MultiHeadConfig::head_dim, 500000000) ==
      "(num_heads + 2 * kv_heads) * head_dim must be at most 2147483647, got 6000000000");
  CHECK(with(&MultiHeadConfig::num_heads, 5) == "num_heads must divide embed_dim (12) if head_dim is not given, got 5");

  const auto without = [&](const float* MultiHeadConfig::*member) {
    MultiHeadConfig config = good;
    config.*member = nullptr;
    return message(config);
  };
  CHECK(without(&MultiHeadConfig::w_q) == "w_q is null");
  CHECK(without(&MultiHeadConfig::w_k) == "w_k is null");
  CHECK(without(&MultiHeadConfig::w_v) == "w_v is null");
  CHECK(without(&MultiHeadConfig::w_o) == "b_o is given without w_o");
  CHECK(without(&MultiHeadConfig::b_o) == "no error");
}

TEST_CASE("MultiHeadAttention::forward names the argument that is wrong", "[refused][layers]") {
  const std::vector<float> w(64), x(2 * 3 * 8);
  const MultiHeadAttention layer(small_config(w));
  const auto forward = [&](const float* data, std::int64_t batch, std::int64_t length,
                           const ForwardOptions& options = {}) {
    return message_of([&] { static_cast<void>(layer.forward(data, batch, length, options)); });
  };
  CHECK(forward(x.data(), -1, 3) == "batch must be at least 0, got -1");
  CHECK(forward(x.data(), 2, -3) == "length must be at least 0, got -3");
  CHECK(forward(x.data(), 0, -3) == "length must be at least 0, got -3");
  CHECK(forward(nullptr, 2, 3) == "x is null");
  CHECK(forward(x.data(), 65536, 65536) == "length must be at most 32767 for a batch of 65536, got 65536");
  const std::int64_t huge = std::numeric_limits<std::int64_t>::max();
  CHECK(contains(forward(x.data(), huge, huge), "length must be at most 0 for a batch of 9223372036854775807"));
  ForwardOptions options;
  for (const std::int64_t wrong : {-1, 4}) {
    const std::int64_t lengths[] = {3, wrong};
    options.key_lengths = lengths;
    for (const bool need_weights : {false, true}) {
      options.need_weights = need_weights;
      const std::string text = forward(x.data(), 2, 3, options);
      CHECK(contains(text, "key_lengths"));
      CHECK(contains(text, std::to_string(wrong)));
    }
  }
}

TEST_CASE("Linear names the argument that is wrong", "[refused][layers]") {
  const std::vector<float> w(64);
  using attn::Linear;
  const std::int64_t huge = std::numeric_limits<std::int64_t>::max();
  CHECK(message_of([&] { Linear(0, 8, w.data()); }) == "in_dim must be at least 1, got 0");
  CHECK(message_of([&] { Linear(8, -1, w.data()); }) == "out_dim must be at least 1, got -1");
  CHECK(message_of([&] { Linear(huge, 8, w.data()); }) == "in_dim must be at most 2147483647, got 9223372036854775807");
  CHECK(contains(message_of([&] { Linear(2147483647, 2147483647, w.data()); }), "w: 2147483647 x 2147483647 x 1"));
  CHECK(message_of([&] { Linear(8, 8, nullptr); }) == "w is null");
  const auto layout = static_cast<attn::WeightLayout>(2);
  const auto projection = static_cast<attn::Projection>(2);
  CHECK(message_of([&] { Linear(8, 8, w.data(), nullptr, layout); }) == "layout is not a value of WeightLayout, got 2");
  CHECK(message_of([&] {
          Linear(8, 8, w.data(), nullptr, attn::WeightLayout::in_out, projection);
        }) == "projection is not a value of Projection, got 2");

  std::vector<float> y(16, 7.0f);
  for (const auto by : {attn::Projection::blas, attn::Projection::tiles}) {
    const Linear linear(8, 8, w.data(), nullptr, attn::WeightLayout::in_out, by);
    const attn::Parallel none{nullptr, nullptr, 2};
    for (const std::int64_t rows : {0, 1}) {
      float y[8];
      CHECK(contains(message_of([&] { linear.forward_into(w.data(), rows, y, &none); }), "parallel->run is null"));
    }
    const auto forward = [&](const float* x, std::int64_t rows, float* to, const attn::Parallel* parallel = nullptr) {
      return message_of([&] { linear.forward_into(x, rows, to, parallel); });
    };
    CHECK(forward(w.data(), -1, y.data()) == "rows must be at least 0, got -1");
    CHECK(forward(w.data(), huge, y.data()) == "rows must be at most 2147483647, got 9223372036854775807");
    CHECK(forward(nullptr, 2, y.data()) == "x is null");
    CHECK(forward(w.data(), 2, nullptr) == "y is null");
    CHECK(forward(nullptr, 0, nullptr) == "no error");
    CHECK(contains(forward(y.data(), 2, y.data()), "y overlaps x"));
    CHECK(contains(forward(y.data(), 1, y.data() + 7), "y overlaps x"));
    attn::Parallel parallel;
    CHECK(forward(w.data(), 2, y.data(), &parallel) == "parallel->run is null");
    parallel.run = [](void*, std::int64_t, attn::Parallel::Task, void*) {};
    parallel.threads = 0;
    CHECK(forward(w.data(), 2, y.data(), &parallel) == "parallel->threads must be at least 1, got 0");
    CHECK(y == std::vector<float>(16, 7.0f));
  }
}

TEST_CASE("Layers name a projection, a layout and a kv_dim that are wrong", "[refused][layers]") {
  const std::vector<float> w(64);
  const auto projection = static_cast<attn::Projection>(-1);
  const auto layout = static_cast<attn::WeightLayout>(7);
  const std::string bad_projection = "projection is not a value of Projection, got -1";
  const std::string bad_layout = "layout is not a value of WeightLayout, got 7";
  CHECK(message_of([&] { SelfAttention(8, 8, 42, projection); }) == bad_projection);
  CHECK(message_of([&] { SelfAttention(8, 8, w.data(), w.data(), w.data(), layout); }) == bad_layout);
  CHECK(message_of([&] {
          SelfAttention(8, 8, w.data(), w.data(), w.data(), attn::WeightLayout::in_out, projection);
        }) == bad_projection);
  MultiHeadConfig config = small_config(w);
  config.projection = projection;
  CHECK(message(config) == bad_projection);
  config = small_config(w);
  config.layout = layout;
  CHECK(message(config) == bad_layout);
  config = small_config(w);
  config.kv_dim = -1;
  CHECK(message(config) == "kv_dim must be at least 0, got -1");
  config.kv_dim = std::numeric_limits<std::int64_t>::max();
  CHECK(message(config) == "kv_dim must be at most 2147483647, got 9223372036854775807");
  config.num_heads = 1;
  config.kv_dim = 2147483647;
  config.head_dim = 715827882;
  CHECK(contains(message(config), "w_k and w_v: 2147483647 x 1431655764 x 1 floats"));
}
