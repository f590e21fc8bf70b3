// Elements as they are stored: one traits struct for each type, and the switch that the compiler checks.
#pragma once

#include <cstddef>
#include <cstdint>

#include "bytes.hpp"
#include "halves.hpp"
#include "kernels.hpp"
#include "numbers.hpp"

namespace attn::simd {
namespace {

//   load(p)      sixteen elements as float lanes; load_first(p, n): the first n of them
//   columns      how many stand in 32 bits; column<i>(x): the i-th of each 32-bit lane
//   value_rows   rows of values in place, fetched ahead, that are multiplied at a time
// value_rows: from memory; in a cache it is cached_rows (strips.hpp). bf16, 4 query rows: 16 rows 31 ns a key, 64
// rows 28.
template <class T>
struct Element;

template <>
struct Element<float> {
  static constexpr int columns = 1;
  static constexpr std::ptrdiff_t value_rows = 16;
  template <class Lanes>
  static Lanes load(const float* p) {
    return Lanes::load(p);
  }
  template <class Lanes>
  static Lanes load_first(const float* p, std::ptrdiff_t n) {
    return Lanes::load_first(p, n);
  }
  template <int, class Lanes>
  static Lanes column(Lanes x) {
    return x;
  }
};

template <>
struct Element<f16> {
  static constexpr int columns = 2;
  static constexpr std::ptrdiff_t value_rows = 64;
  template <class Lanes>
  static Lanes load(const f16* p) {
    return Lanes::load_f16(&p->bits);
  }
  template <class Lanes>
  [[gnu::noinline]] static Lanes load_first(const f16* p, std::ptrdiff_t n) {
    return n == 16 ? load<Lanes>(p) : Lanes::of_f16(first_halves(&p->bits, n));
  }
  template <int I, class Lanes>
  static Lanes column(Lanes x) {
    return I == 0 ? x.low_f16() : x.high_f16();
  }
};

template <>
struct Element<bf16> {
  static constexpr int columns = 2;
  static constexpr std::ptrdiff_t value_rows = 64;
  template <class Lanes>
  static Lanes load(const bf16* p) {
    return Lanes::load_bf16(&p->bits);
  }
  template <class Lanes>
  [[gnu::noinline]] static Lanes load_first(const bf16* p, std::ptrdiff_t n) {
    return n == 16 ? load<Lanes>(p) : Lanes::of_bf16(first_halves(&p->bits, n));
  }
  template <int I, class Lanes>
  static Lanes column(Lanes x) {
    return I == 0 ? x.low_bf16() : x.high_bf16();
  }
};

// bf16 keys under bf16 queries, and bf16 values under bf16 weights: of the two columns in 32 bits, and of two rows of
// values, the second comes first.
struct paired_bf16 {
  std::uint16_t bits;
};
template <>
struct Element<paired_bf16> {
  static constexpr int columns = 2;
  static constexpr std::ptrdiff_t value_rows = Element<bf16>::value_rows;
  template <class Lanes>
  static Lanes load(const paired_bf16* p) {
    return Lanes::load_bf16(&p->bits);
  }
  template <class Lanes>
  static Lanes load_first(const paired_bf16* p, std::ptrdiff_t n) {
    return n == 16 ? load<Lanes>(p) : Lanes::of_bf16(first_halves(&p->bits, n));
  }
  template <int I, class Lanes>
  static Lanes column(Lanes x) {
    return I == 0 ? x.high_bf16() : x.low_bf16();
  }
};
// Packed values under bf16 weights.
struct paired_float {
  float value;
};
template <>
struct Element<paired_float> {
  template <class Lanes>
  static Lanes load(const paired_float* p) {
    return Lanes::load(&p->value);
  }
};
template <class T>
inline constexpr bool is_paired = false;
template <>
inline constexpr bool is_paired<paired_bf16> = true;
template <>
inline constexpr bool is_paired<paired_float> = true;

// Of pairs the second column first, as the queries have it.
template <class T>
inline void order_columns(float* columns, std::ptrdiff_t count) {
  for (std::ptrdiff_t e = 0; is_paired<T> && e + 2 <= count; e += 2) {
    const float first = columns[e];
    columns[e] = columns[e + 1];
    columns[e + 1] = first;
  }
}

template <>
struct Element<std::int8_t> {
  static constexpr int columns = 4;
  static constexpr std::ptrdiff_t value_rows = 64;
  template <class Lanes>
  static Lanes load(const std::int8_t* p) {
    return Lanes::load_i8(p);
  }
  template <class Lanes>
  [[gnu::noinline]] static Lanes load_first(const std::int8_t* p, std::ptrdiff_t n) {
    return n == 16 ? load<Lanes>(p) : Lanes::of_i8(first_bytes(p, n));
  }
  template <int I, class Lanes>
  static Lanes column(Lanes x) {
    return x.template byte<I>();
  }
};

// f(p) with p as a pointer to elements of `type`; q8_0 is taken apart into int8 before (scales.hpp).
template <class F>
inline auto with_type(const void* p, DType type, const F& f) {
  switch (type) {
    case DType::f32:
      return f(static_cast<const float*>(p));
    case DType::f16:
      return f(static_cast<const f16*>(p));
    case DType::bf16:
      return f(static_cast<const bf16*>(p));
    case DType::i8:
      return f(static_cast<const std::int8_t*>(p));
    case DType::q8_0:
      break;
  }
  __builtin_unreachable();
}

// The same of keys, or of values under bf16 weights: bf16 if they go in pairs.
template <class F>
inline auto with_paired_type(const void* p, DType type, bool pairs, const F& f) {
  return pairs ? f(static_cast<const paired_bf16*>(p)) : with_type(p, type, f);
}

template <class T>
constexpr std::ptrdiff_t value_rows(const T*) {
  return Element<T>::value_rows;
}
template <class Lanes, class T>
inline Lanes load(const T* p) {
  return Element<T>::template load<Lanes>(p);
}

// The first n lanes, 1 <= n <= 16; the others are 0 and their memory is not touched.
template <class Lanes, class T>
inline Lanes load_first(const T* p, std::ptrdiff_t n) {
  return Element<T>::template load_first<Lanes>(p, n);
}

template <class Lanes>
void widen(const void* x, DType type, std::ptrdiff_t n, float* y) {
  with_type(x, type, [&](const auto* p) {
    std::ptrdiff_t i = 0;
    for (; i + 16 <= n; i += 16) load<Lanes>(p + i).store(y + i);
    if (i < n) load_first<Lanes>(p + i, n - i).store_first(y + i, n - i);
  });
}

template <class Lanes>
void narrow_to(const float* x, std::ptrdiff_t n, float* y) {
  for (std::ptrdiff_t i = 0; i < n; ++i) y[i] = x[i];
}
template <class Lanes>
void narrow_to(const float* x, std::ptrdiff_t n, bf16* y) {
  for (std::ptrdiff_t i = 0; i < n; ++i) y[i].bits = to_bf16(x[i]);
}
template <class Lanes>
void narrow_to(const float* x, std::ptrdiff_t n, f16* y) {
  std::ptrdiff_t i = 0;
  for (; i + 16 <= n; i += 16) canonical_nan(Lanes::load(x + i)).store_f16(&y[i].bits);
  if (i == n) return;
  std::uint16_t tail[16];
  canonical_nan(Lanes::load_first(x + i, n - i)).store_f16(tail);
  for (std::ptrdiff_t k = 0; i + k < n; ++k) y[i + k].bits = tail[k];
}

template <class Lanes>
void narrow(const float* x, DType type, std::ptrdiff_t n, void* y) {
  switch (type) {
    case DType::f32:
      return narrow_to<Lanes>(x, n, static_cast<float*>(y));
    case DType::f16:
      return narrow_to<Lanes>(x, n, static_cast<f16*>(y));
    case DType::bf16:
      return narrow_to<Lanes>(x, n, static_cast<bf16*>(y));
    case DType::i8:
    case DType::q8_0:
      break;  // append.cpp
  }
}

}  // namespace
}  // namespace attn::simd
