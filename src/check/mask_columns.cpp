#include "check/check.hpp"
#include "check/view.hpp"

namespace attn::check {

Status mask_columns(const AttentionArgs& a) noexcept {
  if (a.mask_columns < 0 || a.mask_columns > a.key_length)
    return Status(
        StatusCode::invalid_argument, "mask_columns must be in [0, key_length = %lld], got %lld",
        static_cast<long long>(a.key_length), static_cast<long long>(a.mask_columns));
  if (a.mask_columns > 0 && !a.mask.data) return bad("mask_columns", a.mask_columns, "must be 0 without a mask");
  return {};
}

}  // namespace attn::check
