#include "support/oracle.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

namespace test {
namespace {

using attn::AttentionArgs;
using std::int64_t;

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();

double f16_value(std::uint16_t h) {
  const double sign = h & 0x8000 ? -1 : 1;
  const int exponent = h >> 10 & 31, fraction = h & 1023;
  if (exponent == 31) return fraction ? nan : sign * infinity;
  return sign * (exponent ? std::ldexp(1024 + fraction, exponent - 25) : std::ldexp(fraction, -24));
}

double bf16_value(std::uint16_t h) {
  const double sign = h & 0x8000 ? -1 : 1;
  const int exponent = h >> 7 & 255, fraction = h & 127;
  if (exponent == 255) return fraction ? nan : sign * infinity;
  return sign * (exponent ? std::ldexp(128 + fraction, exponent - 134) : std::ldexp(fraction, -133));
}

// Strides of a dimension of size 1 may hold anything; index 0 times anything is 0, so they need no care.
template <class Quad>
int64_t place(const Quad& x, int64_t b, int64_t h, int64_t r, int64_t c) {
  return b * x.batch_stride + h * x.head_stride + r * x.row_stride + c * x.column_stride;
}
double element(const attn::Bias& x, int64_t b, int64_t h, int64_t r, int64_t c) {
  return element_of({x.data, x.dtype, 0, 0, 0}, 0, 0, 0, place(x, b, h, r, c));
}

// a + b, held inside int64.
int64_t add(int64_t a, int64_t b) {
  constexpr int64_t top = std::numeric_limits<int64_t>::max(), bottom = std::numeric_limits<int64_t>::min();
  if (b > 0 && a > top - b) return top;
  if (b < 0 && a < bottom - b) return bottom;
  return a + b;
}

// Item b of the batch: where its rows begin in the tensors, and how many there are.
struct Item {
  int64_t b, tensor_batch, first_query, queries, first_key, keys, all_keys;
};

Item item_of(const AttentionArgs& a, int64_t b) {
  Item x{b, b, 0, a.query_length, 0, a.key_length, a.key_length};
  if (a.cu_query_lengths)
    x = {
        b,
        0,
        a.cu_query_lengths[b],
        a.cu_query_lengths[b + 1] - a.cu_query_lengths[b],
        a.cu_key_lengths[b],
        a.cu_key_lengths[b + 1] - a.cu_key_lengths[b],
        a.cu_key_lengths[b + 1] - a.cu_key_lengths[b]};
  if (a.key_lengths) x.keys = a.key_lengths[b];
  return x;
}

int64_t kv_head(const AttentionArgs& a, int64_t h) { return h / (a.query_heads / a.kv_heads); }

// Where row j of a sequence of keys or values stands.
struct CacheRow {
  int64_t batch, row;
};
CacheRow cache_row(const AttentionArgs& a, const Item& x, int64_t j) {
  if (!a.page_table) return {x.tensor_batch, x.first_key + j};
  return {a.page_table[x.b * a.page_table_stride + j / a.page_length], j % a.page_length};
}
double scale_of(const attn::Scales& scales, const CacheRow& at, int64_t head) {
  if (!scales.data) return 1;
  return static_cast<double>(
      scales.data[at.batch * scales.batch_stride + head * scales.head_stride + at.row * scales.row_stride]);
}

// Element d of key j, and of value j, that query head h reads.
double key_element(const AttentionArgs& a, const Item& x, int64_t h, int64_t j, int64_t d) {
  const CacheRow at = cache_row(a, x, j);
  const double scale = scale_of(a.key_scales, at, kv_head(a, h));
  if (a.key_layout == attn::KeyLayout::rows) return scale * element_of(a.key, at.batch, kv_head(a, h), at.row, d);
  return scale * element_of(a.key, at.batch, kv_head(a, h), at.row / 16, 16 * d + at.row % 16);
}
double value_element(const AttentionArgs& a, const Item& x, int64_t h, int64_t j, int64_t e) {
  const CacheRow at = cache_row(a, x, j);
  return scale_of(a.value_scales, at, kv_head(a, h)) * element_of(a.value, at.batch, kv_head(a, h), at.row, e);
}

int64_t position_of(const AttentionArgs& a, const Item& x, int64_t t) {
  if (a.alignment == attn::Alignment::top_left) return t;
  if (a.alignment == attn::Alignment::given) return add(a.query_offsets[x.b], t);
  return x.keys - x.queries + t;
}

bool may_attend(const AttentionArgs& a, const Item& x, int64_t h, int64_t t, int64_t j) {
  const int64_t p = position_of(a, x, t);
  if (j >= x.keys) return false;
  if (a.causal && j > p) return false;
  if (a.window_left >= 0 && add(j, a.window_left) < p) return false;
  if (a.window_right >= 0 && j > add(p, a.window_right)) return false;
  const int64_t first_masked = a.mask_columns == 0 ? 0 : x.keys - a.mask_columns;
  if (a.mask.data && j >= first_masked && a.mask.data[place(a.mask, x.b, h, t, j - first_masked)] == 0) return false;
  return !a.bias.data || element(a.bias, x.b, h, t, j) != -infinity;
}

// The score at each stage of its life; the last is what the softmax sees.
struct Score {
  double scaled, capped, biased, error;
};

Score score(const AttentionArgs& a, const Item& x, int64_t h, int64_t t, int64_t j) {
  double dot = 0, squares = 0;
  for (int64_t d = 0; d < a.head_dim; ++d) {
    dot += element_of(a.query, x.tensor_batch, h, x.first_query + t, d) * key_element(a, x, h, j, d);
    squares += dot * dot;
  }
  const double scale = a.scale == 0 ? 1 / std::sqrt(static_cast<double>(a.head_dim)) : static_cast<double>(a.scale);

  Score s;
  s.scaled = dot * scale;
  s.error = 0x1p-24 * std::sqrt(squares) * std::fabs(scale);
  const double cap = static_cast<double>(a.softcap);
  s.capped = cap == 0 ? s.scaled : cap * std::tanh(s.scaled / cap);
  s.biased = s.capped;
  // Each step rounds once, by up to u of what it gives: the cap a few times, as tanh is a few u off.
  constexpr double u = 0x1p-24;
  if (cap != 0) s.error += 4 * u * std::fabs(s.capped);
  if (a.alibi_slopes) {
    s.biased -= static_cast<double>(a.alibi_slopes[h]) * std::fabs(static_cast<double>(position_of(a, x, t) - j));
    if (std::isfinite(s.biased)) s.error += u * std::fabs(s.biased);
  }
  if (a.bias.data) {
    s.biased += (a.bias.head_factors ? static_cast<double>(a.bias.head_factors[h]) : 1) * element(a.bias, x.b, h, t, j);
    if (std::isfinite(s.biased)) s.error += u * std::fabs(s.biased);
  }
  if (cap != 0 || a.alibi_slopes || a.bias.data || a.sinks) s.error += u * std::fabs(s.scaled);
  if (a.key.dtype > attn::DType::bf16) s.error += u * std::fabs(s.scaled);  // the product with the key's scale
  return s;
}

// exp(s[j] - m) / sum for the allowed j; 0 elsewhere. Returns the log-sum-exp.
double normalize(
    const std::vector<double>& s, const std::vector<char>& allowed, const float* sink, std::vector<double>& weights) {
  double m = sink ? static_cast<double>(*sink) : -infinity;
  bool spoilt = std::isnan(m) || m == infinity;
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
  if (spoilt) sum = nan;
  for (std::size_t j = 0; j < s.size(); ++j)
    if (allowed[j]) weights[j] /= sum;  // an excluded key weighs 0 in a NaN row, too
  return m + std::log(sum);
}

}  // namespace

double element_of(const attn::Tensor& x, int64_t b, int64_t h, int64_t r, int64_t c) {
  const int64_t index = b * x.batch_stride + h * x.head_stride + r * x.row_stride + c;
  switch (x.dtype) {
    case attn::DType::f32:
      return static_cast<double>(static_cast<const float*>(x.data)[index]);
    case attn::DType::f16:
      return f16_value(static_cast<const std::uint16_t*>(x.data)[index]);
    case attn::DType::bf16:
      return bf16_value(static_cast<const std::uint16_t*>(x.data)[index]);
    case attn::DType::i8:
      return static_cast<const std::int8_t*>(x.data)[index];
    case attn::DType::q8_0: {
      const attn::q8_0& block = static_cast<const attn::q8_0*>(x.data)[index / 32];
      return f16_value(block.scale.bits) * block.values[index % 32];
    }
  }
  throw std::logic_error("no DType");
}

Attended attend(const AttentionArgs& a) {
  Attended result;
  const std::size_t columns = static_cast<std::size_t>(a.value_dim);
  result.largest_value = std::numeric_limits<float>::min();
  const int64_t all_queries = a.cu_query_lengths ? a.cu_query_lengths[a.batch] : a.batch * a.query_length;
  const int64_t all_keys = a.cu_key_lengths ? a.cu_key_lengths[a.batch] : a.batch * a.key_length;
  result.output.resize(static_cast<std::size_t>(all_queries * a.query_heads) * columns);
  result.log_sum_exp.resize(all_queries * a.query_heads);
  result.key_weight_sums.resize(all_keys * a.query_heads);
  result.weights.resize(all_queries * a.query_heads * a.key_length);
  result.scores.assign(all_queries * a.query_heads * a.key_length, -infinity);

  for (int64_t b = 0; b < a.batch; ++b) {
    const Item x = item_of(a, b);
    for (int64_t h = 0; h < a.query_heads; ++h) {
      // Rows of the results: [batch, heads, queries], or [heads, all queries] if packed; keys likewise.
      const int64_t first_row =
          a.cu_query_lengths ? h * all_queries + x.first_query : (b * a.query_heads + h) * x.queries;
      const int64_t first_sum = a.cu_key_lengths ? h * all_keys + x.first_key : (b * a.query_heads + h) * x.all_keys;
      for (int64_t t = 0; t < x.queries; ++t) {
        const std::size_t row = static_cast<std::size_t>(first_row + t), first = row * a.key_length;
        std::vector<double> s, weights(x.all_keys);
        std::vector<char> allowed;
        for (int64_t j = 0; j < x.all_keys; ++j) {
          allowed.push_back(may_attend(a, x, h, t, j));
          const bool there = a.scores.data && a.scores_stage != attn::ScoresStage::biased && j < x.keys;
          Score stages{-infinity, -infinity, -infinity, 0};
          if (allowed.back() || there) stages = score(a, x, h, t, j);
          s.push_back(allowed.back() ? stages.biased : -infinity);
          if (std::isfinite(stages.error)) result.score_error = std::max(result.score_error, stages.error);
          result.scores[first + j] = a.scores_stage == attn::ScoresStage::scaled ? stages.scaled
              : a.scores_stage == attn::ScoresStage::capped                      ? stages.capped
                                                                                 : s.back();
        }
        const double log_sum = normalize(s, allowed, a.sinks ? a.sinks + h : nullptr, weights);
        result.log_sum_exp[row] = log_sum;
        // A sink that is NaN or infinite spoils its row even if the row sees no key.
        if (std::isnan(log_sum)) std::fill_n(result.output.begin() + static_cast<int64_t>(row * columns), columns, nan);
        for (int64_t j = 0; j < x.all_keys; ++j) {
          const std::size_t i = static_cast<std::size_t>(j);
          if (!allowed[i] || log_sum == -infinity) continue;
          result.key_weight_sums[first_sum + j] += weights[i];
          for (std::size_t e = 0; e < columns; ++e) {
            const double value = value_element(a, x, h, j, static_cast<int64_t>(e));
            result.output[row * columns + e] += weights[i] * value;
            if (std::isfinite(value)) result.largest_value = std::max(result.largest_value, std::fabs(value));
          }
        }
        std::copy(weights.begin(), weights.end(), result.weights.begin() + static_cast<int64_t>(first));
        result.allowed.insert(result.allowed.end(), allowed.begin(), allowed.end());
      }
    }
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
