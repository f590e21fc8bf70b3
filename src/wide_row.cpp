#include "wide_row.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "exponent.hpp"
#include "rows.hpp"

namespace attn::wide_row {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float largest = std::numeric_limits<float>::max();
// On the stack: so many elements of a row, keys, and columns of values at a time.
constexpr std::int64_t step = 64, key_step = 64, column_step = 256;

const char* query_of(const Row& row) noexcept {
  const Sequence& s = row.sequence;
  return address_of(row.args.query, s.batch, row.head, s.first_query + row.query);
}
const char* key_of(const Row& row, std::int64_t j) noexcept {
  const std::int64_t group = row.args.query_heads / row.args.kv_heads;
  return address_of(row.args.key, row.sequence.batch, row.head / group, row.sequence.first_key + j);
}
const char* value_of(const Row& row, std::int64_t j) noexcept {
  const std::int64_t group = row.args.query_heads / row.args.kv_heads;
  return address_of(row.args.value, row.sequence.batch, row.head / group, row.sequence.first_key + j);
}

// Elements d .. d + count of a row of `type` as float: where they stand, or widened into `wide`.
const float* as_float(const Row& row, const char* x, DType type, std::int64_t d, std::int64_t count,
                      float* wide) noexcept {
  x += d * size_of(type);
  if (type == DType::f32) return reinterpret_cast<const float*>(x);
  row.kernels.widen(x, storage_of(type), count, wide);
  return wide;
}

// Calls add(q, k, count) for some elements of the row and of key j after the other, at most `step`.
template <class Add>
void for_each_factors(const Row& row, std::int64_t j, const Add& add) noexcept {
  const AttentionArgs& a = row.args;
  float q[step], k[step];
  for (std::int64_t d = 0; d < a.head_dim; d += step) {
    const std::int64_t count = std::min(step, a.head_dim - d);
    add(as_float(row, query_of(row), a.query.dtype, d, count, q),
        as_float(row, key_of(row, j), a.key.dtype, d, count, k), count);
  }
}

// q . k in double, where neither product nor sum can overflow. Four sums hide the latency of one.
double exact_product(const Row& row, std::int64_t j) noexcept {
  double sums[4] = {};
  for_each_factors(row, j, [&](const float* q, const float* k, std::int64_t count) {
    std::int64_t d = 0;
    for (; d + 4 <= count; d += 4)
      for (std::int64_t i = 0; i < 4; ++i) sums[i] += static_cast<double>(q[d + i]) * static_cast<double>(k[d + i]);
    for (; d < count; ++d) sums[d % 4] += static_cast<double>(q[d]) * static_cast<double>(k[d]);
  });
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

// The float32 chain of the kernels.
float float_product(const Row& row, std::int64_t j) noexcept {
  float sum = 0;
  for_each_factors(row, j, [&](const float* q, const float* k, std::int64_t count) {
    for (std::int64_t d = 0; d < count; ++d) sum = std::fma(q[d], k[d], sum);
  });
  return sum;
}

// max |x|; not finite if an element is not. As integers, in eight maxima, which a compiler turns into vectors.
float largest_of(const Row& row, const char* x, DType type) noexcept {
  std::int32_t most[8] = {};
  for (std::int64_t d = 0; d < row.args.head_dim; d += step) {
    float wide[step];
    std::int32_t bits[step];
    const std::int64_t count = std::min(step, row.args.head_dim - d);
    std::memcpy(bits, as_float(row, x, type, d, count, wide), static_cast<std::size_t>(count) * sizeof(float));
    std::fill(bits + count, bits + step, 0);
    for (std::int64_t e = 0; e < step; e += 8)
      for (std::int64_t i = 0; i < 8; ++i) {
        const std::int32_t size = bits[e + i] & 0x7fffffff;
        most[i] = size > most[i] ? size : most[i];
      }
  }
  float result;
  std::memcpy(&result, std::max_element(most, most + 8), sizeof result);
  return result;
}

float score(const Row& row, std::int64_t j) noexcept {
  const AttentionArgs& a = row.args;
  float s = scaled_score(row, j);
  if (!has_steps(a)) return s;
  simd::RowSteps steps{a.alibi_slopes != nullptr, 0, 0, nullptr};
  if (steps.alibi) {
    steps.slope = a.alibi_slopes[row.head];
    steps.distance = static_cast<float>(saturating_add(position_of(row.sequence, row.query), -j));
  }
  if (a.bias.data) steps.bias = element_of(a.bias, row.sequence.item, row.head, row.query, j);
  row.kernels.step_scores({1, a.softcap}, steps, &s, 1);
  return s;
}

// Calls visit(j) for every key of a range that the row sees.
template <class Visit>
void for_each_key(const Row& row, KeyRange keys, const Visit& visit) noexcept {
  const AttentionArgs& a = row.args;
  const KeyRange allowed = allowed_keys(a, row.sequence, row.query);
  for (std::int64_t j = std::max(allowed.begin, keys.begin); j < std::min(allowed.end, keys.end); ++j)
    if (!a.mask.data || *element_of(a.mask, row.sequence.item, row.head, row.query, j) != 0) visit(j);
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
  const float q = largest_of(row, query_of(row), row.args.query.dtype);
  if (!std::isfinite(q)) return false;
  const double most = static_cast<double>(q) * static_cast<double>(row.args.head_dim);
  bool lost = false;
  for_each_key(row, every_key, [&](std::int64_t j) {
    if (lost) return;
    const float k = largest_of(row, key_of(row, j), row.args.key.dtype);
    if (!std::isfinite(k) || most * static_cast<double>(k) < static_cast<double>(largest) / 2) return;
    lost = !std::isfinite(float_product(row, j));
  });
  return lost;
}

float sink_of(const Row& row) noexcept { return row.args.sinks ? row.args.sinks[row.head] : -infinity; }

// A NaN score does not become the maximum; it is in the sum.
float max_score(const Row& row) noexcept {
  float max = sink_of(row);
  for_each_key(row, every_key, [&](std::int64_t j) { max = std::max(max, score(row, j)); });
  return max;
}

// sums[c] = sum of exp(score - max) * value[first + c] over the keys; that of the exponentials, with the sink, is
// returned.
double weighted_sums(const Row& row, float max, std::int64_t first, std::int64_t count, double* sums) noexcept {
  const DType type = row.args.value.dtype;
  double sum = 0;
  if (const float sink = sink_of(row); sink != -infinity) {
    float x = sink - max;
    row.kernels.exp_scaled(&x, &x, 1, make_exponent(1.0));
    sum = static_cast<double>(x);
  }
  std::fill(sums, sums + count, 0.0);
  for_each_weight(row, max, every_key, [&](std::int64_t j, double weight) {
    float wide[column_step];
    const float* const v = as_float(row, value_of(row, j), type, first, count, wide);
    sum += weight;
    for (std::int64_t c = 0; c < count; ++c) sums[c] += weight * static_cast<double>(v[c]);
  });
  return sum;
}

// All of the row. Without a score above -inf it is empty: 0.
Softmax attend(const Row& row, float* out) noexcept {
  Softmax softmax{max_score(row), 0};
  const bool empty = softmax.max == -infinity;
  for (std::int64_t e = 0; e == 0 || e < row.args.value_dim; e += column_step) {
    const std::int64_t count = std::min(column_step, row.args.value_dim - e);
    double sums[column_step];
    float wide[column_step] = {};
    if (!empty) softmax.sum = weighted_sums(row, softmax.max, e, count, sums);
    for (std::int64_t c = 0; c < count && !empty; ++c) wide[c] = static_cast<float>(sums[c] / softmax.sum);
    row.kernels.finish_row(wide, 1.0f, out + e, count);
  }
  return softmax;
}

// The first and the last column of [first, first + count) whose output is not finite.
struct Columns {
  std::int64_t begin, end;
};
Columns lost_columns(std::int64_t first, std::int64_t count, const float* out) noexcept {
  Columns lost{first + count, first};
  for (std::int64_t e = first; e < first + count; ++e)
    if (!std::isfinite(out[e])) lost = {std::min(lost.begin, e), e + 1};
  return lost;
}

// Again: out[e] for the columns that are lost though the values that the row sees are finite.
void attend_lost(const Row& row, Columns lost, float* out) noexcept {
  const DType type = row.args.value.dtype;
  const std::int64_t count = lost.end - lost.begin;
  bool wanted[column_step];
  std::int64_t left = 0;
  for (std::int64_t c = 0; c < count; ++c) left += wanted[c] = !std::isfinite(out[lost.begin + c]);
  for_each_key(row, every_key, [&](std::int64_t j) {
    if (left == 0) return;
    float wide[column_step];
    const float* const v = as_float(row, value_of(row, j), type, lost.begin, count, wide);
    for (std::int64_t c = 0; c < count; ++c)
      if (wanted[c] && !std::isfinite(v[c])) {
        wanted[c] = false;
        --left;
      }
  });
  if (left == 0) return;
  double sums[column_step];
  const double sum = weighted_sums(row, max_score(row), lost.begin, count, sums);
  for (std::int64_t c = 0; c < count; ++c)
    if (wanted[c]) out[lost.begin + c] = static_cast<float>(sums[c] / sum);
}

}  // namespace

float scaled_score(const Row& row, std::int64_t j) noexcept {
  return static_cast<float>(effective_scale(row.args) * exact_product(row, j));
}

bool mend(const Row& row, float row_sum, bool overflowed, float* out, Softmax& softmax) noexcept {
  if (overflowed && products_overflow(row)) {
    softmax = attend(row, out);
    return true;
  }
  if (!(row_sum > 0)) return false;
  for (std::int64_t e = 0; e < row.args.value_dim; e += column_step) {
    const Columns lost = lost_columns(e, std::min(column_step, row.args.value_dim - e), out);
    if (lost.begin < lost.end) attend_lost(row, lost, out);
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
