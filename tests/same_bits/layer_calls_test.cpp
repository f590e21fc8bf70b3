// How a layer's tokens are spread over calls changes no bit: one by one through a cache, in chunks or at once; in a
// packed batch or a padded one; on which instruction set, with how many threads. With Projection::tiles that holds for
// any data. With the BLAS's projections every product here is exact, as in layers_test.cpp.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "attn/layers.hpp"
#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/hashes.hpp"
#include "support/isas.hpp"
#include "support/layer_call.hpp"
#include "support/random.hpp"

using test::index;

namespace {

// Odd eighths in (-2, 2): never 0, whose sign a BLAS may choose.
std::vector<float> tokens(test::Random& random, std::int64_t count) {
  std::vector<float> x;
  for (std::int64_t i = 0; i < count; ++i) x.push_back(static_cast<float>(2 * random.integer(-8, 7) + 1) / 8);
  return x;
}

// [rows, columns]: each column takes one row, whole or halved, of either sign.
std::vector<float> moves(test::Random& random, std::int64_t rows, std::int64_t columns) {
  std::vector<float> w(index(rows * columns));
  for (std::int64_t c = 0; c < columns; ++c) {
    const float size = random.flip() ? 1.0f : 0.5f, sign = random.flip() ? 1.0f : -1.0f;  // in this order
    w[index(random.integer(0, rows - 1) * columns + c)] = size * sign;
  }
  return w;
}

constexpr std::int64_t embed_dim = 24;

test::Layer exact_layer(test::Random& random) {
  test::Layer l = test::make_layer(random, embed_dim, 4, 2, 16);
  l.w_q = moves(random, embed_dim, 64);
  l.w_k = moves(random, embed_dim, 32);
  l.w_v = moves(random, embed_dim, 32);
  l.w_o = moves(random, 64, embed_dim);
  l.b_q = tokens(random, 64);
  return l;
}

// Through a cache, `step` tokens a call.
std::vector<float> in_steps(
    const test::Layer& l, const std::vector<float>& x, std::int64_t step, const attn::ForwardOptions& with) {
  test::Random random(1);
  const std::int64_t length = static_cast<std::int64_t>(x.size()) / embed_dim;
  const attn::MultiHeadAttention layer(l.config());
  test::CacheMemory memory = test::make_cache(random, l, {0}, length + 3);
  const attn::LayerCache cache = memory.view();
  attn::ForwardOptions options = with;
  options.cache = &cache;
  std::vector<float> all;
  for (std::int64_t t = 0; t < length; t += step) {
    const attn::AttentionResult part = layer.forward(x.data() + t * embed_dim, 1, std::min(step, length - t), options);
    all.insert(all.end(), part.output.begin(), part.output.end());
  }
  return all;
}

void check_steps(const test::Layer& l, const std::vector<float>& x) {
  attn::ForwardOptions options;
  options.causal = true;
  const std::int64_t length = static_cast<std::int64_t>(x.size()) / embed_dim;
  const std::vector<float> want = attn::MultiHeadAttention(l.config()).forward(x.data(), 1, length, options).output;
  for (const std::int64_t step : {std::int64_t{1}, std::int64_t{13}, length}) {
    CAPTURE(step);
    CHECK(test::bits_difference(in_steps(l, x, step, options), want) == "");
  }
}

// Four sequences, padded and packed.
void check_packed(const test::Layer& l, test::Random& random, std::vector<float> (*make)(test::Random&, std::int64_t)) {
  const std::int64_t lengths[] = {5, 0, 37, 12}, cu[] = {0, 5, 5, 42, 54};
  const std::vector<float> rows = make(random, 54 * embed_dim);
  std::vector<float> padded(4 * 40 * embed_dim, 0.5f);
  for (std::int64_t b = 0; b < 4; ++b)
    std::copy_n(rows.begin() + cu[b] * embed_dim, lengths[b] * embed_dim, padded.begin() + b * 40 * embed_dim);
  const attn::MultiHeadAttention layer(l.config());
  for (const bool causal : {false, true}) {
    attn::ForwardOptions options;
    options.causal = causal;
    options.key_lengths = lengths;
    const std::vector<float> wide = layer.forward(padded.data(), 4, 40, options).output;
    std::vector<float> want;
    for (std::int64_t b = 0; b < 4; ++b) {
      const auto first = wide.begin() + b * 40 * embed_dim;
      want.insert(want.end(), first, first + lengths[b] * embed_dim);
    }
    options.key_lengths = nullptr;
    options.cu_lengths = cu;
    CHECK(test::bits_difference(layer.forward(rows.data(), 4, 40, options).output, want) == "");
  }
}

}  // namespace

TEST_CASE("layer bits: token by token through a cache is at once", "[same_bits][layers]") {
  test::Random random(96);
  CAPTURE(random.seed());
  const test::Layer l = exact_layer(random);
  for (const std::int64_t length : {40, 530}) check_steps(l, tokens(random, length * embed_dim));
}

TEST_CASE("layer bits: a packed batch is a padded one", "[same_bits][layers]") {
  test::Random random(97);
  CAPTURE(random.seed());
  check_packed(exact_layer(random), random, tokens);
}

TEST_CASE("layer bits: a context projected once is one that is projected by each call", "[same_bits][layers]") {
  test::Random random(98);
  CAPTURE(random.seed());
  const test::Layer l = exact_layer(random);
  const std::vector<float> x = tokens(random, 6 * embed_dim), context = tokens(random, 50 * embed_dim);
  const attn::MultiHeadAttention layer(l.config());
  attn::ForwardOptions options;
  options.context = context.data();
  options.context_length = 50;
  const std::vector<float> want = layer.forward(x.data(), 1, 6, options).output;
  test::CacheMemory memory = test::make_cache(random, l, {0}, 64);
  const attn::LayerCache cache = memory.view();
  options.cache = &cache;
  std::vector<float> got;
  for (std::int64_t t = 0; t < 6; ++t) {
    const attn::AttentionResult part = layer.forward(x.data() + t * embed_dim, 1, 1, options);
    got.insert(got.end(), part.output.begin(), part.output.end());
    options.context_length = 0;
  }
  CHECK(test::bits_difference(got, want) == "");
}

// ---- Projection::tiles: any data ----

namespace {

std::vector<float> any(test::Random& random, std::int64_t count) { return random.normals(index(count)); }

test::Layer any_layer(test::Random& random, std::int64_t head_dim, std::int64_t kv_dim = 0) {
  test::Layer l = test::make_layer(random, embed_dim, 4, 2, head_dim, kv_dim);
  test::add_biases(l, random);
  test::add_output_projection(l, random, true);
  l.projection = attn::Projection::tiles;
  return l;
}

// Threads that run the last task first.
attn::Parallel backwards() {
  attn::Parallel p;
  p.threads = 3;
  p.run = [](void*, std::int64_t count, attn::Parallel::Task task, void* argument) {
    for (std::int64_t i = count; i-- > 0;) task(argument, i);
  };
  return p;
}

}  // namespace

TEST_CASE("layer bits: tiles, token by token through a cache is at once", "[same_bits][layers]") {
  test::Random random(110);
  CAPTURE(random.seed());
  for (const std::int64_t head_dim : {16, 13}) {
    const test::Layer l = any_layer(random, head_dim);
    for (const std::int64_t length : {40, 530}) check_steps(l, any(random, length * embed_dim));
  }
}

TEST_CASE("layer bits: tiles, a packed batch is a padded one", "[same_bits][layers]") {
  test::Random random(111);
  CAPTURE(random.seed());
  for (const std::int64_t head_dim : {16, 13}) check_packed(any_layer(random, head_dim), random, any);
}

TEST_CASE("layer bits: tiles, a context of x is x", "[same_bits][layers]") {
  test::Random random(112);
  CAPTURE(random.seed());
  for (const std::int64_t head_dim : {16, 13, 1}) {
    const test::Layer l = any_layer(random, head_dim);
    const std::vector<float> x = any(random, 2 * 30 * embed_dim);
    const attn::MultiHeadAttention layer(l.config());
    attn::ForwardOptions options;
    options.need_weights = true;
    const attn::AttentionResult want = layer.forward(x.data(), 2, 30, options);
    options.context = x.data();
    options.context_length = 30;
    const attn::AttentionResult got = layer.forward(x.data(), 2, 30, options);
    CHECK(test::bits_difference(got.output, want.output) == "");
    CHECK(test::bits_difference(got.weights, want.weights) == "");
  }
}

TEST_CASE(
    "layer bits: tiles, each item of a batch is as alone; threads and scalar change nothing", "[same_bits][layers]") {
  test::Random random(113);
  CAPTURE(random.seed());
  const attn::Parallel parallel = backwards();
  for (const std::int64_t kv_dim : {24, 17}) {
    const test::Layer l = any_layer(random, 13, kv_dim);
    const std::int64_t length = 150, out = l.out_dim();
    const std::vector<float> x = any(random, 2 * length * embed_dim), context = any(random, 2 * 90 * kv_dim);
    const attn::MultiHeadAttention layer(l.config());
    attn::ForwardOptions options;
    options.need_weights = true;
    options.average_weights = true;
    options.context = context.data();
    options.context_length = 90;
    const attn::AttentionResult want = layer.forward(x.data(), 2, length, options);
    const attn::AttentionResult scalar = test::on_scalar([&] { return layer.forward(x.data(), 2, length, options); });
    CHECK(test::bits_difference(scalar.output, want.output) == "");
    CHECK(test::bits_difference(scalar.weights, want.weights) == "");

    options.context = context.data() + 90 * kv_dim;
    const attn::AttentionResult alone = layer.forward(x.data() + length * embed_dim, 1, length, options);
    CHECK(test::bits_difference(alone.output, {want.output.begin() + length * out, want.output.end()}) == "");
    CHECK(test::bits_difference(alone.weights, {want.weights.begin() + length * 90, want.weights.end()}) == "");
    options.context = context.data();
    options.parallel = &parallel;
    const attn::AttentionResult threads = layer.forward(x.data(), 2, length, options);
    CHECK(test::bits_difference(threads.output, want.output) == "");
    CHECK(test::bits_difference(threads.weights, want.weights) == "");
  }
}

TEST_CASE("layer bits: tiles, of both layers and Linear", "[same_bits][layers][hashes]") {
  test::Random random(114);
  const test::Layer l = any_layer(random, 13, 17);
  const std::vector<float> x = any(random, 2 * 40 * embed_dim), context = any(random, 2 * 25 * 17);
  attn::ForwardOptions options;
  options.need_weights = true;
  options.context = context.data();
  options.context_length = 25;
  const attn::AttentionResult many = attn::MultiHeadAttention(l.config()).forward(x.data(), 2, 40, options);
  const std::uint64_t multi_head = test::Hash().add(many.output).add(many.weights).value();
  CHECK(test::hash_difference("layers/multi-head by tiles", multi_head) == "");
  const attn::AttentionResult one =
      attn::SelfAttention(embed_dim, 19, 42, attn::Projection::tiles).forward(x.data(), 40);
  const std::uint64_t self = test::Hash().add(one.output).add(one.weights).value();
  CHECK(test::hash_difference("layers/self-attention by tiles", self) == "");
  const std::vector<float> w = any(random, embed_dim * 70), b = any(random, 70);
  std::vector<float> y(index(80 * 70));
  attn::Linear(embed_dim, 70, w.data(), b.data()).forward_into(x.data(), 80, y.data());
  CHECK(test::hash_difference("layers/linear by tiles", test::Hash().add(y).value()) == "");
}
