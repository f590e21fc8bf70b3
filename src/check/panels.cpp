#include "check/check.hpp"
#include "check/layout.hpp"
#include "check/view.hpp"

namespace attn::check {

Status keys_to_panels(const std::int64_t (&sizes)[4], const Tensor& rows, const Output& panels) noexcept {
  static constexpr const char* names[] = {"batch", "kv_heads", "key_length", "head_dim"};
  for (int i = 0; i < 4; ++i)
    if (sizes[i] < 0) return bad(names[i], sizes[i], "must not be negative");
  if (!is_dtype(rows.dtype)) return bad("rows.dtype", static_cast<std::int64_t>(rows.dtype), "is not a value of DType");
  if (Status s = layout(KeyLayout::panels, "rows.dtype", rows.dtype); !s.ok()) return s;
  if (rows.dtype != panels.dtype)
    return Status(
        StatusCode::invalid_argument, "panels.dtype must be that of the rows, %d, got %d", static_cast<int>(rows.dtype),
        static_cast<int>(panels.dtype));
  View inputs[] = {view("rows", rows, sizes[0], sizes[1], sizes[2], sizes[3])};
  View results[] = {key_view("panels", panels, sizes, KeyLayout::panels)};
  return all_apart(inputs, results);
}

}  // namespace attn::check
