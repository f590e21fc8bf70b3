#include "attn/kv_cache.hpp"

#include <cstring>

#include "call/addresses.hpp"
#include "check/check.hpp"
#include "dispatch.hpp"

namespace attn {
namespace {

std::int64_t rows_for(const AppendArgs& a, std::int64_t b) noexcept {
  return a.new_lengths ? a.new_lengths[b] : a.new_length;
}

void copy_row(const Tensor& from, const Output& to, std::int64_t b, std::int64_t h, std::int64_t r, std::int64_t to_row,
              std::int64_t columns, const simd::Kernels& kernels) noexcept {
  const char* source = address_of(from, b, h, r);
  char* target = address_of(to, b, h, to_row);
  if (from.dtype == to.dtype) {
    if (columns > 0) std::memcpy(target, source, static_cast<std::size_t>(columns * size_of(to.dtype)));
  } else {
    kernels.narrow(reinterpret_cast<const float*>(source), to.dtype, columns, target);
  }
}

}  // namespace

Status append(const AppendArgs& a) noexcept {
  Status status = check::append(a);
  if (!status.ok()) return status;
  const simd::Kernels* kernels = dispatch::active(status);
  if (!kernels) return status;
  for (std::int64_t b = 0; b < a.batch; ++b) {
    if (rows_for(a, b) == 0 || (a.head_dim == 0 && a.value_dim == 0)) continue;  // nothing to copy, for any kv_heads
    for (std::int64_t h = 0; h < a.kv_heads; ++h)
      for (std::int64_t r = 0; r < rows_for(a, b); ++r) {
        copy_row(a.key, a.key_cache, b, h, r, a.lengths[b] + r, a.head_dim, *kernels);
        copy_row(a.value, a.value_cache, b, h, r, a.lengths[b] + r, a.value_dim, *kernels);
      }
  }
  for (std::int64_t b = 0; b < a.batch; ++b) a.lengths[b] += rows_for(a, b);
  return status;
}

}  // namespace attn
