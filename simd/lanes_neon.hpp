// Sixteen float lanes in four q registers (AArch64 NEON); lanes_scalar.hpp says what each operation means.
#pragma once

#include <arm_neon.h>

#include <cstddef>
#include <cstdint>

#include "bytes.hpp"
#include "halves.hpp"

namespace attn::simd {
namespace {

// All ones in the first n of the four lanes whose numbers start at 4 * part.
inline uint32x4_t first4(std::ptrdiff_t n, int part) {
  static constexpr std::int32_t number[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  return vcltq_s32(vld1q_s32(number + 4 * part), vdupq_n_s32(static_cast<std::int32_t>(n)));
}

struct NeonLanes {
  // Tile shape, 6 rows x 16 columns: 24 accumulators, 4 column registers and 1 broadcast of the 32 registers.
  static constexpr int tile_rows = 6;
  static constexpr int tile_vectors = 1;
  static constexpr int score_rows = 4;
  static constexpr int step_lanes = 4;
  static constexpr int width = 16;
  static constexpr int accumulators = 4;
  static constexpr int most_vectors = 2;
  using Keys = NeonLanes;
  // Not measured: a quarter of what four 128-bit pipes of 3 GHz can do, and a half.
  static constexpr double in_place_flop_per_ns = 25, packed_flop_per_ns = 50;
  static constexpr bool in_registers = true;
  static constexpr bool masked_loads_are_fast = true;
  static constexpr int exp_vectors = 1;

  static NeonLanes set1(float s) {
    const float32x4_t q = vdupq_n_f32(s);
    return {{q, q, q, q}};
  }
  static NeonLanes zero() { return set1(0.0f); }
  static NeonLanes load(const float* p) {
    return {{vld1q_f32(p), vld1q_f32(p + 4), vld1q_f32(p + 8), vld1q_f32(p + 12)}};
  }
  void store(float* p) const {
    for (int i = 0; i < 4; ++i) vst1q_f32(p + 4 * i, v[i]);
  }
  // NEON has no masked memory access: partial vectors go through the stack.
  static NeonLanes load_first(const float* p, std::ptrdiff_t n) {
    float t[16] = {};
    for (std::ptrdiff_t i = 0; i < n; ++i) t[i] = p[i];
    return load(t);
  }
  void store_first(float* p, std::ptrdiff_t n) const {
    float t[16];
    store(t);
    for (std::ptrdiff_t i = 0; i < n; ++i) p[i] = t[i];
  }

  static float32x4_t of_f16_4(uint16x4_t x) { return vcvt_f32_f16(vreinterpret_f16_u16(x)); }
  static float32x4_t of_bf16_4(uint16x4_t x) { return vreinterpretq_f32_u32(vshll_n_u16(x, 16)); }
  static NeonLanes load_f16(const std::uint16_t* p) {
    NeonLanes x;
    for (int i = 0; i < 4; ++i) x.v[i] = of_f16_4(vld1_u16(p + 4 * i));
    return x;
  }
  static NeonLanes load_bf16(const std::uint16_t* p) {
    NeonLanes x;
    for (int i = 0; i < 4; ++i) x.v[i] = of_bf16_4(vld1_u16(p + 4 * i));
    return x;
  }
  static NeonLanes of_f16(const Halves& h) {
    NeonLanes x;
    for (int i = 0; i < 4; ++i) x.v[i] = of_f16_4(vcreate_u16(h.word[i]));
    return x;
  }
  static NeonLanes of_bf16(const Halves& h) {
    NeonLanes x;
    for (int i = 0; i < 4; ++i) x.v[i] = of_bf16_4(vcreate_u16(h.word[i]));
    return x;
  }
  static NeonLanes of_i8(int8x16_t x) {
    const int16x8_t low = vmovl_s8(vget_low_s8(x)), high = vmovl_s8(vget_high_s8(x));
    return {
        {vcvtq_f32_s32(vmovl_s16(vget_low_s16(low))), vcvtq_f32_s32(vmovl_s16(vget_high_s16(low))),
         vcvtq_f32_s32(vmovl_s16(vget_low_s16(high))), vcvtq_f32_s32(vmovl_s16(vget_high_s16(high)))}};
  }
  static NeonLanes load_i8(const std::int8_t* p) { return of_i8(vld1q_s8(p)); }
  static NeonLanes of_i8(const Bytes& x) { return of_i8(vcombine_s8(vcreate_s8(x.word[0]), vcreate_s8(x.word[1]))); }
  template <int I>
  NeonLanes byte() const {
    NeonLanes x;
    for (int i = 0; i < 4; ++i)
      x.v[i] = vcvtq_f32_s32(vshrq_n_s32(vshlq_n_s32(vreinterpretq_s32_f32(v[i]), 24 - 8 * I), 24));
    return x;
  }
  void store_f16(std::uint16_t* p) const {
    for (int i = 0; i < 4; ++i) vst1_u16(p + 4 * i, vreinterpret_u16_f16(vcvt_f16_f32(v[i])));
  }
  NeonLanes low_f16() const {
    NeonLanes x;
    for (int i = 0; i < 4; ++i) x.v[i] = vcvt_f32_f16(vreinterpret_f16_u16(vmovn_u32(vreinterpretq_u32_f32(v[i]))));
    return x;
  }
  NeonLanes high_f16() const {
    NeonLanes x;
    for (int i = 0; i < 4; ++i)
      x.v[i] = vcvt_f32_f16(vreinterpret_f16_u16(vshrn_n_u32(vreinterpretq_u32_f32(v[i]), 16)));
    return x;
  }
  NeonLanes low_bf16() const {
    NeonLanes x;
    for (int i = 0; i < 4; ++i) x.v[i] = vreinterpretq_f32_u32(vshlq_n_u32(vreinterpretq_u32_f32(v[i]), 16));
    return x;
  }
  NeonLanes high_bf16() const {
    NeonLanes x;
    for (int i = 0; i < 4; ++i)
      x.v[i] = vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(v[i]), vdupq_n_u32(0xffff0000u)));
    return x;
  }
  static std::uint32_t nonzero(const std::uint8_t* p) {
    static constexpr std::uint8_t lane[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    const uint8x16_t byte = vld1q_u8(p), set = vandq_u8(vtstq_u8(byte, byte), vld1q_u8(lane));
    return static_cast<std::uint32_t>(vaddv_u8(vget_low_u8(set)) | vaddv_u8(vget_high_u8(set)) << 8);
  }

  float32x4_t v[4];
};

inline NeonLanes in_register(NeonLanes x) { return x; }

inline NeonLanes operator+(NeonLanes a, NeonLanes b) {
  for (int i = 0; i < 4; ++i) a.v[i] = vaddq_f32(a.v[i], b.v[i]);
  return a;
}
inline NeonLanes operator-(NeonLanes a, NeonLanes b) {
  for (int i = 0; i < 4; ++i) a.v[i] = vsubq_f32(a.v[i], b.v[i]);
  return a;
}
inline NeonLanes operator*(NeonLanes a, NeonLanes b) {
  for (int i = 0; i < 4; ++i) a.v[i] = vmulq_f32(a.v[i], b.v[i]);
  return a;
}
inline NeonLanes operator/(NeonLanes a, NeonLanes b) {
  for (int i = 0; i < 4; ++i) a.v[i] = vdivq_f32(a.v[i], b.v[i]);
  return a;
}
inline NeonLanes fma(NeonLanes a, NeonLanes b, NeonLanes c) {
  for (int i = 0; i < 4; ++i) c.v[i] = vfmaq_f32(c.v[i], a.v[i], b.v[i]);
  return c;
}
inline NeonLanes fms(NeonLanes a, NeonLanes b, NeonLanes c) {
  for (int i = 0; i < 4; ++i) c.v[i] = vfmaq_f32(vnegq_f32(c.v[i]), a.v[i], b.v[i]);
  return c;
}
// Compare and select, not FMAX: FMAX would hand on a NaN.
inline NeonLanes max(NeonLanes a, NeonLanes b) {
  for (int i = 0; i < 4; ++i) b.v[i] = vbslq_f32(vcgtq_f32(a.v[i], b.v[i]), a.v[i], b.v[i]);
  return b;
}

inline NeonLanes zero_where_less(NeonLanes x, NeonLanes t, NeonLanes bound) {
  for (int i = 0; i < 4; ++i) {
    const uint32x4_t less = vcltq_f32(t.v[i], bound.v[i]);
    x.v[i] = vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(x.v[i]), less));
  }
  return x;
}

inline NeonLanes select_less(NeonLanes t, NeonLanes bound, NeonLanes a, NeonLanes b) {
  for (int i = 0; i < 4; ++i) b.v[i] = vbslq_f32(vcltq_f32(t.v[i], bound.v[i]), a.v[i], b.v[i]);
  return b;
}

inline NeonLanes keep_bits(NeonLanes x, std::uint32_t bits, NeonLanes fill) {
  static constexpr std::uint32_t lane[4] = {1, 2, 4, 8};
  for (int i = 0; i < 4; ++i)
    x.v[i] = vbslq_f32(vtstq_u32(vdupq_n_u32(bits >> (4 * i)), vld1q_u32(lane)), x.v[i], fill.v[i]);
  return x;
}

inline std::uint32_t equal_bits(NeonLanes a, NeonLanes b) {
  static constexpr std::uint32_t lane[4] = {1, 2, 4, 8};
  std::uint32_t bits = 0;
  for (int i = 0; i < 4; ++i) bits |= vaddvq_u32(vandq_u32(vceqq_f32(a.v[i], b.v[i]), vld1q_u32(lane))) << (4 * i);
  return bits;
}

inline NeonLanes keep_range(NeonLanes x, std::ptrdiff_t begin, std::ptrdiff_t end, NeonLanes fill) {
  for (int i = 0; i < 4; ++i) x.v[i] = vbslq_f32(vbicq_u32(first4(end, i), first4(begin, i)), x.v[i], fill.v[i]);
  return x;
}

inline NeonLanes canonical_nan(NeonLanes x) {
  const float32x4_t nan = vreinterpretq_f32_u32(vdupq_n_u32(0x7fc00000u));
  for (auto& q : x.v) q = vbslq_f32(vceqq_f32(q, q), q, nan);
  return x;
}

inline NeonLanes round_to_bf16(NeonLanes x) {
  const float32x4_t nan = vreinterpretq_f32_u32(vdupq_n_u32(0x7fc00000u));
  for (auto& q : x.v) {
    const uint32x4_t u = vreinterpretq_u32_f32(q), odd = vandq_u32(vshrq_n_u32(u, 16), vdupq_n_u32(1));
    const uint32x4_t up = vaddq_u32(u, vaddq_u32(odd, vdupq_n_u32(0x7fff)));
    q = vbslq_f32(vceqq_f32(q, q), vreinterpretq_f32_u32(vandq_u32(up, vdupq_n_u32(0xffff0000u))), nan);
  }
  return x;
}

inline NeonLanes scale_by_power(NeonLanes x, NeonLanes, NeonLanes shifted) {
  for (int i = 0; i < 4; ++i) {
    const int32x4_t exponent = vshlq_n_s32(vreinterpretq_s32_f32(shifted.v[i]), 23);
    x.v[i] = vmulq_f32(x.v[i], vreinterpretq_f32_s32(vaddq_s32(exponent, vdupq_n_s32(0x3f800000))));
  }
  return x;
}

inline bool any_nan(NeonLanes x) {
  uint32x4_t ordered = vceqq_f32(x.v[0], x.v[0]);
  for (int i = 1; i < 4; ++i) ordered = vandq_u32(ordered, vceqq_f32(x.v[i], x.v[i]));
  return vminvq_u32(ordered) == 0;
}

inline float reduce_add(NeonLanes x) {
  const float32x4_t a = vaddq_f32(vaddq_f32(x.v[0], x.v[2]), vaddq_f32(x.v[1], x.v[3]));
  const float32x2_t b = vadd_f32(vget_low_f32(a), vget_high_f32(a));
  return vget_lane_f32(b, 0) + vget_lane_f32(b, 1);
}

inline float reduce_max(NeonLanes x) {
  float lane[16];
  x.store(lane);
  float m = lane[15];
  for (int i = 14; i >= 0; --i) m = lane[i] > m ? lane[i] : m;
  return m;
}

// Four 4x4 transposes.
inline void transpose_rows(const char* rows, std::ptrdiff_t step, NeonLanes (&x)[4]) {
  for (int part = 0; part < 4; ++part) {
    float32x4_t r[4];
    for (int i = 0; i < 4; ++i) {
      const std::uint8_t* const row = reinterpret_cast<const std::uint8_t*>(rows + (4 * part + i) * step);
      r[i] = vreinterpretq_f32_u8(vld1q_u8(row));
    }
    const float32x4x2_t ab = vtrnq_f32(r[0], r[1]), cd = vtrnq_f32(r[2], r[3]);
    for (int k = 0; k < 2; ++k) {
      x[k].v[part] = vcombine_f32(vget_low_f32(ab.val[k]), vget_low_f32(cd.val[k]));
      x[k + 2].v[part] = vcombine_f32(vget_high_f32(ab.val[k]), vget_high_f32(cd.val[k]));
    }
  }
}

}  // namespace
}  // namespace attn::simd
