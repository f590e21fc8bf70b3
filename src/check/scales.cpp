#include <cstdint>

#include "check/check.hpp"
#include "check/view.hpp"

namespace attn::check {
namespace {

// Keys or values: their names, and how many there are.
struct Cache {
  const char *data, *scales, *columns;
  std::int64_t batch, heads, rows;  // of the tensor: of pages: how many and how long
  bool used;  // by the call
};

Status whole_blocks(const Cache& name, const Tensor& t, std::int64_t columns) noexcept {
  if (t.dtype != DType::q8_0) return {};
  if (columns % q8_0_block != 0) return bad(name.columns, columns, "must be a multiple of 32 for q8_0");
  const struct {
    const char* name;
    std::int64_t size, stride;
  } dimensions[] = {
      {"batch_stride", name.batch, t.batch_stride},
      {"head_stride", name.heads, t.head_stride},
      {"row_stride", name.rows, t.row_stride}};
  for (const auto& d : dimensions)
    if (d.size > 1 && d.stride % q8_0_block != 0)
      return Status(
          StatusCode::invalid_argument, "%s.%s must be a multiple of 32 for q8_0, got %lld", name.data, d.name,
          static_cast<long long>(d.stride));
  return {};
}

Status one(const Cache& name, const Tensor& t, std::int64_t columns, const float* scales) noexcept {
  const bool wanted = name.used && name.heads > 0 && columns > 0;
  if (scales && t.dtype != DType::i8)
    return Status(
        StatusCode::invalid_argument, "%s must be null where %s.dtype is not i8 (3), got %s.dtype %lld", name.scales,
        name.data, name.data, static_cast<long long>(t.dtype));
  if (!scales && t.dtype == DType::i8 && wanted)
    return Status(StatusCode::invalid_argument, "%s is null, but %s.dtype is i8 (3)", name.scales, name.data);
  return whole_blocks(name, t, columns);
}

}  // namespace

Status scales(const AttentionArgs& a) noexcept {
  const std::int64_t length = a.cu_key_lengths ? a.cu_key_lengths[a.batch] : a.key_length;
  const std::int64_t batch = a.page_table ? a.page_count : a.cu_key_lengths ? 1 : a.batch;
  const std::int64_t rows = a.page_table ? a.page_length : length;
  const bool used = a.batch > 0 && a.query_length > 0 && length > 0;
  const Cache keys{"key", "key_scales", "head_dim", batch, a.kv_heads, rows, used};
  const Cache values{"value", "value_scales", "value_dim", batch, a.kv_heads, rows, used};
  if (Status s = one(keys, a.key, a.head_dim, a.key_scales.data); !s.ok()) return s;
  return one(values, a.value, a.value_dim, a.value_scales.data);
}

Status scales(const AppendArgs& a) noexcept {
  const std::int64_t batch = a.page_table ? a.page_count : a.batch, rows = a.page_table ? a.page_length : a.capacity;
  const bool used = a.batch > 0 && a.capacity > 0;
  const Cache keys{"key_cache", "key_scales", "head_dim", batch, a.kv_heads, rows, used};
  const Cache values{"value_cache", "value_scales", "value_dim", batch, a.kv_heads, rows, used};
  if (Status s = one(keys, a.key_cache, a.head_dim, a.key_scales.data); !s.ok()) return s;
  if (Status s = one(values, a.value_cache, a.value_dim, a.value_scales.data); !s.ok()) return s;
  const Cache new_keys{"key", "", "head_dim", a.batch, a.kv_heads, a.new_length, true};
  const Cache new_values{"value", "", "value_dim", a.batch, a.kv_heads, a.new_length, true};
  if (Status s = whole_blocks(new_keys, a.key, a.head_dim); !s.ok()) return s;
  return whole_blocks(new_values, a.value, a.value_dim);
}

}  // namespace attn::check
