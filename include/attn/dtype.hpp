// The one list of element types.
#pragma once

#include "attn/macros_off.h"
// No macro has a name that stands below, until macros_on.h.
#include <cstdint>

namespace attn {

// How elements are stored. Arithmetic is always float32: f16 and bf16 are widened in registers, which is exact.
enum class DType : std::int32_t { f32 = 0, f16 = 1, bf16 = 2 };

// The bits of a half-precision number. Arithmetic types of the same layout (_Float16, a framework's own) can be passed
// by a cast of the pointer.
struct f16 {
  std::uint16_t bits;  // IEEE binary16; -inf is 0xfc00
};
struct bf16 {
  std::uint16_t bits;  // the upper half of a float; -inf is 0xff80
};

}  // namespace attn

#include "attn/macros_on.h"
