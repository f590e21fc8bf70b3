// Elements as they are stored: float, f16 and bf16, widened to float lanes (exact) and narrowed (one rounding).
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels.hpp"

namespace attn::simd {
namespace {

struct F16 {
  std::uint16_t bits;
};
struct Bf16 {
  std::uint16_t bits;
};

template <class Lanes>
inline Lanes load(const float* p) {
  return Lanes::load(p);
}
template <class Lanes>
inline Lanes load(const F16* p) {
  return Lanes::load_f16(&p->bits);
}
template <class Lanes>
inline Lanes load(const Bf16* p) {
  return Lanes::load_bf16(&p->bits);
}

// The first n lanes; the others are 0 and their memory is not touched. Halves take the way over the stack: no
// instruction set here has a masked load of 16 bits.
template <class Lanes>
inline Lanes load_first(const float* p, std::ptrdiff_t n) {
  return Lanes::load_first(p, n);
}
template <class Lanes, class Half>
inline Lanes load_first(const Half* p, std::ptrdiff_t n) {
  if (n >= 16) return load<Lanes>(p);
  Half buffer[16] = {};
  for (std::ptrdiff_t i = 0; i < n; ++i) buffer[i] = p[i];
  return load<Lanes>(buffer);
}

// Of 32-bit lanes that hold two halves each: the first of each pair, and the second.
template <class Lanes>
inline Lanes first_of_pairs(Lanes x, const F16*) {
  return x.low_f16();
}
template <class Lanes>
inline Lanes second_of_pairs(Lanes x, const F16*) {
  return x.high_f16();
}
template <class Lanes>
inline Lanes first_of_pairs(Lanes x, const Bf16*) {
  return x.low_bf16();
}
template <class Lanes>
inline Lanes second_of_pairs(Lanes x, const Bf16*) {
  return x.high_bf16();
}

// Nearest, ties to even; a NaN becomes 0x7fc0.
inline std::uint16_t to_bf16(float x) {
  std::uint32_t u;
  __builtin_memcpy(&u, &x, 4);
  if (x != x) return 0x7fc0;
  return static_cast<std::uint16_t>((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

// Calls f(p) with p as a pointer to what `storage` says.
template <class F>
inline auto with_type(const void* p, Storage storage, const F& f) {
  return storage == Storage::f16    ? f(static_cast<const F16*>(p))
         : storage == Storage::bf16 ? f(static_cast<const Bf16*>(p))
                                    : f(static_cast<const float*>(p));
}

template <class Lanes>
void widen(const void* x, Storage storage, std::ptrdiff_t n, float* y) {
  with_type(x, storage, [&](const auto* p) {
    std::ptrdiff_t i = 0;
    for (; i + 16 <= n; i += 16) load<Lanes>(p + i).store(y + i);
    if (i < n) load_first<Lanes>(p + i, n - i).store_first(y + i, n - i);
  });
}

template <class Lanes>
void narrow(const float* x, Storage storage, std::ptrdiff_t n, void* y) {
  if (storage == Storage::f32) {
    for (std::ptrdiff_t i = 0; i < n; ++i) static_cast<float*>(y)[i] = x[i];
  } else if (storage == Storage::bf16) {
    for (std::ptrdiff_t i = 0; i < n; ++i) static_cast<std::uint16_t*>(y)[i] = to_bf16(x[i]);
  } else {
    std::uint16_t* const halves = static_cast<std::uint16_t*>(y);
    std::ptrdiff_t i = 0;
    for (; i + 16 <= n; i += 16) canonical_nan(Lanes::load(x + i)).store_f16(halves + i);
    if (i == n) return;
    std::uint16_t tail[16];
    canonical_nan(Lanes::load_first(x + i, n - i)).store_f16(tail);
    for (std::ptrdiff_t k = 0; i + k < n; ++k) halves[i + k] = tail[k];
  }
}

}  // namespace
}  // namespace attn::simd
