// Rules for KeyLayout, of every call that takes one.
#pragma once

#include <cstdint>

#include "attn/attention.hpp"
#include "attn/status.hpp"
#include "check/view.hpp"

namespace attn::check {

// Is it a value of KeyLayout that keys of this type, argument `type_name`, may have?
Status layout(KeyLayout layout, const char* type_name, DType type) noexcept;

// In panels, every sequence of a packed batch begins with a panel. Of cu_key_lengths that have been checked.
Status begins_of_panels(const AttentionArgs& args) noexcept;

// Keys [b, h, keys, head_dim] as they stand: in panels, [b, h, keys / 16 rounded up, 16 head_dim].
View key_view(const char* name, const Tensor& t, const std::int64_t (&sizes)[4], KeyLayout layout) noexcept;

// Such a view of panels as the rows that are made of them for BLAS.
View rows_of_panels(const View& panels, std::int64_t keys, std::int64_t head_dim) noexcept;

}  // namespace attn::check
