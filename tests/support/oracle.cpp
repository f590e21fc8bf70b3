#include "oracle.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace test {
namespace {

using attn::AttentionArgs;
using std::int64_t;

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();

const float* row_of(const attn::Tensor& x, int64_t b, int64_t h, int64_t r) {
  return static_cast<const float*>(x.data) + b * x.batch_stride + h * x.head_stride + r * x.row_stride;
}

// Strides of a dimension of size 1 may hold anything; index 0 times anything is 0, so they need no care.
template <class Quad>
auto element(const Quad& x, int64_t b, int64_t h, int64_t r, int64_t c) {
  return x.data[b * x.batch_stride + h * x.head_stride + r * x.row_stride + c * x.column_stride];
}

// a + b, held inside int64.
int64_t add(int64_t a, int64_t b) {
  constexpr int64_t top = std::numeric_limits<int64_t>::max(), bottom = std::numeric_limits<int64_t>::min();
  if (b > 0 && a > top - b) return top;
  if (b < 0 && a < bottom - b) return bottom;
  return a + b;
}

int64_t keys_of(const AttentionArgs& a, int64_t b) { return a.key_lengths ? a.key_lengths[b] : a.key_length; }

int64_t position_of(const AttentionArgs& a, int64_t b, int64_t t) {
  if (a.alignment == attn::Alignment::top_left) return t;
  if (a.alignment == attn::Alignment::given) return add(a.query_offsets[b], t);
  return keys_of(a, b) - a.query_length + t;
}

bool may_attend(const AttentionArgs& a, int64_t b, int64_t h, int64_t t, int64_t j) {
  const int64_t p = position_of(a, b, t);
  if (j >= keys_of(a, b)) return false;
  if (a.causal && j > p) return false;
  if (a.window_left >= 0 && add(j, a.window_left) < p) return false;
  if (a.window_right >= 0 && j > add(p, a.window_right)) return false;
  return !a.mask.data || element(a.mask, b, h, t, j) != 0;
}

// The score at each stage of its life; the last is what the softmax sees.
struct Score {
  double scaled, capped, biased, error;
};

Score score(const AttentionArgs& a, int64_t b, int64_t h, int64_t t, int64_t j) {
  const float* q = row_of(a.query, b, h, t);
  const float* k = row_of(a.key, b, h / (a.query_heads / a.kv_heads), j);
  double dot = 0, squares = 0;
  for (int64_t d = 0; d < a.head_dim; ++d) {
    dot += static_cast<double>(q[d]) * static_cast<double>(k[d]);
    squares += dot * dot;
  }
  const double scale = a.scale == 0 ? 1 / std::sqrt(static_cast<double>(a.head_dim)) : static_cast<double>(a.scale);

  Score s;
  s.scaled = dot * scale;
  s.error = 0x1p-24 * std::sqrt(squares) * std::fabs(scale);
  const double cap = static_cast<double>(a.softcap);
  s.capped = cap == 0 ? s.scaled : cap * std::tanh(s.scaled / cap);
  s.biased = s.capped;
  if (a.alibi_slopes)
    s.biased -= static_cast<double>(a.alibi_slopes[h]) * std::fabs(static_cast<double>(position_of(a, b, t) - j));
  if (a.bias.data) s.biased += static_cast<double>(element(a.bias, b, h, t, j));
  return s;
}

// exp(s[j] - m) / sum for the allowed j; 0 elsewhere. Returns the log-sum-exp.
double normalize(const std::vector<double>& s, const std::vector<char>& allowed, const float* sink,
                 std::vector<double>& weights) {
  double m = sink ? static_cast<double>(*sink) : -infinity;
  bool spoilt = false;
  for (std::size_t j = 0; j < s.size(); ++j)
    if (allowed[j]) {
      spoilt = spoilt || std::isnan(s[j]) || s[j] == infinity;
      if (s[j] > m) m = s[j];
    }
  std::fill(weights.begin(), weights.end(), 0.0);
  if (!spoilt && m == -infinity) return -infinity;

  double sum = sink ? std::exp(static_cast<double>(*sink) - m) : 0;
  for (std::size_t j = 0; j < s.size(); ++j)
    if (allowed[j]) sum += weights[j] = spoilt ? nan : std::exp(s[j] - m);
  for (std::size_t j = 0; j < s.size(); ++j)
    if (allowed[j]) weights[j] /= sum;  // an excluded key weighs 0 in a NaN row, too
  return m + std::log(sum);
}

}  // namespace

Attended attend(const AttentionArgs& a) {
  Attended result;
  const std::size_t keys = static_cast<std::size_t>(a.key_length);
  std::vector<double> s(keys), weights(keys), output(static_cast<std::size_t>(a.value_dim));
  std::vector<char> allowed(keys);
  result.largest_value = std::numeric_limits<float>::min();

  for (int64_t b = 0; b < a.batch; ++b)
    for (int64_t h = 0; h < a.query_heads; ++h)
      for (int64_t t = 0; t < a.query_length; ++t) {
        for (int64_t j = 0; j < a.key_length; ++j) {
          const std::size_t i = static_cast<std::size_t>(j);
          allowed[i] = may_attend(a, b, h, t, j);
          Score stages{-infinity, -infinity, -infinity, 0};
          if (allowed[i]) stages = score(a, b, h, t, j);
          s[i] = stages.biased;
          if (std::isfinite(stages.error)) result.score_error = std::max(result.score_error, stages.error);
          result.scores.push_back(a.scores_stage == attn::ScoresStage::scaled   ? stages.scaled
                                  : a.scores_stage == attn::ScoresStage::capped ? stages.capped
                                                                                : stages.biased);
        }
        const double log_sum = normalize(s, allowed, a.sinks ? a.sinks + h : nullptr, weights);
        const bool empty = log_sum == -infinity;

        std::fill(output.begin(), output.end(), 0.0);
        for (int64_t j = 0; j < a.key_length; ++j) {
          const std::size_t i = static_cast<std::size_t>(j);
          if (!allowed[i] || empty) continue;
          const float* v = row_of(a.value, b, h / (a.query_heads / a.kv_heads), j);
          for (std::size_t e = 0; e < output.size(); ++e) {
            const double value = static_cast<double>(v[e]);
            output[e] += weights[i] * value;
            if (std::isfinite(value)) result.largest_value = std::max(result.largest_value, std::fabs(value));
          }
        }
        result.output.insert(result.output.end(), output.begin(), output.end());
        result.weights.insert(result.weights.end(), weights.begin(), weights.end());
        result.allowed.insert(result.allowed.end(), allowed.begin(), allowed.end());
        result.log_sum_exp.push_back(log_sum);
      }
  return result;
}

std::vector<double> softmax(const std::vector<float>& x, double scale) {
  std::vector<double> s, weights(x.size());
  for (float value : x) {
    const double signed_value = static_cast<double>(scale < 0 ? -value : value);
    s.push_back(std::isinf(signed_value) ? signed_value : signed_value * std::fabs(scale));
  }
  normalize(s, std::vector<char>(x.size(), 1), nullptr, weights);
  return weights;
}

}  // namespace test
