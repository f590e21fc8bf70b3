#include "attn/merge.hpp"

#include <algorithm>
#include <limits>

#include "base/exponent.hpp"
#include "base/log_sum_exp.hpp"
#include "check/check.hpp"
#include "dispatch.hpp"

namespace attn {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

// One row, a few columns at a time on the stack; parts are added in their order. In double, where the products are
// exact: any number of parts is as exact as two, and a mean of finite floats is finite.
void merge_row(const MergeArgs& a, std::int64_t r, const simd::Kernels& kernels, const simd::Exponent& exponent) {
  const auto sum_at = [&](std::int64_t i) { return a.logsumexps[i * a.logsumexp_part_stride + r]; };
  float top = -infinity;
  for (std::int64_t i = 0; i < a.parts; ++i) top = sum_at(i) > top ? sum_at(i) : top;
  const auto weight_at = [&](std::int64_t i) {  // exp(sum - top); NaN stays
    float weight = sum_at(i) - (top == -infinity ? 0.0f : top);
    kernels.exp_scaled(&weight, &weight, 1, exponent);
    return weight;
  };
  double total = 0;
  for (std::int64_t i = 0; i < a.parts; ++i) total += static_cast<double>(weight_at(i));

  constexpr std::int64_t step = 64;
  for (std::int64_t e = 0; e < a.value_dim; e += step) {
    const std::int64_t columns = std::min(step, a.value_dim - e);
    double sums[step] = {};
    for (std::int64_t i = 0; i < a.parts; ++i) {
      if (sum_at(i) == -infinity) continue;  // not there
      const double weight = static_cast<double>(weight_at(i));
      const float* part = a.outputs + i * a.part_stride + r * a.row_stride + e;
      for (std::int64_t c = 0; c < columns; ++c) sums[c] += weight * static_cast<double>(part[c]);
    }
    float row[step];
    for (std::int64_t c = 0; c < columns; ++c) row[c] = total == 0 ? 0.0f : static_cast<float>(sums[c] / total);
    kernels.finish_row(row, 1.0f, a.output + r * a.output_row_stride + e, columns);
  }
  if (a.logsumexp) a.logsumexp[r] = log_sum_exp(top, static_cast<float>(total), 1.0);
}

}  // namespace

Status merge(const MergeArgs& a) noexcept {
  Status status = check::merge(a);
  if (!status.ok()) return status;
  const simd::Kernels* kernels = dispatch::active(status);
  if (!kernels) return status;
  if (a.value_dim == 0 && !a.logsumexp) return status;  // nothing to write, however many rows
  const simd::Exponent exponent = make_exponent(1.0);
  for (std::int64_t r = 0; r < a.rows; ++r) merge_row(a, r, *kernels, exponent);
  return status;
}

}  // namespace attn
