#include "check/check.hpp"
#include "check/layout.hpp"
#include "check/view.hpp"

namespace attn::check {
namespace {

Status check_lengths(const AppendArgs& a) noexcept {
  if (a.batch > 0 && !a.lengths) return Status(StatusCode::invalid_argument, "lengths is null");
  for (std::int64_t b = 0; b < a.batch; ++b) {
    const auto bad = [&](const char* name, const char* most_name, std::int64_t most, std::int64_t value) {
      return Status(
          StatusCode::invalid_argument, "%s[%lld] must be in [0, %s = %lld], got %lld", name, static_cast<long long>(b),
          most_name, static_cast<long long>(most), static_cast<long long>(value));
    };
    const std::int64_t added = a.new_lengths ? a.new_lengths[b] : a.new_length, used = a.lengths[b];
    if (added < 0 || added > a.new_length) return bad("new_lengths", "new_length", a.new_length, added);
    if (used < 0 || used > a.capacity) return bad("lengths", "capacity", a.capacity, used);
    if (added > a.capacity - used)
      return Status(
          StatusCode::invalid_argument, "capacity is %lld, but sequence %lld has %lld rows in use and gets %lld more",
          static_cast<long long>(a.capacity), static_cast<long long>(b), static_cast<long long>(used),
          static_cast<long long>(added));
  }
  return {};
}

Status check_types(const char* names[2], const Tensor& from, const Output& to) noexcept {
  for (int i = 0; i < 2; ++i) {
    const DType type = i ? to.dtype : from.dtype;
    if (!is_dtype(type)) return bad(names[i], static_cast<std::int64_t>(type), "is not a value of DType");
  }
  if (from.dtype == DType::i8)
    return Status(
        StatusCode::unsupported,
        "%s is i8 (3): rows with scales are not copied, but made of f32 (0), f16 (1) or bf16 (2)", names[0]);
  const bool quantises = is_floating(from.dtype) && !is_floating(to.dtype);
  if (from.dtype != to.dtype && !is_float(from.dtype) && !quantises)
    return Status(
        StatusCode::unsupported, "%s is %d: rows of type %d are copied to a cache of that type only", names[1],
        static_cast<int>(to.dtype), static_cast<int>(from.dtype));
  return {};
}

}  // namespace

Status append(const AppendArgs& a) noexcept {
  const struct {
    const char* name;
    std::int64_t value;
  } sizes[] = {{"batch", a.batch},       {"kv_heads", a.kv_heads}, {"new_length", a.new_length},
               {"capacity", a.capacity}, {"head_dim", a.head_dim}, {"value_dim", a.value_dim}};
  for (const auto& size : sizes)
    if (size.value < 0) return bad(size.name, size.value, "must not be negative");
  const char* key_names[] = {"key.dtype", "key_cache.dtype"};
  const char* value_names[] = {"value.dtype", "value_cache.dtype"};
  if (Status s = check_types(key_names, a.key, a.key_cache); !s.ok()) return s;
  if (Status s = check_types(value_names, a.value, a.value_cache); !s.ok()) return s;

  if (Status s = layout(a.key_layout, key_names[1], a.key_cache.dtype); !s.ok()) return s;
  if (Status s = scales(a); !s.ok()) return s;
  if (Status s = pages(a); !s.ok()) return s;
  const bool paged = a.page_table != nullptr;
  const std::int64_t caches = paged ? a.page_count : a.batch, rows = paged ? a.page_length : a.capacity;
  View inputs[] = {
      view("key", a.key, a.batch, a.kv_heads, a.new_length, a.head_dim),
      view("value", a.value, a.batch, a.kv_heads, a.new_length, a.value_dim),
      view("new_lengths", a.new_lengths, a.batch),
      view("page_table", a.page_table, a.batch, a.page_table_stride, paged ? a.page_table_stride : 0)};
  View results[] = {
      key_view("key_cache", a.key_cache, {caches, a.kv_heads, rows, a.head_dim}, a.key_layout),
      view("value_cache", a.value_cache, caches, a.kv_heads, rows, a.value_dim),
      view("key_scales", a.key_scales, caches, a.kv_heads, rows),
      view("value_scales", a.value_scales, caches, a.kv_heads, rows), view("lengths", a.lengths, a.batch)};
  if (Status s = all_apart(inputs, results); !s.ok()) return s;
  // Last: reads the arrays, whose sizes are now known to fit memory.
  if (Status s = check_lengths(a); !s.ok()) return s;
  return page_entries(a);
}

}  // namespace attn::check
