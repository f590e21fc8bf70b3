#include "examples/encoder/encoder.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <stdexcept>
#include <string>
#include <utility>

#include "examples/encoder/row_tasks.hpp"
#include "examples/encoder/rows.hpp"

namespace encoder {
namespace {

// Most rows of a task of all that follows attention. 512 tokens took 0.93 to 0.97 of the time of 64 rows (Zen 3).
constexpr std::int64_t task_rows = 128;
// With fewer rows for each thread, all threads share each product.
constexpr std::int64_t fewest_rows = 64;

attn::MultiHeadAttention make_attention(const Weights& weights, const LayerWeights& layer) {
  attn::MultiHeadConfig config;
  config.embed_dim = weights.width;
  config.num_heads = weights.heads;
  config.layout = attn::WeightLayout::out_in;
  config.w_q = layer.query.w.data();
  config.w_k = layer.key.w.data();
  config.w_v = layer.value.w.data();
  config.w_o = layer.attention_output.w.data();
  config.b_q = layer.query.b.data();
  config.b_k = layer.key.b.data();
  config.b_v = layer.value.b.data();
  config.b_o = layer.attention_output.b.data();
  config.projection = attn::Projection::tiles;
  return attn::MultiHeadAttention(config);
}

attn::Linear make_linear(std::int64_t in, std::int64_t out, const LinearWeights& weights) {
  return attn::Linear(in, out, weights.w.data(), weights.b.data(), attn::WeightLayout::out_in);
}

LayerNorm norm_of(const NormWeights& norm, const Weights& weights) {
  return {norm.gain.data(), norm.shift.data(), weights.width, weights.epsilon};
}

// The first row of sequence b, and how many are real.
std::pair<std::int64_t, std::int64_t> place_of(const Batch& batch, std::int64_t b) {
  if (batch.cu_lengths) return {batch.cu_lengths[b], batch.cu_lengths[b + 1] - batch.cu_lengths[b]};
  return {b * batch.length, batch.lengths ? batch.lengths[b] : batch.length};
}

std::int64_t longest(const Batch& batch) {
  std::int64_t length = batch.cu_lengths ? 0 : batch.length;
  for (std::int64_t b = 0; batch.cu_lengths && b < batch.batch; ++b)
    length = std::max(length, place_of(batch, b).second);
  return length;
}

void check(const Batch& batch, const Weights& weights) {
  const auto fail = [](std::int64_t b, const std::string& what) {
    throw std::invalid_argument("sequence " + std::to_string(b) + " " + what);
  };
  for (std::int64_t b = 0; b < batch.batch; ++b) {
    const auto [first, count] = place_of(batch, b);
    const std::int64_t most = batch.cu_lengths ? weights.positions : std::min(weights.positions, batch.length);
    if (count < 1 || count > most)
      fail(b, "has " + std::to_string(count) + " tokens; 1 to " + std::to_string(most) + " are possible");
    for (std::int64_t t = first; t < first + count; ++t)
      if (batch.tokens[t] < 0 || batch.tokens[t] >= weights.vocabulary)
        fail(
            b,
            "has the token " + std::to_string(batch.tokens[t]) + "; there are " + std::to_string(weights.vocabulary));
  }
  if (!batch.cu_lengths && batch.length > weights.positions)
    throw std::invalid_argument(
        "length " + std::to_string(batch.length) + " is above " + std::to_string(weights.positions));
}

// embedding = m / |m|, m the mean of the rows: [count, width].
void pool(const float* rows, std::int64_t count, std::int64_t width, float* embedding) {
  std::vector<double> sums(static_cast<std::size_t>(width));
  for (std::int64_t r = 0; r < count; ++r)
    for (std::int64_t c = 0; c < width; ++c)
      sums[static_cast<std::size_t>(c)] += static_cast<double>(rows[r * width + c]);
  double square = 0;
  for (const double sum : sums) square += sum * sum;
  const double factor = 1 / std::sqrt(square);  // the count cancels
  for (std::int64_t c = 0; c < width; ++c)
    embedding[c] = static_cast<float>(sums[static_cast<std::size_t>(c)] * factor);
}

float* grown(std::vector<float>& memory, std::int64_t rows, std::int64_t columns) {
  const auto size = static_cast<std::size_t>(rows * columns);
  if (memory.size() < size) memory.resize(size);
  return memory.data();
}

}  // namespace

Encoder::Encoder(Weights weights) {
  for (LayerWeights& layer : weights.layers)
    layers_.push_back(
        {make_attention(weights, layer), make_linear(weights.width, weights.hidden, layer.up),
         make_linear(weights.hidden, weights.width, layer.down), std::move(layer.attention_norm),
         std::move(layer.output_norm)});
  weights.layers.clear();
  weights_ = std::move(weights);
}

// The sum of word, place and type of each token, normalised; then the layers.
void Encoder::embed(const Batch& batch, float* embeddings, const attn::Parallel* parallel) {
  check(batch, weights_);
  const std::int64_t rows = batch.cu_lengths ? batch.cu_lengths[batch.batch] : batch.batch * batch.length;
  if (rows == 0) return;
  const std::int64_t width = weights_.width;
  grown(attended_, rows, width);
  float* x = grown(x_, rows, width);
  // Of each row: its token, 0 for padding, and its place in its sequence.
  std::vector<std::int64_t> tokens(static_cast<std::size_t>(rows)), places(static_cast<std::size_t>(rows));
  for (std::int64_t b = 0; b < batch.batch; ++b) {
    const auto [first, count] = place_of(batch, b);
    const std::int64_t all = batch.cu_lengths ? count : batch.length;
    std::copy_n(batch.tokens + first, count, tokens.begin() + first);
    std::iota(places.begin() + first, places.begin() + first + all, 0);
  }
  const LayerNorm norm = norm_of(weights_.norm, weights_);
  for_rows(parallel, rows, task_rows, [&](std::int64_t, std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      const float* word = weights_.words.data() + tokens[static_cast<std::size_t>(r)] * width;
      const float* place = weights_.places.data() + places[static_cast<std::size_t>(r)] * width;
      for (std::int64_t c = 0; c < width; ++c)
        x[r * width + c] = word[c] + weights_.type[static_cast<std::size_t>(c)] + place[c];
    }
    norm.run(x + begin * width, nullptr, end - begin, x + begin * width);
  });
  for (const Layer& layer : layers_) run_layer(layer, batch, rows, parallel);
  for_rows(parallel, batch.batch, 1, [&](std::int64_t, std::int64_t begin, std::int64_t end) {
    for (std::int64_t b = begin; b < end; ++b) {
      const auto [first, count] = place_of(batch, b);
      pool(x + first * width, count, width, embeddings + b * width);
    }
  });
}

//   a = norm(attention(x) + x);  x = norm(down(gelu(up(a))) + a)
void Encoder::run_layer(const Layer& layer, const Batch& batch, std::int64_t rows, const attn::Parallel* parallel) {
  attn::ForwardOptions options;
  options.parallel = parallel;
  options.key_lengths = batch.cu_lengths ? nullptr : batch.lengths;
  options.cu_lengths = batch.cu_lengths;
  layer.attention.forward_into(x_.data(), batch.batch, longest(batch), attended_.data(), nullptr, options);
  const std::int64_t threads = parallel ? parallel->threads : 1;
  if (threads > 1 && rows < threads * fewest_rows) return finish_rows_together(layer, rows, parallel);
  const std::int64_t rounds = (rows + threads * task_rows - 1) / (threads * task_rows);
  const std::int64_t step = (rows + threads * rounds - 1) / (threads * rounds);
  grown(hidden_, threads * step, weights_.hidden);
  for_rows(parallel, rows, step, [&](std::int64_t task, std::int64_t begin, std::int64_t end) {
    finish_rows(layer, begin, end, hidden_.data() + task * step * weights_.hidden);
  });
}

// What follows attention, for rows begin to end - 1, on the calling thread.
void Encoder::finish_rows(const Layer& layer, std::int64_t begin, std::int64_t end, float* hidden) {
  const std::int64_t rows = end - begin;
  float* x = x_.data() + begin * weights_.width;
  float* attended = attended_.data() + begin * weights_.width;
  norm_of(layer.attention_norm, weights_).run(attended, x, rows, attended);
  layer.up.forward_into(attended, rows, hidden);
  gelu(hidden, rows * weights_.hidden);
  layer.down.forward_into(hidden, rows, x);
  norm_of(layer.output_norm, weights_).run(x, attended, rows, x);
}

// The same for few rows: all threads share each product, so that each reads a part of the weights.
void Encoder::finish_rows_together(const Layer& layer, std::int64_t rows, const attn::Parallel* parallel) {
  const std::int64_t width = weights_.width, share = rows / parallel->threads + 1;
  float* x = x_.data();
  float* attended = attended_.data();
  float* hidden = grown(hidden_, rows, weights_.hidden);
  for_rows(parallel, rows, share, [&](std::int64_t, std::int64_t begin, std::int64_t end) {
    float* row = attended + begin * width;
    norm_of(layer.attention_norm, weights_).run(row, x + begin * width, end - begin, row);
  });
  layer.up.forward_into(attended, rows, hidden, parallel);
  for_rows(parallel, rows, share, [&](std::int64_t, std::int64_t begin, std::int64_t end) {
    gelu(hidden + begin * weights_.hidden, (end - begin) * weights_.hidden);
  });
  layer.down.forward_into(hidden, rows, x, parallel);
  for_rows(parallel, rows, share, [&](std::int64_t, std::int64_t begin, std::int64_t end) {
    float* row = x + begin * width;
    norm_of(layer.output_norm, weights_).run(row, attended + begin * width, end - begin, row);
  });
}

}  // namespace encoder
