#include "call/wide_row.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/exponent.hpp"
#include "call/holes.hpp"
#include "call/wide_product.hpp"

namespace attn::wide_row {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float largest = std::numeric_limits<float>::max();
// On the stack: so many keys, and columns of values, at a time.
constexpr std::int64_t key_step = 64, column_step = 256;

// sums[c] += weight * value for some columns of the value of key j.
void add_value(const Row& row, std::int64_t j, Columns columns, double weight, double* sums) noexcept {
  const CacheHead cache = cache_of(row);
  float wide[column_step];
  const float* const v = stored_value(cache, j, columns, wide);
  const std::int64_t group = scale_columns(row.problem.value.dtype, row.problem.value_dim);
  for (std::int64_t c = 0; c < columns.count;) {
    const std::int64_t column = columns.first + c;
    const std::int64_t end = std::min(columns.count, (column / group + 1) * group - columns.first);
    const double scaled = weight * static_cast<double>(value_scale(cache, j, column));
    for (; c < end; ++c) sums[c] += scaled * static_cast<double>(v[c]);
  }
}

float score(const Row& row, std::int64_t j) noexcept {
  const Scoring& scoring = row.problem.scoring;
  float s = scaled_score(row, j);
  if (!scoring.steps_row(row.biased)) return s;
  simd::RowSteps steps = scoring.row_steps(row.sequence, row.head, row.query, j);
  float bias;
  if (row.biased) steps.bias = bias_of(row, j, {0, 1}, &bias);
  row.kernels.step_scores({1, scoring.softcap}, steps, &s, 1);
  return s;
}

// Calls visit(j) for every key of a range that the row sees.
template <class Visit>
void for_each_key(const Row& row, KeyRange keys, const Visit& visit) noexcept {
  const Visibility& visibility = row.problem.visibility;
  const KeyRange range = visibility.range(row.sequence, row.query);
  for (std::int64_t j = std::max(range.begin, keys.begin); j < std::min(range.end, keys.end); ++j)
    if (visibility.unmasked(row.sequence, row.head, row.query, j)) visit(j);
}
constexpr KeyRange every_key{0, std::numeric_limits<std::int64_t>::max()};

// Calls visit(j, exp(score - max)) for every key of a range that the row sees, as the kernels compute it.
template <class Visit>
void for_each_weight(const Row& row, float max, KeyRange keys, const Visit& visit) noexcept {
  const simd::Exponent exponent = make_exponent(1.0);
  std::int64_t index[key_step], count = 0;
  float weights[key_step] = {};
  const auto flush = [&] {
    row.kernels.exp_scaled(weights, weights, count, exponent);
    for (std::int64_t i = 0; i < count; ++i) visit(index[i], static_cast<double>(weights[i]));
    count = 0;
  };
  for_each_key(row, keys, [&](std::int64_t j) {
    index[count] = j;
    weights[count++] = score(row, j) - max;
    if (count == key_step) flush();
  });
  flush();
}

// Is the product of the query and a key, both finite, infinite in float32?
bool products_overflow(const Row& row) noexcept {
  const double q = largest_of_query(row);
  if (!std::isfinite(q)) return false;
  const double most = q * static_cast<double>(row.problem.head_dim);
  bool lost = false;
  for_each_key(row, every_key, [&](std::int64_t j) {
    if (lost) return;
    const double k = largest_of_key(row, j);
    if (!std::isfinite(k) || most * k < static_cast<double>(largest) / 2) return;
    lost = !std::isfinite(float_product(row, j));
  });
  return lost;
}

float sink_of(const Row& row) noexcept {
  const float* const sinks = row.problem.scoring.sinks;
  return sinks ? sinks[row.head] : -infinity;
}

// A NaN score does not become the maximum; it is in the sum.
float max_score(const Row& row) noexcept {
  float max = sink_of(row);
  for_each_key(row, every_key, [&](std::int64_t j) { max = std::max(max, score(row, j)); });
  return max;
}

// sums[c] = sum of exp(score - max) * value[first + c] over the keys; that of the exponentials, with the sink, is
// returned.
double weighted_sums(const Row& row, float max, std::int64_t first, std::int64_t count, double* sums) noexcept {
  double sum = 0;
  if (const float sink = sink_of(row); sink != -infinity) {
    float x = sink - max;
    row.kernels.exp_scaled(&x, &x, 1, make_exponent(1.0));
    sum = static_cast<double>(x);
  }
  std::fill(sums, sums + count, 0.0);
  for_each_weight(row, max, every_key, [&](std::int64_t j, double weight) {
    sum += weight;
    add_value(row, j, {first, count}, weight, sums);
  });
  return sum;
}

// All of the row. Without a score above -inf it is empty: 0.
Softmax attend(const Row& row, float* out) noexcept {
  Softmax softmax{max_score(row), 0};
  const bool empty = softmax.max == -infinity;
  for (std::int64_t e = 0; e == 0 || e < row.problem.value_dim; e += column_step) {
    const std::int64_t count = std::min(column_step, row.problem.value_dim - e);
    double sums[column_step];
    float wide[column_step] = {};
    if (!empty) softmax.sum = weighted_sums(row, softmax.max, e, count, sums);
    for (std::int64_t c = 0; c < count && !empty; ++c) wide[c] = static_cast<float>(sums[c] / softmax.sum);
    row.kernels.finish_row(wide, 1.0f, out + e, count);
  }
  return softmax;
}

// From the first to the last of some columns whose output is not finite.
Columns lost_columns(Columns columns, const float* out) noexcept {
  std::int64_t begin = columns.first + columns.count, end = begin;
  for (std::int64_t e = columns.first; e < columns.first + columns.count; ++e)
    if (!std::isfinite(out[e])) begin = std::min(begin, e), end = e + 1;
  return {begin, end - begin};
}

// Computes out[e] again for the columns that are not finite though the values that the row sees are.
void attend_lost(const Row& row, Columns lost, float* out) noexcept {
  const std::int64_t count = lost.count;
  bool wanted[column_step];
  std::int64_t left = 0;
  for (std::int64_t c = 0; c < count; ++c) left += wanted[c] = !std::isfinite(out[lost.first + c]);
  for_each_key(row, every_key, [&](std::int64_t j) {
    if (left == 0) return;
    double v[column_step] = {};
    add_value(row, j, lost, 1, v);
    for (std::int64_t c = 0; c < count; ++c)
      if (wanted[c] && !std::isfinite(v[c])) {
        wanted[c] = false;
        --left;
      }
  });
  if (left == 0) return;
  double sums[column_step];
  const double sum = weighted_sums(row, max_score(row), lost.first, count, sums);
  for (std::int64_t c = 0; c < count; ++c)
    if (wanted[c]) out[lost.first + c] = static_cast<float>(sums[c] / sum);
}

}  // namespace

float scaled_score(const Row& row, std::int64_t j) noexcept {
  return static_cast<float>(row.problem.scoring.scale * exact_product(row, j));
}

bool mend(const Row& row, float row_sum, bool overflowed, float* out, Softmax& softmax) noexcept {
  if (overflowed && products_overflow(row)) {
    softmax = attend(row, out);
    return true;
  }
  if (!(row_sum > 0)) return false;
  for (std::int64_t e = 0; e < row.problem.value_dim; e += column_step) {
    const Columns lost = lost_columns({e, std::min(column_step, row.problem.value_dim - e)}, out);
    if (lost.count > 0) attend_lost(row, lost, out);
  }
  return false;
}

void weigh(const Row& row, const Softmax& softmax, KeyRange keys, float* weights) noexcept {
  std::fill(weights, weights + (keys.end - keys.begin), 0.0f);
  if (softmax.sum == 0) return;
  for_each_weight(row, softmax.max, keys, [&](std::int64_t j, double weight) {
    const double share = weight / softmax.sum;
    weights[j - keys.begin] = std::isnan(share) ? std::numeric_limits<float>::quiet_NaN() : static_cast<float>(share);
  });
}

}  // namespace attn::wide_row
