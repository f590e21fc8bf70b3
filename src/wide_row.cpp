#include "wide_row.hpp"

#include <algorithm>
#include <limits>

#include "exponent.hpp"
#include "rows.hpp"

namespace attn::wide_row {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr std::int64_t step = 64;  // columns at a time, on the stack

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

// Calls add(q[d], k[d]) for every d, of the row and of key j.
template <class Add>
void for_each_factor(const Row& row, std::int64_t j, const Add& add) noexcept {
  const AttentionArgs& a = row.args;
  const char *query = query_of(row), *key = key_of(row, j);
  for (std::int64_t d = 0; d < a.head_dim; d += step) {
    float q[step], k[step];
    const std::int64_t count = std::min(step, a.head_dim - d);
    row.kernels.widen(query + d * size_of(a.query.dtype), storage_of(a.query.dtype), count, q);
    row.kernels.widen(key + d * size_of(a.key.dtype), storage_of(a.key.dtype), count, k);
    for (std::int64_t i = 0; i < count; ++i) add(q[i], k[i]);
  }
}

// q . k in double, where neither product nor sum can overflow.
double exact_product(const Row& row, std::int64_t j) noexcept {
  double sum = 0;
  for_each_factor(row, j, [&](float q, float k) { sum += static_cast<double>(q) * static_cast<double>(k); });
  return sum;
}

// The float32 chain of the kernels.
float float_product(const Row& row, std::int64_t j) noexcept {
  float sum = 0;
  for_each_factor(row, j, [&](float q, float k) { sum = std::fma(q, k, sum); });
  return sum;
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

// exp(s - max), as the kernels compute it.
float exponential(const Row& row, float s, float max) noexcept {
  float x = s - max;
  row.kernels.exp_scaled(&x, &x, 1, make_exponent(1.0));
  return x;
}

// Calls visit(j) for every key that the row sees.
template <class Visit>
void for_each_key(const Row& row, KeyRange keys, const Visit& visit) noexcept {
  const AttentionArgs& a = row.args;
  const KeyRange allowed = allowed_keys(a, row.sequence, row.query);
  for (std::int64_t j = std::max(allowed.begin, keys.begin); j < std::min(allowed.end, keys.end); ++j)
    if (!a.mask.data || *element_of(a.mask, row.sequence.item, row.head, row.query, j) != 0) visit(j);
}
constexpr KeyRange every_key{0, std::numeric_limits<std::int64_t>::max()};

// Is a product of finite factors lost to infinity in float32? Not if there is an infinite factor: then the row's NaN or
// 0 may be its own.
bool products_overflow(const Row& row) noexcept {
  bool finite = true, lost = false;
  const auto check = [&](const char* x, DType type) {
    float wide[step];
    for (std::int64_t d = 0; d < row.args.head_dim && finite; d += step) {
      const std::int64_t count = std::min(step, row.args.head_dim - d);
      row.kernels.widen(x + d * size_of(type), storage_of(type), count, wide);
      finite = row.kernels.all_finite(wide, count);
    }
  };
  check(query_of(row), row.args.query.dtype);
  for_each_key(row, every_key, [&](std::int64_t j) { check(key_of(row, j), row.args.key.dtype); });
  if (!finite) return false;
  for_each_key(row, every_key, [&](std::int64_t j) { lost = lost || !std::isfinite(float_product(row, j)); });
  return lost;
}

Softmax softmax(const Row& row) noexcept {
  const float sink = row.args.sinks ? row.args.sinks[row.head] : -infinity;
  Softmax result{sink, 0};
  for_each_key(row, every_key, [&](std::int64_t j) {
    result.max = std::max(result.max, score(row, j));  // a NaN is not lost: it is in the sum
  });
  if (!std::isfinite(result.max)) return {};
  if (sink != -infinity) result.sum = static_cast<double>(exponential(row, sink, result.max));
  for_each_key(row, every_key,
               [&](std::int64_t j) { result.sum += static_cast<double>(exponential(row, score(row, j), result.max)); });
  return result.sum > 0 ? result : Softmax{};
}

// out[c] for columns [first, first + count) of the output, where wanted[c].
void attend(const Row& row, const Softmax& softmax, std::int64_t first, std::int64_t count, const bool* wanted,
            float* out) noexcept {
  double sums[step] = {};
  const DType type = row.args.value.dtype;
  for_each_key(row, every_key, [&](std::int64_t j) {
    float v[step];
    row.kernels.widen(value_of(row, j) + first * size_of(type), storage_of(type), count, v);
    const double weight = static_cast<double>(exponential(row, score(row, j), softmax.max));
    for (std::int64_t c = 0; c < count; ++c) sums[c] += weight * static_cast<double>(v[c]);
  });
  float wide[step];
  for (std::int64_t c = 0; c < count; ++c) wide[c] = wanted[c] ? static_cast<float>(sums[c] / softmax.sum) : out[c];
  row.kernels.finish_row(wide, 1.0f, out, count);
}

// Marks the columns whose output is not finite though the values that the row sees are; are there any?
bool lost_columns(const Row& row, std::int64_t first, std::int64_t count, const float* out, bool* lost) noexcept {
  if (row.kernels.all_finite(out, count)) return false;
  const DType type = row.args.value.dtype;
  float zeros[step] = {};  // 0 * v is 0 for every finite v, and NaN for the others
  for_each_key(row, every_key, [&](std::int64_t j) {
    float v[step];
    row.kernels.widen(value_of(row, j) + first * size_of(type), storage_of(type), count, v);
    for (std::int64_t c = 0; c < count; ++c) zeros[c] += 0.0f * v[c];
  });
  bool any = false;
  for (std::int64_t c = 0; c < count; ++c) any |= lost[c] = zeros[c] == 0.0f && !std::isfinite(out[c]);
  return any;
}

}  // namespace

float scaled_score(const Row& row, std::int64_t j) noexcept {
  return static_cast<float>(effective_scale(row.args) * exact_product(row, j));
}

Softmax mend(const Row& row, float row_sum, bool overflowed, float* out) noexcept {
  const Softmax again = overflowed && products_overflow(row) ? softmax(row) : Softmax{};
  const bool all = again.sum > 0;
  if (!all && !(row_sum > 0)) return again;
  for (std::int64_t e = 0; e < row.args.value_dim; e += step) {
    const std::int64_t count = std::min(step, row.args.value_dim - e);
    bool wanted[step];
    std::fill(wanted, wanted + step, true);
    if (all)
      attend(row, again, e, count, wanted, out + e);
    else if (lost_columns(row, e, count, out + e, wanted))
      if (const Softmax s = softmax(row); s.sum > 0) attend(row, s, e, count, wanted, out + e);
  }
  return again;
}

void weigh(const Row& row, const Softmax& softmax, KeyRange keys, float* weights) noexcept {
  std::fill(weights, weights + (keys.end - keys.begin), 0.0f);
  for_each_key(row, keys, [&](std::int64_t j) {
    const double weight = static_cast<double>(exponential(row, score(row, j), softmax.max));
    weights[j - keys.begin] = static_cast<float>(weight / softmax.sum);
  });
}

}  // namespace attn::wide_row
