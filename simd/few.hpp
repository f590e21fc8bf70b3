// Scores of fewer keys than Lanes::Keys has lanes (8 on AVX2, else 16), key by key: the first steps of a decode.
#pragma once

#include <cstddef>

#include "elements.hpp"
#include "kernels.hpp"
#include "numbers.hpp"
#include "transpose.hpp"

namespace attn::simd {
namespace {

// s[i] += sum over e < columns of row[e] * key[i][e]: one chain for each of `Count` keys.
template <int Count>
inline void add_few(const float* row, const float* const (&key)[4], std::ptrdiff_t columns, float* s) {
  float acc[Count];
  for (int i = 0; i < Count; ++i) acc[i] = s[i];
  const auto add = [&](std::ptrdiff_t e) {
    for (int i = 0; i < Count; ++i) acc[i] = __builtin_fmaf(row[e], key[i][e], acc[i]);
  };
  std::ptrdiff_t e = 0;
  for (; e + 16 <= columns; e += 16) {
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i) add(e + i);
  }
  for (; e < columns; ++e) add(e);
  for (int i = 0; i < Count; ++i) s[i] = acc[i];
}
// The same for all rows, from column d of the queries on.
[[gnu::noinline]] void add_few_of_rows(
    const Queries& q, std::ptrdiff_t d, const float* const (&key)[4], std::ptrdiff_t columns, bool one, float* scores) {
  for (std::ptrdiff_t r = 0; r < q.count; ++r) {
    const float* const row = q.rows + r * q.stride + d;
    float* const s = scores + r * score_stride;
    one ? add_few<1>(row, key, columns, s) : add_few<4>(row, key, columns, s);
  }
}

// scores[r][0, count) += all rows against so few keys: the chains are the same.
// Lanes up to the next multiple of four are written too.
template <class Lanes>
void score_few(const Queries& q, KeyRows<float> keys, std::ptrdiff_t count, float* scores) {
  for (std::ptrdiff_t j = 0; j < count; j += 4) {
    const float* key[4];
    for (int i = 0; i < 4; ++i) key[i] = keys.first + min(j + i, count - 1) * keys.stride;
    add_few_of_rows(q, 0, key, q.head_dim, count == 1, scores + j);
  }
}
template <class Lanes, class Half>
void score_few(const Queries& q, KeyRows<Half> keys, std::ptrdiff_t count, float* scores) {
  for (std::ptrdiff_t j = 0; j < count; j += 4)
    for (std::ptrdiff_t d = 0; d < q.head_dim; d += 16) {
      const std::ptrdiff_t columns = min(16, q.head_dim - d);
      float wide[4][16];
      for (int i = 0; i < 4; ++i) {
        load_first<Lanes>(keys.first + min(j + i, count - 1) * keys.stride + d, columns).store(wide[i]);
        order_columns<Half>(wide[i], columns);
      }
      const float* const key[4] = {wide[0], wide[1], wide[2], wide[3]};
      add_few_of_rows(q, d, key, columns, count == 1, scores + j);
    }
}

}  // namespace
}  // namespace attn::simd
