// The same encoder as plain loops in double, one sequence at a time. It shares no code with encoder.cpp.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "examples/encoder/weights.hpp"

namespace encoder {

using Rows = std::vector<std::vector<double>>;

inline Rows plain_linear(const Rows& x, const LinearWeights& weights) {
  Rows y;
  for (const std::vector<double>& row : x) {
    y.emplace_back(weights.b.begin(), weights.b.end());
    for (std::size_t o = 0; o < weights.b.size(); ++o)
      for (std::size_t i = 0; i < row.size(); ++i)
        y.back()[o] += row[i] * static_cast<double>(weights.w[o * row.size() + i]);
  }
  return y;
}

inline Rows plain_norm(Rows x, const NormWeights& weights, double epsilon) {
  for (std::vector<double>& row : x) {
    const auto width = static_cast<double>(row.size());
    double mean = 0, variance = 0;
    for (const double v : row) mean += v / width;
    for (const double v : row) variance += (v - mean) * (v - mean) / width;
    for (std::size_t c = 0; c < row.size(); ++c)
      row[c] = (row[c] - mean) / std::sqrt(variance + epsilon) * static_cast<double>(weights.gain[c]) +
          static_cast<double>(weights.shift[c]);
  }
  return x;
}

inline Rows plain_sum(Rows x, const Rows& y) {
  for (std::size_t r = 0; r < x.size(); ++r)
    for (std::size_t c = 0; c < x[r].size(); ++c) x[r][c] += y[r][c];
  return x;
}

inline Rows plain_attention(const Rows& q, const Rows& k, const Rows& v, std::size_t heads) {
  const std::size_t length = q.size(), width = q[0].size(), dim = width / heads;
  Rows output(length, std::vector<double>(width));
  std::vector<double> weight(length);
  for (std::size_t h = 0; h < heads; ++h)
    for (std::size_t i = 0; i < length; ++i) {
      for (std::size_t j = 0; j < length; ++j) {
        weight[j] = 0;
        for (std::size_t c = h * dim; c < (h + 1) * dim; ++c) weight[j] += q[i][c] * k[j][c];
        weight[j] /= std::sqrt(static_cast<double>(dim));
      }
      const double most = *std::max_element(weight.begin(), weight.end());
      double sum = 0;
      for (double& w : weight) sum += w = std::exp(w - most);
      for (std::size_t j = 0; j < length; ++j)
        for (std::size_t c = h * dim; c < (h + 1) * dim; ++c) output[i][c] += weight[j] / sum * v[j][c];
    }
  return output;
}

// The embedding of one sequence: [width].
inline std::vector<double> plain_embedding(const Weights& weights, const std::vector<std::int64_t>& tokens) {
  const auto width = static_cast<std::size_t>(weights.width);
  Rows x;
  for (std::size_t t = 0; t < tokens.size(); ++t) {
    x.emplace_back(width);
    for (std::size_t c = 0; c < width; ++c)
      x[t][c] = static_cast<double>(weights.words[static_cast<std::size_t>(tokens[t]) * width + c]) +
          static_cast<double>(weights.places[t * width + c]) + static_cast<double>(weights.type[c]);
  }
  x = plain_norm(x, weights.norm, weights.epsilon);
  for (const LayerWeights& layer : weights.layers) {
    const Rows attended = plain_attention(
        plain_linear(x, layer.query), plain_linear(x, layer.key), plain_linear(x, layer.value),
        static_cast<std::size_t>(weights.heads));
    x = plain_norm(plain_sum(plain_linear(attended, layer.attention_output), x), layer.attention_norm, weights.epsilon);
    Rows hidden = plain_linear(x, layer.up);
    for (std::vector<double>& row : hidden)
      for (double& v : row) v = 0.5 * v * std::erfc(-v / std::sqrt(2.0));
    x = plain_norm(plain_sum(plain_linear(hidden, layer.down), x), layer.output_norm, weights.epsilon);
  }
  std::vector<double> embedding(width);
  double square = 0;
  for (std::size_t c = 0; c < width; ++c) {
    for (const std::vector<double>& row : x) embedding[c] += row[c] / static_cast<double>(x.size());
    square += embedding[c] * embedding[c];
  }
  for (double& v : embedding) v /= std::sqrt(square);
  return embedding;
}

}  // namespace encoder
