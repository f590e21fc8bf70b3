// The first product with keys in place: some vectors of keys against some rows, kept in registers. Keys stand one after
// the other or in pages, and are transposed on the way.
#pragma once

#include <cstddef>

#include "elements.hpp"
#include "kernels.hpp"
#include "pairs.hpp"
#include "pieces.hpp"
#include "prefetch.hpp"
#include "transpose.hpp"

namespace attn::simd {
namespace {

// Keys in place, of one piece, or the first 32 of them from two pages.
//   ahead           what is fetched when key 0 is read; null: nothing
//   far, far_ahead  bytes from key 0 to key 16, and from what is fetched with the one to what is with the other
template <class T>
struct KeysInPlace {
  using Type = T;
  const T* first;
  std::ptrdiff_t stride;
  const T* ahead;
  std::ptrdiff_t far, far_ahead;

  KeyRows<T> at(std::ptrdiff_t j) const { return {first + j * stride, stride}; }
  // The same counted from key j on, of one piece.
  KeysInPlace from(std::ptrdiff_t j) const {
    return {first + j * stride, stride, ahead ? moved(ahead, j * stride) : nullptr, far, far_ahead};
  }
  KeysInPlace without_ahead() const { return {first, stride, nullptr, far, far_ahead}; }
  const T* ahead_of_key(std::ptrdiff_t j) const {
    return as_type_of(first, moved(static_cast<const void*>(ahead), (j >> 4) * far_ahead)) + (j & 15) * stride;
  }
};
template <class T>
inline KeysInPlace<T> keys_of(const T* type, const KeyBlock& k, const KeyPiece& piece) {
  const std::ptrdiff_t far = 16 * k.key_stride * static_cast<std::ptrdiff_t>(sizeof(T));
  return {as_type_of(type, piece.keys), k.key_stride, as_type_of(type, piece.ahead), far, far};
}

// Keys of several pages, at multiples of sixteen.
template <class T>
struct KeysInPages {
  using Type = T;
  const Paging& paging;
  std::ptrdiff_t stride;
  bool fetch_ahead;

  KeysInPlace<T> from(std::ptrdiff_t j) const {
    const char* const first = paging.at(j);
    const std::ptrdiff_t far = bytes_between(first, paging.at(j + 16));
    const T* const keys = reinterpret_cast<const T*>(first);
    if (!fetch_ahead) return {keys, stride, nullptr, far, 0};
    const char* const ahead = paging.at(j + paging.ahead);
    return {
        keys, stride, reinterpret_cast<const T*>(ahead), far, bytes_between(ahead, paging.at(j + paging.ahead + 16))};
  }
  KeyRows<T> at(std::ptrdiff_t j) const { return {reinterpret_cast<const T*>(paging.at(j)), stride}; }
  KeysInPages without_ahead() const { return {paging, stride, false}; }
};

// Keys as the fma chain takes them: the second column of a pair, then the first.
template <class T>
KeyRows<T> in_turn(KeyRows<T> keys) {
  return keys;
}
inline KeyRows<paired_bf16> in_turn(KeyRows<bf16_in_pair> keys) {
  return {reinterpret_cast<const paired_bf16*>(keys.first), keys.stride};
}
inline KeysInPlace<paired_bf16> in_turn(const KeysInPlace<bf16_in_pair>& keys) {
  return {reinterpret_cast<const paired_bf16*>(keys.first), keys.stride, nullptr, keys.far, keys.far_ahead};
}

// scores[r][0, 16) of all rows += the columns from `from` on of `count` keys: those that fill no whole step. Not
// inlined, as it is rare.
template <class Lanes, class T>
[[gnu::noinline]] void add_columns(
    const Queries& q, KeyRows<T> keys, std::ptrdiff_t count, std::ptrdiff_t from, float* scores) {
  for (std::ptrdiff_t r = 0; r < q.count; ++r) {
    const float* const row = q.rows + r * q.stride;
    Lanes acc = Lanes::load(scores + r * score_stride);
    for_each_column_of_part<Lanes>(
        keys, count, from, q.head_dim, [&](std::ptrdiff_t d, Lanes x) { acc = fma(Lanes::set1(row[d]), x, acc); });
    acc.store(scores + r * score_stride);
  }
}

// acc[v][i] += the columns from d on that lane number `lane` of each vector v holds, times those of row i.
template <class T, int I = 0, class Keys, int Rows, int Vectors>
inline void add_lane(
    const float* const (&row)[Rows], const Keys (&x)[Vectors][4], int lane, std::ptrdiff_t d,
    Keys (&acc)[Vectors][Rows]) {
  Keys key[Vectors];
#pragma GCC unroll 8
  for (int v = 0; v < Vectors; ++v) key[v] = Element<T>::template column<I>(x[v][lane]);
#pragma GCC unroll 8
  for (int i = 0; i < Rows; ++i) {
    const Keys q = Keys::set1(row[i][d + I]);
#pragma GCC unroll 8
    for (int v = 0; v < Vectors; ++v) acc[v][i] = fma(q, key[v], acc[v][i]);
  }
  if constexpr (I + 1 < Element<T>::columns) add_lane<T, I + 1>(row, x, lane, d, acc);
}

// The same of four lanes, whose columns stand in each vector's keys from first[v] on, rows `step` bytes apart. The
// transposed lanes go through memory, and the columns of one are taken at a time: with AVX2's sixteen registers gcc
// kept every element of the queries for the next vector, and stored more often than it multiplied.
template <class T, class Keys, int Rows, int Vectors>
inline void add_four_lanes(
    const float* const (&row)[Rows], const char* const (&first)[Vectors], std::ptrdiff_t step, std::ptrdiff_t d,
    Keys (&acc)[Vectors][Rows]) {
  Keys x[Vectors][4];
  for (int v = 0; v < Vectors; ++v) transpose_rows(first[v] + d * static_cast<std::ptrdiff_t>(sizeof(T)), step, x[v]);
#pragma GCC unroll 1
  for (int lane = 0; lane < 4; ++lane) add_lane<T>(row, x, lane, d + columns_of<T, 1> * lane, acc);
}

// Fetches from row number `fetched` on what columns of `wanted` elements hold: row after row while the keys before are
// multiplied. Not inlined, as the registers are needed there.
template <class T>
[[gnu::noinline]] std::ptrdiff_t fetch_keys(
    const KeysInPlace<T>& keys, std::ptrdiff_t fetched, std::ptrdiff_t wanted, std::ptrdiff_t head_dim) {
  for (; fetched * head_dim < wanted; ++fetched) prefetch_row(keys.ahead_of_key(fetched), head_dim);
  __asm__ volatile("");  // gcc would take a function that only fetches for one without effect, and leave its calls out
  return fetched;
}

// scores[i][j] of `Rows` query rows, but for columns at the end that fill no step of four lanes; rows from q.count on
// repeat the last one. The keys are `Vectors` vectors of them, whose first keys are `apart` from each other; those of
// the next sixteen stand keys.far behind.
// Keys are transposed in registers and used at once while the next are fetched: transposing in a pass of its own left
// the memory idle during the products. Several vectors hide the latency of one vector's chain.
template <class Keys, int Rows, int Vectors, class T>
void score_vectors(const Queries& q, const KeysInPlace<T>& keys, std::ptrdiff_t apart, float* scores) {
  constexpr int lanes = Keys::step_lanes, of_sixteen = 16 / Keys::width;
  constexpr std::ptrdiff_t columns = columns_of<T, lanes>, count = Vectors * Keys::width;
  const KeyRows<T> rows = keys.at(0);
  const std::ptrdiff_t step = rows.step(), far = keys.far, head_dim = q.head_dim;
  constexpr bool pairs = is_multiplied_in_pairs<T>;
  // Where a lane is multiplied often enough: f32 took as long either way, and halves for one row longer.
  constexpr int per_lane = Element<T>::columns;
  constexpr bool through_memory = lanes == 4 && Keys::in_registers && !pairs && per_lane > 1 && Rows * per_lane >= 4;
  const bool fetch_ahead = keys.ahead != nullptr;
  const float* row[Rows];
  for (int i = 0; i < Rows; ++i) row[i] = q.rows + min(i, q.count - 1) * q.stride + (pairs ? query_pairs(head_dim) : 0);
  [[maybe_unused]] LeastExponent<Keys> least;
  const char* first[Vectors];
  for (int v = 0; v < Vectors; ++v) first[v] = rows.at(0) + v % of_sixteen * apart * step + v / of_sixteen * far;
  Keys acc[Vectors][Rows];
#pragma GCC unroll 8
  for (int v = 0; v < Vectors; ++v)
#pragma GCC unroll 8
    for (int i = 0; i < Rows; ++i) acc[v][i] = Keys::zero();
  std::ptrdiff_t d = 0, fetched = 0;
  const auto add_step = [&](auto& x) {
#pragma GCC unroll 8
    for (int v = 0; v < Vectors; ++v) {
      transpose_rows(first[v] + d * static_cast<std::ptrdiff_t>(sizeof(T)), step, x);
      for_each_column<T>(x, d, [&](std::ptrdiff_t column, Keys key) {
        if constexpr (pairs) least.take(key);
#pragma GCC unroll 8
        for (int i = 0; i < Rows; ++i)
          acc[v][i] = add_product<T>(Keys::set1(row[i][pairs ? column / 2 : column]), key, acc[v][i]);
      });
    }
  };
  for (; d + columns <= head_dim; d += columns) {
    if (fetch_ahead) fetched = fetch_keys(keys, fetched, count * (d + columns), head_dim);
    if constexpr (through_memory) {
      add_four_lanes<T>(row, first, step, d, acc);
    } else {
      Keys x[lanes];
      add_step(x);
    }
  }
  if constexpr (lanes > 4)
    for (; d + columns_of<T, 4> <= head_dim; d += columns_of<T, 4>) {
      if (fetch_ahead) fetched = fetch_keys(keys, fetched, count * (d + columns_of<T, 4>), head_dim);
      Keys x[4];
      add_step(x);
    }
  if constexpr (pairs)
    if (!may_multiply_pairs<Keys>(q.rows + query_exponent(head_dim), q.stride, q.count, least.value()))
      return score_vectors<Keys, Rows, Vectors>(q, in_turn(keys), apart, scores);
#pragma GCC unroll 8
  for (int v = 0; v < Vectors; ++v)
#pragma GCC unroll 8
    for (int i = 0; i < Rows; ++i) acc[v][i].store(scores + min(i, q.count - 1) * score_stride + v * apart);
}

// The same for two rows with keys of their own, two vectors each: with so few keys one row's chains do not fill the
// pipes.
template <class Keys, class T>
void score_pair(const Queries& q, KeyRows<T> keys, std::ptrdiff_t next_keys, std::ptrdiff_t apart, float* scores) {
  constexpr int lanes = 4;
  constexpr std::ptrdiff_t columns = columns_of<T, lanes>;
  const std::ptrdiff_t step = keys.step();
  const KeyRows<T> of[2] = {keys, {keys.first + next_keys, keys.stride}};
  Keys acc[2][2] = {{Keys::zero(), Keys::zero()}, {Keys::zero(), Keys::zero()}};
  for (std::ptrdiff_t d = 0; d + columns <= q.head_dim; d += columns) {
#pragma GCC unroll 2
    for (int r = 0; r < 2; ++r)
#pragma GCC unroll 2
      for (int v = 0; v < 2; ++v) {
        Keys x[lanes];
        transpose_rows(of[r].at(d) + v * apart * step, step, x);
        for_each_column<T>(x, d, [&](std::ptrdiff_t column, Keys key) {
          acc[r][v] = fma(Keys::set1(q.rows[r * q.stride + column]), key, acc[r][v]);
        });
      }
  }
#pragma GCC unroll 2
  for (int r = 0; r < 2; ++r)
    for (int v = 0; v < 2; ++v) acc[r][v].store(scores + r * score_stride + v * apart);
}

}  // namespace
}  // namespace attn::simd
