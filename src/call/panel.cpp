#include "call/panel.hpp"

#include <cstring>

#include "call/addresses.hpp"

namespace attn {
namespace {

// Elements of so many bytes, cache_panel of them apart. A copy of a fixed size is one instruction.
template <std::size_t Bytes>
void spread(const char* from, std::int64_t count, char* to) noexcept {
  constexpr std::int64_t step = cache_panel * static_cast<std::int64_t>(Bytes);
  for (std::int64_t i = 0; i < count; ++i, from += Bytes, to += step) std::memcpy(to, from, Bytes);
}

}  // namespace

char* address_in_panel(const Output& panels, PanelPlace place) noexcept {
  return address_of(panels, place.batch, place.head, place.key / cache_panel) +
      bytes_of(panels.dtype, place.key % cache_panel);
}

void put_in_panel(const Output& panels, PanelPlace place, Columns columns, const void* elements) noexcept {
  const std::int64_t bytes = bytes_of(panels.dtype, 1);
  char* const to = address_in_panel(panels, place) + columns.first * cache_panel * bytes;
  const char* const from = static_cast<const char*>(elements);
  if (bytes == 4) return spread<4>(from, columns.count, to);
  if (bytes == 2) return spread<2>(from, columns.count, to);
  spread<1>(from, columns.count, to);
}

}  // namespace attn
