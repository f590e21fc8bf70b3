#include "attn/kv_cache.hpp"

#include <algorithm>
#include <cstring>

#include "call/addresses.hpp"
#include "call/panel.hpp"
#include "call/problem.hpp"
#include "call/quantise.hpp"
#include "check/check.hpp"
#include "dispatch.hpp"

namespace attn {
namespace {

std::int64_t rows_for(const AppendArgs& a, std::int64_t b) noexcept {
  return a.new_lengths ? a.new_lengths[b] : a.new_length;
}

// Where row j of sequence b stands in the cache.
CacheRow cache_row(const AppendArgs& a, std::int64_t b, std::int64_t j) noexcept {
  return a.page_table ? Pages{a.page_table, a.page_table_stride, a.page_length}.row(b, j) : CacheRow{b, j};
}

// The new rows of one head, behind those in use.
struct NewRows {
  const AppendArgs& args;
  std::int64_t batch, head, count, first;  // first: the row of the sequence that the first one becomes
};

// Keys or values: new rows, the cache, and its scales if it is of i8.
struct Copied {
  const Tensor& from;
  const Output& to;
  const MutableScales& scales;
  std::int64_t columns;
};

float& scale_of(const MutableScales& s, CacheRow place, std::int64_t head) noexcept {
  return s.data[place.batch * s.batch_stride + head * s.head_stride + place.row * s.row_stride];
}

void copy_rows(const Copied& c, const NewRows& rows, const simd::Kernels& kernels) noexcept {
  if (c.columns == 0) return;
  for (std::int64_t r = 0; r < rows.count; ++r) {
    const char* const source = address_of(c.from, rows.batch, rows.head, r);
    const CacheRow place = cache_row(rows.args, rows.batch, rows.first + r);
    char* const target = address_of(c.to, place.batch, rows.head, place.row);
    const FloatRow row{source, c.from.dtype, c.columns};
    if (c.from.dtype == c.to.dtype) {
      std::memcpy(target, source, static_cast<std::size_t>(bytes_of(c.to.dtype, c.columns)));
    } else if (c.to.dtype == DType::i8) {
      scale_of(c.scales, place, rows.head) = quantise(kernels, row, reinterpret_cast<std::int8_t*>(target), 1);
    } else if (c.to.dtype == DType::q8_0) {
      quantise(kernels, row, reinterpret_cast<q8_0*>(target));
    } else {
      kernels.narrow(reinterpret_cast<const float*>(source), c.to.dtype, c.columns, target);
    }
  }
}

// A row of floats rounded to halves into a panel, some columns at a time over the stack.
void narrow_into_panel(
    const float* row, std::int64_t columns, const Output& to, PanelPlace place, const simd::Kernels& kernels) noexcept {
  constexpr std::int64_t step = 256;
  for (std::int64_t d = 0; d < columns; d += step) {
    std::uint16_t halves[step];
    const std::int64_t count = std::min(step, columns - d);
    kernels.narrow(row + d, to.dtype, count, halves);
    put_in_panel(to, place, {d, count}, halves);
  }
}

// copy_rows of keys into panels.
void copy_rows_to_panels(const Copied& c, const NewRows& rows, const simd::Kernels& kernels) noexcept {
  if (c.columns == 0) return;
  for (std::int64_t r = 0; r < rows.count; ++r) {
    const CacheRow in_cache = cache_row(rows.args, rows.batch, rows.first + r);
    const PanelPlace place{in_cache.batch, rows.head, in_cache.row};
    const char* const source = address_of(c.from, rows.batch, rows.head, r);
    if (c.from.dtype == c.to.dtype) {
      put_in_panel(c.to, place, {0, c.columns}, source);
    } else if (c.to.dtype == DType::i8) {
      std::int8_t* const target = reinterpret_cast<std::int8_t*>(address_in_panel(c.to, place, 0));
      scale_of(c.scales, in_cache, rows.head) =
          quantise(kernels, {source, c.from.dtype, c.columns}, target, cache_panel);
    } else {
      narrow_into_panel(reinterpret_cast<const float*>(source), c.columns, c.to, place, kernels);
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
      const NewRows rows{a, b, h, rows_for(a, b), a.lengths[b]};
      const Copied keys{a.key, a.key_cache, a.key_scales, a.head_dim};
      if (a.key_layout == KeyLayout::panels)
        copy_rows_to_panels(keys, rows, *kernels);
      else
        copy_rows(keys, rows, *kernels);
      copy_rows({a.value, a.value_cache, a.value_scales, a.value_dim}, rows, *kernels);
    }
  }
  for (std::int64_t b = 0; b < a.batch; ++b) a.lengths[b] += rows_for(a, b);
  return status;
}

}  // namespace attn
