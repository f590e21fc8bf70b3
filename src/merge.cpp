#include "attn/merge.hpp"

#include <algorithm>
#include <limits>

#include "dispatch.hpp"
#include "exponent.hpp"
#include "log_sum_exp.hpp"
#include "view.hpp"

namespace attn {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

// A result may lie between the parts of one gathered buffer, and in the very place of a part: its row is read before it
// is written.
Status apart(const check::View& result, const check::View& inputs, bool same_shape) noexcept {
  const Status status = check::disjoint(result, inputs);
  if (status.ok() || !same_shape) return status;
  const std::int64_t bytes = inputs.stride[0] * inputs.element_bytes;
  const std::int64_t offset =
      reinterpret_cast<std::intptr_t>(result.data) - reinterpret_cast<std::intptr_t>(inputs.data);
  const std::int64_t place = bytes == 0 ? 0 : offset / bytes;
  const bool same_rows = inputs.size[2] <= 1 || inputs.stride[2] == result.stride[2];
  if (!same_rows || place * bytes != offset || place < 0 || place >= inputs.size[0]) return status;
  if (bytes == 0) return {};  // all parts are one
  for (const bool behind : {false, true}) {
    check::View others = inputs;
    others.size[0] = behind ? inputs.size[0] - place - 1 : place;
    if (behind) others.data = result.data + bytes;
    others.begin = others.end = 0;
    static_cast<void>(check::measure(others));  // a part of what has been measured
    if (Status s = check::disjoint(result, others); !s.ok()) return s;
  }
  return {};
}

Status check_args(const MergeArgs& a) noexcept {
  const struct {
    const char* name;
    std::int64_t value;
  } sizes[] = {{"parts", a.parts},           {"rows", a.rows},
               {"value_dim", a.value_dim},   {"part_stride", a.part_stride},
               {"row_stride", a.row_stride}, {"logsumexp_part_stride", a.logsumexp_part_stride}};
  for (const auto& size : sizes)
    if (size.value < 0) return check::bad(size.name, size.value, "must not be negative");
  check::View inputs[] = {check::view("outputs", Tensor{a.outputs, DType::f32, a.part_stride, 0, a.row_stride}, a.parts,
                                      1, a.rows, a.value_dim),
                          check::view("logsumexps", Tensor{a.logsumexps, DType::f32, a.logsumexp_part_stride, 0, 0},
                                      a.parts, 1, 1, a.rows)};
  check::View results[] = {
      check::view("output", Tensor{a.output, DType::f32, 0, 0, a.output_row_stride}, 1, 1, a.rows, a.value_dim),
      check::view("logsumexp", a.logsumexp, a.rows)};
  for (check::View& v : inputs)
    if (Status s = check::measure(v); !s.ok()) return s;
  for (check::View& v : results) {
    if (Status s = check::measure(v); !s.ok()) return s;
    if (Status s = check::distinct_elements(v); !s.ok()) return s;
  }
  if (Status s = check::disjoint(results[1], results[0]); !s.ok()) return s;
  for (int r = 0; r < 2; ++r)
    for (int i = 0; i < 2; ++i)
      if (Status s = apart(results[r], inputs[i], r == i); !s.ok()) return s;
  return {};
}

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
  Status status = check_args(a);
  if (!status.ok()) return status;
  const simd::Kernels* kernels = dispatch::active(status);
  if (!kernels) return status;
  if (a.value_dim == 0 && !a.logsumexp) return status;  // nothing to write, however many rows
  const simd::Exponent exponent = make_exponent(1.0);
  for (std::int64_t r = 0; r < a.rows; ++r) merge_row(a, r, *kernels, exponent);
  return status;
}

}  // namespace attn
