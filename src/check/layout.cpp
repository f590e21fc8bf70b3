#include "check/layout.hpp"

#include "base/saturating.hpp"
#include "check/check.hpp"

namespace attn::check {

Status layout(KeyLayout layout, const char* type_name, DType type) noexcept {
  if (layout != KeyLayout::rows && layout != KeyLayout::panels)
    return bad("key_layout", static_cast<std::int64_t>(layout), "is not a value of KeyLayout");
  if (layout == KeyLayout::panels && type == DType::q8_0)
    return Status(
        StatusCode::unsupported, "key_layout is panels (1), but %s is q8_0 (4), whose blocks are rows", type_name);
  return {};
}

Status begins_of_panels(const AttentionArgs& a) noexcept {
  if (a.key_layout != KeyLayout::panels || !a.cu_key_lengths) return {};
  for (std::int64_t b = 0; b < a.batch; ++b)
    if (a.cu_key_lengths[b] % cache_panel != 0)
      return Status(
          StatusCode::invalid_argument,
          "cu_key_lengths[%lld] must be a multiple of 16 when key_layout is panels, got %lld",
          static_cast<long long>(b), static_cast<long long>(a.cu_key_lengths[b]));
  return {};
}

View key_view(const char* name, const Tensor& t, const std::int64_t (&n)[4], KeyLayout layout) noexcept {
  if (layout == KeyLayout::rows) return view(name, t, n[0], n[1], n[2], n[3]);
  return view(name, t, n[0], n[1], ceil_divide(n[2], cache_panel), saturating_count(n[3], cache_panel));
}

View rows_of_panels(const View& panels, std::int64_t keys, std::int64_t head_dim) noexcept {
  View rows = panels;
  rows.size[2] = keys;
  rows.size[3] = rows.stride[2] = head_dim;
  return rows;
}

}  // namespace attn::check
