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

// The new rows of one head, behind those in use.
struct NewRows {
  std::int64_t batch, head, count, first;  // first: the row of the cache that takes the first one
};

void copy_rows(
    const Tensor& from, const Output& to, const NewRows& rows, std::int64_t columns,
    const simd::Kernels& kernels) noexcept {
  for (std::int64_t r = 0; r < rows.count; ++r) {
    const char* source = address_of(from, rows.batch, rows.head, r);
    char* target = address_of(to, rows.batch, rows.head, rows.first + r);
    if (from.dtype == to.dtype) {
      if (columns > 0) std::memcpy(target, source, static_cast<std::size_t>(bytes_of(to.dtype, columns)));
    } else {
      kernels.narrow(reinterpret_cast<const float*>(source), to.dtype, columns, target);
    }
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
    for (std::int64_t h = 0; h < a.kv_heads; ++h) {
      const NewRows rows{b, h, rows_for(a, b), a.lengths[b]};
      copy_rows(a.key, a.key_cache, rows, a.head_dim, *kernels);
      copy_rows(a.value, a.value_cache, rows, a.value_dim, *kernels);
    }
  }
  for (std::int64_t b = 0; b < a.batch; ++b) a.lengths[b] += rows_for(a, b);
  return status;
}

}  // namespace attn
