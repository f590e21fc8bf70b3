// keys_to_panels(): keys in rows into panels.
#include "attn/kv_cache.hpp"
#include "call/addresses.hpp"
#include "call/panel.hpp"
#include "check/check.hpp"

namespace attn {

Status keys_to_panels(
    std::int64_t batch, std::int64_t kv_heads, std::int64_t key_length, std::int64_t head_dim, const Tensor& rows,
    const Output& panels) noexcept {
  const Status status = check::keys_to_panels({batch, kv_heads, key_length, head_dim}, rows, panels);
  if (!status.ok() || kv_heads == 0 || key_length == 0 || head_dim == 0) return status;  // for any batch
  for (std::int64_t b = 0; b < batch; ++b)
    for (std::int64_t h = 0; h < kv_heads; ++h)
      for (std::int64_t j = 0; j < key_length; ++j)
        put_in_panel(panels, {b, h, j}, {0, head_dim}, address_of(rows, b, h, j));
  return status;
}

}  // namespace attn
