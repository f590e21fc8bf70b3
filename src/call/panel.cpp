#include "call/panel.hpp"

#include <cstring>

#include "call/addresses.hpp"

namespace attn {
namespace {

// Copies elements of so many bytes, so many of them apart on each side. Of a fixed size each is one instruction.
template <std::int64_t Bytes>
void copy(const char* from, std::int64_t from_step, std::int64_t count, char* to, std::int64_t to_step) noexcept {
  for (std::int64_t i = 0; i < count; ++i)
    std::memcpy(to + i * to_step * Bytes, from + i * from_step * Bytes, static_cast<std::size_t>(Bytes));
}
void copy(
    DType type, const char* from, std::int64_t from_step, std::int64_t count, char* to, std::int64_t to_step) noexcept {
  const std::int64_t bytes = bytes_of(type, 1);
  if (bytes == 4) return copy<4>(from, from_step, count, to, to_step);
  if (bytes == 2) return copy<2>(from, from_step, count, to, to_step);
  copy<1>(from, from_step, count, to, to_step);
}

}  // namespace

char* address_in_panel(const Output& panels, PanelPlace place, std::int64_t column) noexcept {
  return const_cast<char*>(address_in_panel(Tensor(panels), place, column));
}
const char* address_in_panel(const Tensor& panels, PanelPlace place, std::int64_t column) noexcept {
  return address_of(panels, place.batch, place.head, place.key / cache_panel) +
      bytes_of(panels.dtype, column * cache_panel + place.key % cache_panel);
}

void put_in_panel(const Output& panels, PanelPlace place, Columns columns, const void* elements) noexcept {
  char* const to = address_in_panel(panels, place, columns.first);
  copy(panels.dtype, static_cast<const char*>(elements), 1, columns.count, to, cache_panel);
}

void take_from_panel(const Tensor& panels, PanelPlace place, Columns columns, void* elements) noexcept {
  const char* const from = address_in_panel(panels, place, columns.first);
  copy(panels.dtype, from, cache_panel, columns.count, static_cast<char*>(elements), 1);
}

}  // namespace attn
