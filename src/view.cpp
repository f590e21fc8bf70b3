#include "view.hpp"

#include <algorithm>
#include <cstdlib>

namespace attn::check {

Status bad(const char* name, std::int64_t value, const char* rule) noexcept {
  return Status(StatusCode::invalid_argument, "%s %s, got %lld", name, rule, static_cast<long long>(value));
}

Status measure(View& v) noexcept {
  std::int64_t count = 1;
  for (const std::int64_t n : v.size)
    if (__builtin_mul_overflow(count, n, &count) || count > max_elements)
      return Status(StatusCode::invalid_argument,
                    "%s: %lld x %lld x %lld x %lld elements are more than memory can hold", v.name,
                    static_cast<long long>(v.size[0]), static_cast<long long>(v.size[1]),
                    static_cast<long long>(v.size[2]), static_cast<long long>(v.size[3]));
  if (v.empty()) return {};
  if (!v.data)
    return Status(StatusCode::invalid_argument, "%s.data is null, but it has %lld elements", v.name,
                  static_cast<long long>(count));
  std::int64_t low = 0, high = 1;  // elements from data to the first and past the last
  for (int i = 0; i < 4; ++i) {
    if (v.size[i] == 1) continue;
    std::int64_t reach;
    if (__builtin_mul_overflow(v.size[i] - 1, v.stride[i], &reach) || reach > max_elements || reach < -max_elements ||
        (reach > 0 ? (high += reach) : -(low += reach)) > max_elements)
      return Status(StatusCode::invalid_argument, "%s: a stride of %lld over %lld is more than memory can hold", v.name,
                    static_cast<long long>(v.stride[i]), static_cast<long long>(v.size[i]));
  }
  v.begin = reinterpret_cast<std::uintptr_t>(v.data) + static_cast<std::uintptr_t>(low * v.element_bytes);
  v.end = reinterpret_cast<std::uintptr_t>(v.data) + static_cast<std::uintptr_t>(high * v.element_bytes);
  return {};
}

// Elements of a result must not share an address: from the smallest stride up, each steps over all below it.
Status distinct_elements(const View& v) noexcept {
  static constexpr const char* names[] = {"batch_stride", "head_stride", "row_stride"};
  if (v.empty()) return {};
  int order[] = {2, 1, 0};
  std::sort(order, order + 3, [&](int a, int b) { return std::llabs(v.stride[a]) < std::llabs(v.stride[b]); });
  std::int64_t extent = v.size[3];
  for (const int i : order) {
    if (v.size[i] == 1) continue;
    if (std::llabs(v.stride[i]) < extent)
      return Status(StatusCode::invalid_argument, "%s.%s makes elements overlap, got %lld", v.name, names[i],
                    static_cast<long long>(v.stride[i]));
    extent += (v.size[i] - 1) * std::llabs(v.stride[i]);
  }
  return {};
}

namespace {

// Views that share a row pitch and lie side by side in it, as Q, K, V and output columns of one packed buffer.
bool interleaved(const View& a, const View& b) noexcept {
  const std::int64_t pitch = a.stride[2];
  if (a.element_bytes != b.element_bytes || pitch <= 0 || b.stride[2] != pitch) return false;
  if (a.stride[3] != 1 || b.stride[3] != 1) return false;
  std::int64_t width[2];
  for (int side = 0; side < 2; ++side) {
    const View& v = side ? b : a;
    width[side] = v.size[3];
    for (int i = 0; i < 2; ++i) {
      if (v.size[i] == 1 || v.stride[i] % pitch == 0) continue;
      if (v.stride[i] < 0) return false;
      width[side] += (v.size[i] - 1) * v.stride[i];
    }
  }
  const std::uintptr_t pitch_bytes = static_cast<std::uintptr_t>(pitch * a.element_bytes);
  const std::uintptr_t gap =
      (reinterpret_cast<std::uintptr_t>(b.data) - reinterpret_cast<std::uintptr_t>(a.data)) % pitch_bytes;
  return width[0] * a.element_bytes <= static_cast<std::int64_t>(gap) &&
         static_cast<std::int64_t>(gap) + width[1] * a.element_bytes <= static_cast<std::int64_t>(pitch_bytes);
}

}  // namespace

Status overlap(const View& result, const View& other) noexcept {
  if (interleaved(result, other) || interleaved(other, result)) return {};
  return Status(StatusCode::invalid_argument, "%s overlaps %s: at %p and %p", result.name, other.name,
                static_cast<const void*>(result.data), static_cast<const void*>(other.data));
}

}  // namespace attn::check
