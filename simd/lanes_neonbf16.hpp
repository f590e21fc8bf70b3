// Products of pairs of bf16 by BFMLALT and BFMLALB, over the lanes of NEON. Both are fused multiply-adds that round as
// the thread's control register says and keep subnormals, so they are used everywhere.
#pragma once

#include <arm_neon.h>

#include <cstddef>
#include <cstdint>

#include "lanes_neon.hpp"
#include "pairs.hpp"

namespace attn::simd {
namespace {

template <>
struct PairProduct<NeonLanes> {
  static constexpr bool exists = true, flushes = false;

  static NeonLanes multiply_add(NeonLanes a, NeonLanes b, NeonLanes c) {
    for (int i = 0; i < 4; ++i) {
      const bfloat16x8_t x = vreinterpretq_bf16_f32(a.v[i]), y = vreinterpretq_bf16_f32(b.v[i]);
      c.v[i] = vbfmlalbq_f32(vbfmlaltq_f32(c.v[i], x, y), x, y);
    }
    return c;
  }
  static NeonLanes join(NeonLanes low, NeonLanes high) {
    for (int i = 0; i < 4; ++i) {
      const uint32x4_t shifted = vshrq_n_u32(vreinterpretq_u32_f32(low.v[i]), 16);
      low.v[i] = vreinterpretq_f32_u32(vorrq_u32(shifted, vreinterpretq_u32_f32(high.v[i])));
    }
    return low;
  }
  static void store_bf16(NeonLanes x, std::uint16_t* p) {
    const NeonLanes rounded = round_to_bf16(x);
    for (int i = 0; i < 4; ++i) vst1_u16(p + 4 * i, vshrn_n_u32(vreinterpretq_u32_f32(rounded.v[i]), 16));
  }
};

}  // namespace
}  // namespace attn::simd
