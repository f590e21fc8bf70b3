// The two layers around attention().
#include "attn/layers.hpp"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "attn/attention.hpp"
#include "layers/checks.hpp"
#include "layers/numpy_random.hpp"
#include "layers/projection.hpp"

namespace attn {
namespace {

struct Shape {
  std::int64_t batch, length, embed_dim, query_heads, kv_heads, head_dim;
};

// The floats of the two results of attend(); checks batch and length.
struct ResultSizes {
  std::size_t output, weights;
};
ResultSizes result_sizes(const Shape& s) {
  require_rows(s.batch, s.length);
  return {
      floats("output", s.batch * s.length, s.query_heads, s.head_dim),
      floats("weights", s.batch * s.query_heads, s.length, s.length)};
}

// output[batch, length, query_heads * head_dim] = attention over the heads of qkv(x); weights if not null.
void attend(
    const Shape& s, const float* x, const Linear& qkv_of, const ForwardOptions& options, float* output,
    float* weights) {
  require_data("x", x);
  require_data("output", output);
  const std::int64_t rows = s.batch * s.length, columns = qkv_of.out;
  floats("x", rows, s.embed_dim);

  // Each row holds Q, K and V of its token side by side: [query_heads | kv_heads | kv_heads] x head_dim.
  const std::unique_ptr<float[]> qkv = scratch_floats(floats("Q, K and V", rows, columns));
  project(qkv_of, x, rows, qkv.get());

  const auto heads_from = [&](std::int64_t first) {  // [batch, heads, length, head_dim], in place
    return Tensor{qkv.get() + first * s.head_dim, DType::f32, s.length * columns, s.head_dim, columns};
  };
  AttentionArgs args;
  args.batch = s.batch;
  args.query_heads = s.query_heads;
  args.kv_heads = s.kv_heads;
  args.query_length = args.key_length = s.length;
  args.head_dim = args.value_dim = s.head_dim;
  args.query = heads_from(0);
  args.key = heads_from(s.query_heads);
  args.value = heads_from(s.query_heads + s.kv_heads);
  args.output = bthd(output, s.query_heads, s.length, s.head_dim);
  if (weights) args.weights = bhtd(weights, s.query_heads, s.length, s.length);
  args.key_lengths = options.key_lengths;
  args.causal = options.causal;
  args.alignment = Alignment::top_left;
  args.parallel = options.parallel;
  throw_if_error(attention(args));
}

}  // namespace

// ---- SelfAttention ----

namespace {

// [embed_dim, 3 * head_dim] for W_q, W_k and W_v side by side.
std::vector<float> self_attention_weights(std::int64_t embed_dim, std::int64_t head_dim) {
  require_size("embed_dim", embed_dim, 1);
  require_size("head_dim", head_dim, 1);
  require_size("3 * head_dim", 3 * head_dim, 3);
  return std::vector<float>(floats("w_q, w_k and w_v", embed_dim, head_dim, 3));
}

}  // namespace

SelfAttention::SelfAttention(std::int64_t embed_dim, std::int64_t head_dim, std::uint32_t seed)
    : embed_dim_(embed_dim), head_dim_(head_dim), w_qkv_(self_attention_weights(embed_dim, head_dim)) {
  RandomState random(seed);
  float* to = w_qkv_.data();
  for (int part = 0; part < 3; ++part, to += head_dim)
    for (std::int64_t i = 0; i < embed_dim; ++i)
      for (std::int64_t j = 0; j < head_dim; ++j) to[i * 3 * head_dim + j] = static_cast<float>(0.1 * random.randn());
}

SelfAttention::SelfAttention(
    std::int64_t embed_dim, std::int64_t head_dim, const float* w_q, const float* w_k, const float* w_v,
    WeightLayout layout)
    : embed_dim_(embed_dim), head_dim_(head_dim), w_qkv_(self_attention_weights(embed_dim, head_dim)) {
  require_data("w_q", w_q);
  require_data("w_k", w_k);
  require_data("w_v", w_v);
  float* to = w_qkv_.data();
  for (const float* w : {w_q, w_k, w_v}) {
    copy_weights(w, layout, embed_dim, head_dim, to, 3 * head_dim);
    to += head_dim;
  }
}

AttentionResult SelfAttention::forward(const float* x, std::int64_t length) const {
  const Shape shape{1, length, embed_dim_, 1, 1, head_dim_};
  const ResultSizes sizes = result_sizes(shape);
  if (length == 0) return {};
  AttentionResult result{result_floats(sizes.output), result_floats(sizes.weights)};
  const std::vector<float> no_bias;
  const Linear qkv{embed_dim_, 3 * head_dim_, w_qkv_, no_bias};
  attend(shape, x, qkv, {}, result.output.data(), result.weights.data());
  return result;
}

// ---- MultiHeadAttention ----

MultiHeadAttention::MultiHeadAttention(const MultiHeadConfig& config)
    : embed_dim_(config.embed_dim),
      num_heads_(config.num_heads),
      kv_heads_(config.kv_heads == 0 ? config.num_heads : config.kv_heads),
      head_dim_(config.head_dim) {
  require_size("embed_dim", embed_dim_, 1);
  require_size("num_heads", num_heads_, 1);
  require_size("kv_heads", config.kv_heads, 0);
  require_size("head_dim", config.head_dim, 0);
  if (num_heads_ % kv_heads_ != 0)
    bad("kv_heads", "must divide num_heads (" + std::to_string(num_heads_) + ")", kv_heads_);
  if (head_dim_ == 0) {
    if (embed_dim_ % num_heads_ != 0)
      bad("num_heads", "must divide embed_dim (" + std::to_string(embed_dim_) + ") if head_dim is not given",
          num_heads_);
    head_dim_ = embed_dim_ / num_heads_;
  }
  // Neither factor is over 2^31 in the first product, nor then over 3 * 2^31 in the second.
  const std::int64_t columns = num_heads_ * head_dim_, kv_columns = kv_heads_ * head_dim_;
  require_size("num_heads * head_dim", columns, 1);
  const std::int64_t total = columns + 2 * kv_columns;
  require_size("(num_heads + 2 * kv_heads) * head_dim", total, 1);
  require_data("w_q", config.w_q);
  require_data("w_k", config.w_k);
  require_data("w_v", config.w_v);
  if (config.b_o && !config.w_o) throw std::invalid_argument("b_o is given without w_o");

  w_qkv_.resize(floats("w_q, w_k and w_v", embed_dim_, total));
  if (config.b_q || config.b_k || config.b_v) b_qkv_.resize(static_cast<std::size_t>(total));
  const struct {
    const float *w, *b;
    std::int64_t first, columns;
  } parts[] = {
      {config.w_q, config.b_q, 0, columns},
      {config.w_k, config.b_k, columns, kv_columns},
      {config.w_v, config.b_v, columns + kv_columns, kv_columns}};
  for (const auto& part : parts) {
    copy_weights(part.w, config.layout, embed_dim_, part.columns, w_qkv_.data() + part.first, total);
    if (part.b) std::copy_n(part.b, part.columns, b_qkv_.data() + part.first);
  }
  if (config.w_o) {
    w_o_.resize(floats("w_o", columns, embed_dim_));
    copy_weights(config.w_o, config.layout, columns, embed_dim_, w_o_.data(), embed_dim_);
  }
  if (config.b_o) b_o_.assign(config.b_o, config.b_o + embed_dim_);
}

AttentionResult MultiHeadAttention::forward(
    const float* x, std::int64_t batch, std::int64_t length, const ForwardOptions& options) const {
  const ResultSizes sizes = result_sizes({batch, length, embed_dim_, num_heads_, kv_heads_, head_dim_});
  if (batch == 0 || length == 0) return {};
  AttentionResult result;
  result.output = result_floats(floats("output", batch * length, out_dim()));
  if (options.need_weights) result.weights = result_floats(sizes.weights);
  forward_into(x, batch, length, result.output.data(), options.need_weights ? result.weights.data() : nullptr, options);
  return result;
}

void MultiHeadAttention::forward_into(
    const float* x, std::int64_t batch, std::int64_t length, float* output, float* weights,
    const ForwardOptions& options) const {
  const Shape shape{batch, length, embed_dim_, num_heads_, kv_heads_, head_dim_};
  const ResultSizes sizes = result_sizes(shape);
  if (batch == 0 || length == 0) return;
  const Linear qkv{embed_dim_, (num_heads_ + 2 * kv_heads_) * head_dim_, w_qkv_, b_qkv_};
  if (w_o_.empty()) return attend(shape, x, qkv, options, output, weights);

  require_data("output", output);
  const std::unique_ptr<float[]> heads = scratch_floats(sizes.output);
  attend(shape, x, qkv, options, heads.get(), weights);
  project({num_heads_ * head_dim_, embed_dim_, w_o_, b_o_}, heads.get(), batch * length, output);
}

}  // namespace attn
