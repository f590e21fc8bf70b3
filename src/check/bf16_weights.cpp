#include "check/check.hpp"
#include "check/view.hpp"

namespace attn::check {

Status bf16_weights(const AttentionArgs& a, Path path) noexcept {
  if (!a.bf16_weights) return {};
  if (a.value.dtype != DType::bf16)
    return bad("value.dtype", static_cast<std::int64_t>(a.value.dtype), "must be bf16 (2) with bf16_weights");
  if (path == Path::blas) return Status(StatusCode::unsupported, "bf16_weights (true) is unsupported by Path::blas");
  return {};
}

}  // namespace attn::check
