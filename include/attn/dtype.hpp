// The one list of element types.
#pragma once

#include "attn/macros_off.h"
// No macro has a name that stands below, until macros_on.h.
#include <cstdint>

namespace attn {

// How elements are stored. Arithmetic is always float32: all other types are widened in registers, which is exact.
enum class DType : std::int32_t {
  f32 = 0,
  f16 = 1,
  bf16 = 2,
  i8 = 3,  // keys and values only; a float for each row scales it (Scales in tensor.hpp)
  q8_0 = 4,  // keys and values only: ggml's blocks of 32 numbers, `struct q8_0` below
};

// The bits of a half-precision number. Arithmetic types of the same layout (_Float16, a framework's own) can be passed
// by a cast of the pointer.
struct f16 {
  std::uint16_t bits;  // IEEE binary16; -inf is 0xfc00
};
struct bf16 {
  std::uint16_t bits;  // the upper half of a float; -inf is 0xff80
};

// Thirty-two numbers values[i] * scale in 34 bytes, as ggml stores a cache of type q8_0. Sizes and strides of a tensor
// count the numbers, and are multiples of 32.
struct q8_0 {
  f16 scale;
  std::int8_t values[32];
};

}  // namespace attn

#include "attn/macros_on.h"
