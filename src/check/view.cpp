#include "check/view.hpp"

#include <algorithm>
#include <cstdlib>

#include "check/strided_sum.hpp"

namespace attn::check {
namespace {

// The stride of a dimension of size 1 is never used: it may be anything.
std::int64_t step(const View& v, int i) noexcept { return v.size[i] == 1 ? 0 : std::llabs(v.stride[i]); }

}  // namespace

Status bad(const char* name, std::int64_t value, const char* rule) noexcept {
  return Status(StatusCode::invalid_argument, "%s %s, got %lld", name, rule, static_cast<long long>(value));
}

Status measure(View& v) noexcept {
  std::int64_t count = 1;
  for (const std::int64_t n : v.size)
    if (__builtin_mul_overflow(count, n, &count) || count > max_elements)
      return Status(
          StatusCode::invalid_argument, "%s: %lld x %lld x %lld x %lld elements are more than memory can hold", v.name,
          static_cast<long long>(v.size[0]), static_cast<long long>(v.size[1]), static_cast<long long>(v.size[2]),
          static_cast<long long>(v.size[3]));
  if (v.empty()) return {};
  if (!v.data)
    return Status(
        StatusCode::invalid_argument, "%s.data is null, but it has %lld elements", v.name,
        static_cast<long long>(count));
  std::int64_t low = 0, high = 1;  // elements from data to the first and past the last
  for (int i = 0; i < 4; ++i) {
    if (v.size[i] == 1) continue;
    std::int64_t reach;
    if (__builtin_mul_overflow(v.size[i] - 1, v.stride[i], &reach) || reach > max_elements || reach < -max_elements ||
        (reach > 0 ? (high += reach) : -(low += reach)) > max_elements)
      return Status(
          StatusCode::invalid_argument, "%s: a stride of %lld over %lld is more than memory can hold", v.name,
          static_cast<long long>(v.stride[i]), static_cast<long long>(v.size[i]));
  }
  const auto bytes = [&](std::int64_t elements) {  // may wrap around: such a box is refused
    return static_cast<std::uintptr_t>(elements) * static_cast<std::uintptr_t>(v.element_bytes);
  };
  const std::uintptr_t data = reinterpret_cast<std::uintptr_t>(v.data);
  v.begin = data + bytes(low);
  v.end = data + bytes(high);
  if (v.begin > data || v.end < data || v.end - v.begin > std::uintptr_t{4} * max_elements)
    return Status(
        StatusCode::invalid_argument, "%s: elements %lld to %lld from %p are more than memory can hold", v.name,
        static_cast<long long>(low), static_cast<long long>(high - 1), static_cast<const void*>(v.data));
  return {};
}

namespace {

// Has v two elements at one address that differ in the index of dimension i, and otherwise only in those of `below`?
StridedSum::Answer shares(const View& v, int i, const int* below, int count) noexcept {
  // A difference of the indices is in [1, size - 1] for i and in [1 - size, size - 1] for the others. Counted from the
  // least, all of them add up to what takes the address back to where it was.
  StridedSum sum;
  std::int64_t back = -step(v, i);
  sum.add(static_cast<std::uint64_t>(-back), static_cast<std::uint64_t>(v.size[i] - 2));
  for (int n = 0; n < count; ++n) {
    const std::int64_t most = v.size[below[n]] - 1;
    sum.add(static_cast<std::uint64_t>(step(v, below[n])), static_cast<std::uint64_t>(2 * most));
    back += step(v, below[n]) * most;
  }
  return back < 0 ? StridedSum::Answer::no : sum.meets(static_cast<std::uint64_t>(back));
}

}  // namespace

// From the smallest stride up, most step over all that is below them.
Status distinct_elements(const View& v) noexcept {
  static constexpr const char* names[] = {"batch_stride", "head_stride", "row_stride"};
  if (v.empty()) return {};
  int order[] = {3, 2, 1, 0};
  std::sort(order + 1, order + 4, [&](int a, int b) { return step(v, a) < step(v, b); });
  std::int64_t extent = v.size[3];
  for (int n = 1; n < 4; ++n) {
    const int i = order[n];
    if (v.size[i] == 1) continue;
    if (step(v, i) < extent) {
      const StridedSum::Answer answer = shares(v, i, order, n);
      if (answer != StridedSum::Answer::no)
        return Status(
            answer == StridedSum::Answer::yes ? StatusCode::invalid_argument : StatusCode::unsupported,
            "%s.%s %s, got %lld", v.name, names[i],
            answer == StridedSum::Answer::yes ? "makes elements overlap"
                                              : "is too irregular to tell whether elements overlap",
            static_cast<long long>(v.stride[i]));
    }
    extent += (v.size[i] - 1) * step(v, i);
  }
  return {};
}

Status overlap(const View& result, const View& other) noexcept {
  // Bytes of the other, counted from its first one, less bytes of the result, counted from its last one backwards.
  StridedSum sum;
  for (const View* v : {&result, &other}) {
    sum.add_slack(static_cast<std::uint64_t>(v->element_bytes - 1));
    for (int i = 0; i < 4; ++i)
      sum.add(static_cast<std::uint64_t>(step(*v, i) * v->element_bytes), static_cast<std::uint64_t>(v->size[i] - 1));
  }
  const StridedSum::Answer answer = sum.meets(result.end - 1 - other.begin);
  if (answer == StridedSum::Answer::no) return {};
  if (answer == StridedSum::Answer::yes)
    return Status(
        StatusCode::invalid_argument, "%s overlaps %s: at %p and %p", result.name, other.name,
        static_cast<const void*>(result.data), static_cast<const void*>(other.data));
  return Status(
      StatusCode::unsupported, "%s and %s have strides too irregular to tell whether they overlap: at %p and %p",
      result.name, other.name, static_cast<const void*>(result.data), static_cast<const void*>(other.data));
}

}  // namespace attn::check
