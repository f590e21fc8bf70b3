// Keys written into panels (KeyLayout::panels), and read from them.
#pragma once

#include <cstdint>

#include "attn/tensor.hpp"
#include "call/cache_row.hpp"

namespace attn {

// A place in a tensor of panels: of one KV head, a key.
struct PanelPlace {
  std::int64_t batch, head, key;
};

// An element of it; those of the columns behind follow cache_panel elements apart.
char* address_in_panel(const Output& panels, PanelPlace place, std::int64_t column) noexcept;
const char* address_in_panel(const Tensor& panels, PanelPlace place, std::int64_t column) noexcept;

// Writes some columns of it, which stand one after the other at `elements`.
void put_in_panel(const Output& panels, PanelPlace place, Columns columns, const void* elements) noexcept;
// Reads them.
void take_from_panel(const Tensor& panels, PanelPlace place, Columns columns, void* elements) noexcept;

}  // namespace attn
