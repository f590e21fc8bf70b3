// The first product of a block, once, over lanes: scores[r][j] = q[r] . k[j], one fma chain over the head dimension
// each. Keys that a row does not see may be multiplied too: nobody reads those scores.
#pragma once

#include <cstddef>

#include "few.hpp"
#include "kernels.hpp"
#include "keys.hpp"
#include "packed.hpp"
#include "panels.hpp"
#include "pieces.hpp"
#include "scales.hpp"
#include "visible.hpp"

namespace attn::simd {
namespace {

// At most `Rows` query rows against the keys of a span, at least a vector of them. Where keys are left over, the last
// vectors repeat keys of those before, for the same scores.
template <class Lanes, int Rows, class InPlace>
void score_span(const Queries& q, const InPlace& keys, KeySpan span, float* scores) {
  using Keys = typename Lanes::Keys;
  using T = typename InPlace::Type;
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
template <class Lanes, class InPlace>
void score_rows_of_span(const Queries& q, const InPlace& keys, KeySpan span, float* scores) {
  if (Lanes::score_rows == 1 || q.count == 1) return score_span<Lanes, 1>(q, keys, span, scores);
  if constexpr (Lanes::score_rows > 1) {
    if (q.count == 2) return score_span<Lanes, 2>(q, keys, span, scores);
    return score_span<Lanes, Lanes::score_rows>(q, keys, span, scores);
  }
}

// Keys that stay in L1 while one row after the other is multiplied.
inline constexpr std::ptrdiff_t chunk_keys = 64;
// The chunk of keys from j on; the last begins earlier, so that it holds two vectors if there are so many.
template <class Lanes>
KeySpan chunk_at(std::ptrdiff_t j, KeySpan seen) {
  return {max(seen.begin, min(j, seen.end - 2 * Lanes::Keys::width)), min(j + chunk_keys, seen.end)};
}

// All rows against the same keys [seen.begin, seen.end), at least a vector of them.
template <class Lanes, class InPlace>
void score_many(const Queries& q, const InPlace& keys, KeySpan seen, float* scores) {
  for (std::ptrdiff_t j = seen.begin; j < seen.end; j += chunk_keys)
    for (std::ptrdiff_t r = 0; r < q.count; r += Lanes::score_rows)
      score_rows_of_span<Lanes>(
          {q.rows + r * q.stride, min(Lanes::score_rows, q.count - r), q.stride, q.head_dim},
          r == 0 ? keys : keys.without_ahead(), chunk_at<Lanes>(j, seen), scores + r * score_stride);
}

// The same of one piece, and of any number.
template <class Lanes, class T>
void score_rows(const Queries& q, const KeysInPlace<T>& keys, KeySpan seen, float* scores) {
  if (seen.end - seen.begin >= Lanes::Keys::width) return score_many<Lanes>(q, keys, seen, scores);
  for (std::ptrdiff_t r = 0; r < q.count; ++r)  // to which few keys are added
    Lanes::zero().store(scores + r * score_stride + seen.begin);
  score_few<Lanes>(q, in_turn(keys.at(seen.begin)), seen.end - seen.begin, scores + seen.begin);
}

// All rows against the keys of a piece: `scores` stands at its key 0.
template <class Lanes, class T>
void score_piece(const T* type, const Queries& q, const KeyBlock& k, const KeyPiece& piece, float* scores) {
  const KeySpan seen = piece.span;
  const KeysInPlace<T> keys = keys_of(type, k, piece);
  if (!k.own_keys) return score_rows<Lanes>(q, keys, seen, scores);
  std::ptrdiff_t r = 0;
  const std::ptrdiff_t count = seen.end - seen.begin, width = Lanes::Keys::width;
  if (Lanes::in_registers && width <= count && count <= 2 * width && q.head_dim % columns_of<T, 4> == 0)
    for (; r + 2 <= q.count; r += 2)
      score_pair<typename Lanes::Keys>(
          {q.rows + r * q.stride, 2, q.stride, q.head_dim},
          KeyRows{keys.first + r * k.next_keys + seen.begin * k.key_stride, k.key_stride}, k.next_keys, count - width,
          scores + r * score_stride + seen.begin);
  for (; r < q.count; ++r) {
    KeysInPlace<T> own = keys;
    own.first += r * k.next_keys;
    if (keys.ahead) own.ahead = moved(keys.ahead, r * k.next_keys);
    score_rows<Lanes>({q.rows + r * q.stride, 1, q.stride, q.head_dim}, own, seen, scores + r * score_stride);
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
  if (first < last) score_many<Lanes>(q, KeysInPages<T>{paging, k.key_stride, paging.ahead > 0}, {first, last}, scores);
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
  alignas(64) float products[Lanes::score_rows * score_stride];
  for (std::ptrdiff_t j = seen.begin; j < seen.end; j += chunk_keys) {
    const KeySpan span = chunk_at<Lanes>(j, seen);
    for (std::ptrdiff_t r = 0; r < q.count; r += Lanes::score_rows) {
      const std::ptrdiff_t rows = min(Lanes::score_rows, q.count - r);
      for (std::ptrdiff_t d = 0; d < q.head_dim; d += k.key_group) {
        const std::ptrdiff_t g = d / k.key_group;
        float* const s = scores + r * score_stride;
        float* const to = d == 0 ? s : products;
        KeyBlock group = group_of_keys(k, g);
        group.fetch_ahead = k.fetch_ahead && r == 0;
        score_seen<Lanes>({q.rows + r * q.stride + d, rows, q.stride, k.key_group}, group, span, to);
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
