// The first product of a block, once, over lanes: scores[r][j] = q[r] . k[j], one fma chain over the head dimension
// each. Keys that a row does not see may be multiplied too: nobody reads those scores.
#pragma once

#include <cstddef>

#include "few.hpp"
#include "kernels.hpp"
#include "panels.hpp"
#include "pieces.hpp"
#include "prefetch.hpp"
#include "product.hpp"
#include "scales.hpp"
#include "transpose.hpp"
#include "visible.hpp"

namespace attn::simd {
namespace {

// The products of a tile of rows with the keys of a panel, rows of the panel `width` floats apart.
template <class Lanes>
inline void score_panel(
    const Queries& q, const float* panel, std::ptrdiff_t vectors, std::ptrdiff_t head_dim, float* scores) {
  multiply<Lanes, Source::packed>(
      q.count, vectors,
      {q.rows, q.stride, panel, 16 * Lanes::tile_vectors, head_dim, scores, score_stride, false, false, 16, 0,
       nullptr});
}

// The same with scales, that stand at the panel's first key.
template <class Lanes>
[[gnu::noinline]] void score_scaled_panel(
    const Queries& q, const float* panel, std::ptrdiff_t vectors, const KeyBlock& k, const float* scales,
    float* scores) {
  alignas(64) float products[Lanes::tile_rows * score_stride];
  for (std::ptrdiff_t d = 0; d < q.head_dim; d += k.key_group, scales += key_block) {
    float* const to = d == 0 ? scores : products;
    score_panel<Lanes>(
        {q.rows + d, q.count, q.stride, q.head_dim}, panel + d * 16 * Lanes::tile_vectors, vectors, k.key_group, to);
    for (std::ptrdiff_t r = 0; r < q.count; ++r)
      scale_products<Lanes>(to + r * score_stride, scales, 16 * vectors, d == 0, scores + r * score_stride);
  }
}

// The tile of p with its panel in pairs: by the instruction where no sum can be subnormal.
template <class Lanes>
void multiply_panel_pairs(std::ptrdiff_t rows, std::ptrdiff_t vectors, Product p) {
  if constexpr (PairProduct<Lanes>::exists) {
    const std::ptrdiff_t head_dim = p.depth;
    const float* const least = static_cast<const float*>(p.b) + (head_dim - 1) * p.b_stride;
    const bool may = panels_hold_exponent(head_dim) &&
        may_multiply_pairs<Lanes>(p.a + query_exponent(head_dim), p.a_stride, rows, bits_of(least));
    p.a += query_pairs(head_dim);
    p.depth = (head_dim + 1) / 2;
    may ? multiply<Lanes, Source::packed, bf16_pair>(rows, vectors, p)
        : multiply<Lanes, Source::packed, bf16_pair_in_turn>(rows, vectors, p);
  }
}

// From packed panels.
template <class Lanes>
void score_packed(const Queries& q, const KeyBlock& k, const Visible& v, const Scratch& scratch) {
  constexpr std::ptrdiff_t width = 16 * Lanes::tile_vectors;
  const KeySpan seen = visible_keys(v, q.count);
  SpreadFetch fetch(
      scratch.prefetch,
      (seen.end - seen.begin / width * width + width - 1) / width *
          ((q.count + Lanes::tile_rows - 1) / Lanes::tile_rows));
  for (std::ptrdiff_t j = seen.begin / width * width; j < seen.end; j += width) {
    const std::ptrdiff_t vectors = min(width, round_up(seen.end - j, 16)) / 16;
    for (std::ptrdiff_t r = 0; r < q.count; r += Lanes::tile_rows) {
      const std::ptrdiff_t rows = min(Lanes::tile_rows, q.count - r);
      if (!any_sees(v, r, rows, {j, j + width})) continue;
      fetch.next();
      const Queries some{q.rows + r * q.stride, rows, q.stride, q.head_dim};
      const float* const panel = static_cast<const float*>(k.keys) + j * q.head_dim;
      float* const scores = scratch.scores + r * score_stride + j;
      if (k.key_scales)
        score_scaled_panel<Lanes>(some, panel, vectors, k, k.key_scales + j, scores);
      else if (PairProduct<Lanes>::exists && k.pairs)
        multiply_panel_pairs<Lanes>(
            rows, vectors,
            {some.rows, q.stride, panel, width, q.head_dim, scores, score_stride, false, false, 16, 0, nullptr});
      else
        score_panel<Lanes>(some, panel, vectors, q.head_dim, scores);
    }
  }
}

// Keys in place, of one piece, or the first 32 of them from two pages.
//   ahead           what is fetched when key 0 is read; null: nothing
//   far, far_ahead  bytes from key 0 to key 16, and from what is fetched with the one to what is with the other
template <class T>
struct KeysInPlace {
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

// The same lane of several vectors of int8.
template <class Keys, int Vectors>
struct Several {
  template <int I>
  Several byte() const {
    Several x;
#pragma GCC unroll 8
    for (int i = 0; i < Vectors; ++i) x.v[i] = v[i].template byte<I>();
    return x;
  }

  Keys v[Vectors];
};

// acc[v][i] += the sixteen columns from d on of vector v of keys of int8, times those of row i. The transposed lanes of
// all vectors go through memory, and four columns are taken of them at a time: else gcc kept every element of the
// queries for the next vector, and stored more often than it multiplied.
// first: where each vector's first key stands, whose rows are `step` bytes apart.
template <class T, class Keys, int Rows, int Vectors>
inline void add_bytes(
    const float* const (&row)[Rows], const char* const (&first)[Vectors], std::ptrdiff_t step, std::ptrdiff_t d,
    Keys (&acc)[Vectors][Rows]) {
  Keys x[Vectors][4];
  for (int v = 0; v < Vectors; ++v) transpose_rows(first[v] + d, step, x[v]);
#pragma GCC unroll 1
  for (int lane = 0; lane < 4; ++lane, d += 4) {
    Several<Keys, Vectors> together;
#pragma GCC unroll 8
    for (int v = 0; v < Vectors; ++v) together.v[v] = x[v][lane];
    for_each_column_of_lane<T>(together, d, d, d + 4, [&](std::ptrdiff_t column, auto key) {
#pragma GCC unroll 8
      for (int i = 0; i < Rows; ++i) {
        const Keys q = Keys::set1(row[i][column]);
#pragma GCC unroll 8
        for (int v = 0; v < Vectors; ++v) acc[v][i] = fma(q, key.v[v], acc[v][i]);
      }
    });
  }
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
    if constexpr (Element<T>::columns == 4 && lanes == 4) {
      add_bytes<T, Keys, Rows, Vectors>(row, first, step, d, acc);
    } else {
      Keys x[lanes];
      add_step(x);
    }
  }
  if constexpr (lanes > 4)
    for (; d + columns_of<T, 4> <= head_dim; d += columns_of<T, 4>) {
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

// At most `Rows` query rows against the keys of a span, at least a vector of them. Where keys are left over, the last
// vectors repeat keys of those before, for the same scores.
template <class Lanes, int Rows, class T, class InPlace>
void score_span(const T*, const Queries& q, const InPlace& keys, KeySpan span, float* scores) {
  using Keys = typename Lanes::Keys;
  constexpr int many = static_cast<int>(max(1, min(Keys::most_vectors, Keys::accumulators / Rows)));
  constexpr int few = static_cast<int>(min(many, 2));
  constexpr std::ptrdiff_t step = columns_of<T, 4>;
  std::ptrdiff_t j = span.begin;
  for (; j + Keys::width * many <= span.end; j += Keys::width * many)
    score_vectors<Keys, Rows, many>(q, keys.from(j), Keys::width, scores + j);
  for (; j < span.end; j += Keys::width * few) {
    const std::ptrdiff_t first = max(span.begin, min(j, span.end - Keys::width * few));
    const std::ptrdiff_t apart = min(Keys::width, span.end - first - Keys::width);
    KeysInPlace<T> last = keys.from(first);
    if (Keys::width == 16 && apart < 16) last.far = apart * last.at(0).step();
    score_vectors<Keys, Rows, few>(q, last, apart, scores + first);
  }
  const std::ptrdiff_t whole = q.head_dim / step * step;
  if (whole == q.head_dim) return;
  for (j = span.begin; j < span.end; j += 16)
    add_columns<Lanes>(q, in_turn(keys.at(j)), min(16, span.end - j), whole, scores + j);
}

// Takes the smallest kernel that holds the rows: of 1, 2 or Lanes::score_rows. Three run in that of four, which repeats
// the last.
template <class Lanes, class T, class InPlace>
void score_rows_of_span(const T* type, const Queries& q, const InPlace& keys, KeySpan span, float* scores) {
  if (Lanes::score_rows == 1 || q.count == 1) return score_span<Lanes, 1>(type, q, keys, span, scores);
  if constexpr (Lanes::score_rows > 1) {
    if (q.count == 2) return score_span<Lanes, 2>(type, q, keys, span, scores);
    return score_span<Lanes, Lanes::score_rows>(type, q, keys, span, scores);
  }
}

// All rows against the same keys [seen.begin, seen.end), at least a vector of them.
template <class Lanes, class T, class InPlace>
void score_many(const T* type, const Queries& q, const InPlace& keys, KeySpan seen, float* scores) {
  constexpr std::ptrdiff_t chunk = 64;  // keys that stay in L1 while one row after the other is multiplied
  for (std::ptrdiff_t j = seen.begin; j < seen.end; j += chunk) {
    const KeySpan span{max(seen.begin, min(j, seen.end - 2 * Lanes::Keys::width)), min(j + chunk, seen.end)};
    for (std::ptrdiff_t r = 0; r < q.count; r += Lanes::score_rows)
      score_rows_of_span<Lanes>(
          type, {q.rows + r * q.stride, min(Lanes::score_rows, q.count - r), q.stride, q.head_dim},
          r == 0 ? keys : keys.without_ahead(), span, scores + r * score_stride);
  }
}

// The same of one piece, and of any number.
template <class Lanes, class T>
void score_rows(const T* type, const Queries& q, const KeysInPlace<T>& keys, KeySpan seen, float* scores) {
  if (seen.end - seen.begin >= Lanes::Keys::width) return score_many<Lanes>(type, q, keys, seen, scores);
  for (std::ptrdiff_t r = 0; r < q.count; ++r)  // to which few keys are added
    Lanes::zero().store(scores + r * score_stride + seen.begin);
  score_few<Lanes>(q, in_turn(keys.at(seen.begin)), seen.end - seen.begin, scores + seen.begin);
}

// All rows against the keys of a piece: `scores` stands at its key 0.
template <class Lanes, class T>
void score_piece(const T* type, const Queries& q, const KeyBlock& k, const KeyPiece& piece, float* scores) {
  const KeySpan seen = piece.span;
  const KeysInPlace<T> keys = keys_of(type, k, piece);
  if (!k.own_keys) return score_rows<Lanes>(type, q, keys, seen, scores);
  std::ptrdiff_t r = 0;
  const std::ptrdiff_t count = seen.end - seen.begin, width = Lanes::Keys::width;
  if (Lanes::in_registers && width <= count && count <= 2 * width && q.head_dim % columns_of_step(type) == 0)
    for (; r + 2 <= q.count; r += 2)
      score_pair<typename Lanes::Keys>(
          {q.rows + r * q.stride, 2, q.stride, q.head_dim},
          KeyRows{keys.first + r * k.next_keys + seen.begin * k.key_stride, k.key_stride}, k.next_keys, count - width,
          scores + r * score_stride + seen.begin);
  for (; r < q.count; ++r) {
    KeysInPlace<T> own = keys;
    own.first += r * k.next_keys;
    if (keys.ahead) own.ahead = moved(keys.ahead, r * k.next_keys);
    score_rows<Lanes>(type, {q.rows + r * q.stride, 1, q.stride, q.head_dim}, own, seen, scores + r * score_stride);
  }
}

// All rows against keys in pages: whole sixteens together, what stands before and behind them as a piece.
template <class Lanes, class T>
void score_pages(
    const T* type, const Queries& q, const KeyBlock& k, const Paging& paging, KeySpan seen, float* scores) {
  const std::ptrdiff_t first = round_up(seen.begin, 16), last = seen.end / 16 * 16;
  const auto score_part = [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
    if (begin >= end) return;
    const KeyPiece piece = key_piece(k, paging, begin, end);
    score_piece<Lanes>(type, q, k, piece, scores + (begin - piece.span.begin));
  };
  score_part(seen.begin, min(first, seen.end));
  if (first < last)
    score_many<Lanes>(type, q, KeysInPages<T>{paging, k.key_stride, paging.ahead > 0}, {first, last}, scores);
  score_part(max(first, last), seen.end);
}

// All rows against the keys [seen.begin, seen.end) of the block, wherever they stand.
template <class Lanes>
void score_seen(const Queries& q, const KeyBlock& k, KeySpan seen, float* scores) {
  const Paging paging(k, k.key_pages, k.key_type, k.key_stride);
  const auto score = [&](const auto* type) {
    if (paging.pages) return score_pages<Lanes>(type, q, k, paging, seen, scores);
    score_piece<Lanes>(type, q, k, key_piece(k, paging, seen.begin, seen.end), scores);
  };
  if constexpr (PairProduct<Lanes>::exists)
    if (k.pairs && !k.own_keys) return score(static_cast<const bf16_in_pair*>(k.keys));
  with_paired_type(k.keys, k.key_type, k.pairs, score);
}

// The same with scales.
template <class Lanes>
[[gnu::noinline]] void score_scaled(const Queries& q, const KeyBlock& k, KeySpan seen, float* scores) {
  if (k.key_group == q.head_dim) {
    score_seen<Lanes>(q, group_of_keys(k, 0), seen, scores);
    for (std::ptrdiff_t r = 0; r < q.count; ++r) {
      float* const s = scores + r * score_stride + seen.begin;
      scale_products<Lanes>(s, k.key_scales + seen.begin, seen.end - seen.begin, true, s);
    }
    return;
  }
  constexpr std::ptrdiff_t chunk = 64;  // keys whose blocks stay in L1, and so do their products
  alignas(64) float products[Lanes::score_rows * score_stride];
  for (std::ptrdiff_t j = seen.begin; j < seen.end; j += chunk) {
    const KeySpan span{max(seen.begin, min(j, seen.end - 2 * Lanes::Keys::width)), min(j + chunk, seen.end)};
    for (std::ptrdiff_t r = 0; r < q.count; r += Lanes::score_rows) {
      const std::ptrdiff_t rows = min(Lanes::score_rows, q.count - r);
      for (std::ptrdiff_t d = 0; d < q.head_dim; d += k.key_group) {
        const std::ptrdiff_t g = d / k.key_group;
        float* const s = scores + r * score_stride;
        float* const to = d == 0 ? s : products;
        for (std::ptrdiff_t i = 0; d > 0 && i < rows; ++i)  // few keys are added to what is there
          Lanes::zero().store(to + i * score_stride + span.begin);
        score_seen<Lanes>({q.rows + r * q.stride + d, rows, q.stride, k.key_group}, group_of_keys(k, g), span, to);
        for (std::ptrdiff_t i = 0; i < rows; ++i)
          scale_products<Lanes>(
              to + i * score_stride + span.begin, k.key_scales + g * key_block + span.begin, span.end - span.begin,
              d == 0, s + i * score_stride + span.begin);
      }
    }
  }
}

// Scores of all rows for the keys that any of them sees. Lanes of the first and the last vector that stand for no such
// key are finite.
template <class Lanes>
void score_keys_in_place(const Queries& q, const KeyBlock& k, const Visible& v, float* scores) {
  const KeySpan seen = visible_keys(v, q.count);
  if (seen.begin >= seen.end) return;
  for (std::ptrdiff_t r = 0; r < q.count; ++r) {
    float* const s = scores + r * score_stride;
    Lanes::zero().store(s + seen.begin / 16 * 16);
    Lanes::zero().store(s + (seen.end - 1) / 16 * 16);
  }
  k.key_scales ? score_scaled<Lanes>(q, k, seen, scores) : score_seen<Lanes>(q, k, seen, scores);
}

template <class Lanes>
void score_block(const Queries& q, const KeyBlock& k, const Visible& v, const Scratch& scratch) {
  if (k.panels) return score_panels_in_place<Lanes>(q, k, v, scratch);
  k.packed ? score_packed<Lanes>(q, k, v, scratch) : score_keys_in_place<Lanes>(q, k, v, scratch.scores);
}

}  // namespace
}  // namespace attn::simd
