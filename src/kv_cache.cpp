#include "attn/kv_cache.hpp"

#include <cstring>

#include "dispatch.hpp"
#include "rows.hpp"
#include "view.hpp"

namespace attn {
namespace {

std::int64_t rows_for(const AppendArgs& a, std::int64_t b) noexcept {
  return a.new_lengths ? a.new_lengths[b] : a.new_length;
}

Status check_lengths(const AppendArgs& a) noexcept {
  if (a.batch > 0 && !a.lengths) return Status(StatusCode::invalid_argument, "lengths is null");
  for (std::int64_t b = 0; b < a.batch; ++b) {
    const auto bad = [&](const char* name, const char* most_name, std::int64_t most, std::int64_t value) {
      return Status(StatusCode::invalid_argument, "%s[%lld] must be in [0, %s = %lld], got %lld", name,
                    static_cast<long long>(b), most_name, static_cast<long long>(most), static_cast<long long>(value));
    };
    const std::int64_t added = rows_for(a, b), used = a.lengths[b];
    if (added < 0 || added > a.new_length) return bad("new_lengths", "new_length", a.new_length, added);
    if (used < 0 || used > a.capacity) return bad("lengths", "capacity", a.capacity, used);
    if (added > a.capacity - used)
      return Status(StatusCode::invalid_argument,
                    "capacity is %lld, but sequence %lld has %lld rows in use and gets %lld more",
                    static_cast<long long>(a.capacity), static_cast<long long>(b), static_cast<long long>(used),
                    static_cast<long long>(added));
  }
  return {};
}

Status check_types(const char* names[2], const Tensor& from, const Output& to) noexcept {
  for (int i = 0; i < 2; ++i) {
    const DType type = i ? to.dtype : from.dtype;
    if (type < DType::f32 || type > DType::bf16)
      return check::bad(names[i], static_cast<std::int64_t>(type), "is not a value of DType");
  }
  if (from.dtype != to.dtype && from.dtype != DType::f32)
    return Status(StatusCode::unsupported, "%s is %d: rows of type %d are copied to a cache of that type only",
                  names[1], static_cast<int>(to.dtype), static_cast<int>(from.dtype));
  return {};
}

Status check_args(const AppendArgs& a) noexcept {
  const struct {
    const char* name;
    std::int64_t value;
  } sizes[] = {{"batch", a.batch},       {"kv_heads", a.kv_heads}, {"new_length", a.new_length},
               {"capacity", a.capacity}, {"head_dim", a.head_dim}, {"value_dim", a.value_dim}};
  for (const auto& size : sizes)
    if (size.value < 0) return check::bad(size.name, size.value, "must not be negative");
  const char* key_names[] = {"key.dtype", "key_cache.dtype"};
  const char* value_names[] = {"value.dtype", "value_cache.dtype"};
  if (Status s = check_types(key_names, a.key, a.key_cache); !s.ok()) return s;
  if (Status s = check_types(value_names, a.value, a.value_cache); !s.ok()) return s;

  check::View inputs[] = {check::view("key", a.key, a.batch, a.kv_heads, a.new_length, a.head_dim),
                          check::view("value", a.value, a.batch, a.kv_heads, a.new_length, a.value_dim),
                          check::view("new_lengths", a.new_lengths, a.batch)};
  check::View results[] = {check::view("key_cache", a.key_cache, a.batch, a.kv_heads, a.capacity, a.head_dim),
                           check::view("value_cache", a.value_cache, a.batch, a.kv_heads, a.capacity, a.value_dim),
                           check::view("lengths", a.lengths, a.batch)};
  for (check::View& v : inputs)
    if (Status s = check::measure(v); !s.ok()) return s;
  for (check::View& v : results) {
    if (Status s = check::measure(v); !s.ok()) return s;
    if (Status s = check::distinct_elements(v); !s.ok()) return s;
    for (const check::View& input : inputs)
      if (Status s = check::disjoint(v, input); !s.ok()) return s;
    for (const check::View* earlier = results; earlier < &v; ++earlier)
      if (Status s = check::disjoint(v, *earlier); !s.ok()) return s;
  }
  return check_lengths(a);  // last: reads the arrays, whose sizes are now known to fit memory
}

void copy_row(const Tensor& from, const Output& to, std::int64_t b, std::int64_t h, std::int64_t r, std::int64_t to_row,
              std::int64_t columns, const simd::Kernels& kernels) noexcept {
  const char* source = address_of(from, b, h, r);
  char* target = address_of(to, b, h, to_row);
  if (from.dtype == to.dtype) {
    if (columns > 0) std::memcpy(target, source, static_cast<std::size_t>(columns * size_of(to.dtype)));
  } else {
    kernels.narrow(reinterpret_cast<const float*>(source), storage_of(to.dtype), columns, target);
  }
}

}  // namespace

Status append(const AppendArgs& a) noexcept {
  Status status = check_args(a);
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
