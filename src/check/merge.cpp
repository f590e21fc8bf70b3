#include "check/check.hpp"
#include "check/view.hpp"

namespace attn::check {
namespace {

// A result may lie between the parts of one gathered buffer. It may stand in the very place of a part, whose row is
// read before it is written.
Status apart(const View& result, const View& inputs, bool same_shape) noexcept {
  const Status status = disjoint(result, inputs);
  if (status.ok() || !same_shape) return status;
  const std::int64_t bytes = inputs.stride[0] * inputs.element_bytes;
  const std::int64_t offset =
      reinterpret_cast<std::intptr_t>(result.data) - reinterpret_cast<std::intptr_t>(inputs.data);
  const std::int64_t place = bytes == 0 ? 0 : offset / bytes;
  const bool same_rows = inputs.size[2] <= 1 || inputs.stride[2] == result.stride[2];
  if (!same_rows || place * bytes != offset || place < 0 || place >= inputs.size[0]) return status;
  if (bytes == 0) return {};  // all parts are one
  for (const bool behind : {false, true}) {
    View others = inputs;
    others.size[0] = behind ? inputs.size[0] - place - 1 : place;
    if (behind) others.data = result.data + bytes;
    others.begin = others.end = 0;
    static_cast<void>(measure(others));  // a part of what has been measured
    if (Status s = disjoint(result, others); !s.ok()) return s;
  }
  return {};
}

}  // namespace

Status merge(const MergeArgs& a) noexcept {
  const struct {
    const char* name;
    std::int64_t value;
  } sizes[] = {{"parts", a.parts},           {"rows", a.rows},
               {"value_dim", a.value_dim},   {"part_stride", a.part_stride},
               {"row_stride", a.row_stride}, {"logsumexp_part_stride", a.logsumexp_part_stride}};
  for (const auto& size : sizes)
    if (size.value < 0) return bad(size.name, size.value, "must not be negative");
  View inputs[] = {
      view("outputs", Tensor{a.outputs, DType::f32, a.part_stride, 0, a.row_stride}, a.parts, 1, a.rows, a.value_dim),
      view("logsumexps", Tensor{a.logsumexps, DType::f32, a.logsumexp_part_stride, 0, 0}, a.parts, 1, 1, a.rows)};
  View results[] = {
      view("output", Tensor{a.output, DType::f32, 0, 0, a.output_row_stride}, 1, 1, a.rows, a.value_dim),
      view("logsumexp", a.logsumexp, a.rows)};
  for (View& v : inputs)
    if (Status s = measure(v); !s.ok()) return s;
  for (View& v : results) {
    if (Status s = measure(v); !s.ok()) return s;
    if (Status s = distinct_elements(v); !s.ok()) return s;
  }
  if (Status s = disjoint(results[1], results[0]); !s.ok()) return s;
  for (int r = 0; r < 2; ++r)
    for (int i = 0; i < 2; ++i)
      if (Status s = apart(results[r], inputs[i], r == i); !s.ok()) return s;
  return {};
}

}  // namespace attn::check
