// The sequences of a batch, and which keys a query row may attend to.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "attn/attention.hpp"

namespace attn {

struct KeyRange {
  std::int64_t begin, end;  // begin <= j < end; empty if begin >= end
};

// One item of the batch: where its rows stand in the tensors, and how many they are. A packed batch has its sequences
// one after the other in one item.
struct Sequence {
  std::int64_t item;                       // number in the batch: the index of masks, biases, lengths and offsets
  std::int64_t batch;                      // index into query, key, value and output
  std::int64_t first_query, query_length;  // rows of query, output
  std::int64_t first_key, key_length;      // rows of key, value: those that may be read
  std::int64_t offset;                     // position of query row 0 among the keys
};

inline Sequence sequence_at(const AttentionArgs& a, std::int64_t item) noexcept {
  Sequence s{item, item, 0, a.query_length, 0, a.key_length, 0};
  if (a.cu_query_lengths) {
    s.batch = 0;
    s.first_query = a.cu_query_lengths[item];
    s.query_length = a.cu_query_lengths[item + 1] - s.first_query;
    s.first_key = a.cu_key_lengths[item];
    s.key_length = a.cu_key_lengths[item + 1] - s.first_key;
  }
  if (a.key_lengths) s.key_length = a.key_lengths[item];
  s.offset = a.alignment == Alignment::top_left ? 0
             : a.alignment == Alignment::given  ? a.query_offsets[item]
                                                : s.key_length - s.query_length;
  return s;
}

inline std::int64_t saturating_add(std::int64_t a, std::int64_t b) noexcept {
  std::int64_t c;
  if (!__builtin_add_overflow(a, b, &c)) return c;
  return a < 0 ? std::numeric_limits<std::int64_t>::min() : std::numeric_limits<std::int64_t>::max();
}

// Offsets and windows may be any int64: sums saturate.
inline std::int64_t position_of(const Sequence& s, std::int64_t query) noexcept {
  return saturating_add(s.offset, query);
}

// The keys of query row `query`: below the key length, not after p if causal, within the window around p. A mask may
// exclude more.
inline KeyRange allowed_keys(const AttentionArgs& args, const Sequence& s, std::int64_t query) noexcept {
  const std::int64_t position = position_of(s, query);
  KeyRange range{0, s.key_length};
  if (args.causal) range.end = std::min(range.end, saturating_add(position, 1));
  if (args.window_right >= 0)
    range.end = std::min(range.end, saturating_add(saturating_add(position, args.window_right), 1));
  if (args.window_left >= 0) range.begin = std::max(range.begin, saturating_add(position, -args.window_left));
  if (range.begin >= range.end) range = {0, 0};
  return range;
}

// Where the log-sum-exp of a row stands, and the key weight sums of a head.
inline std::int64_t logsumexp_index(const AttentionArgs& a, const Sequence& s, std::int64_t head,
                                    std::int64_t query) noexcept {
  if (a.cu_query_lengths) return head * a.cu_query_lengths[a.batch] + s.first_query + query;
  return (s.item * a.query_heads + head) * a.query_length + query;
}
inline std::int64_t key_weight_sums_index(const AttentionArgs& a, const Sequence& s, std::int64_t head) noexcept {
  if (a.cu_key_lengths) return head * a.cu_key_lengths[a.batch] + s.first_key;
  return (s.item * a.query_heads + head) * a.key_length;
}
// The keys of a sequence that a key weight sum is owed: those beyond its key length get 0.
inline std::int64_t key_weight_sums_count(const AttentionArgs& a, const Sequence& s) noexcept {
  return a.cu_key_lengths ? a.cu_key_lengths[s.item + 1] - s.first_key : a.key_length;
}

// The element of a mask or a bias.
template <class Quad>
auto element_of(const Quad& x, std::int64_t item, std::int64_t head, std::int64_t query, std::int64_t key) noexcept {
  return x.data + item * x.batch_stride + head * x.head_stride + query * x.row_stride + key * x.column_stride;
}

// Do scores pass through steps that need them in their own units, and not as products times an exponent's constant?
// So do those of a scale below 2^-121: two products may differ by more than float holds, 2^128, and their scores by
// less than the 88 that make a weight 0.
inline bool has_steps(const AttentionArgs& a) noexcept {
  const bool tiny_scale = a.scale != 0 && std::fabs(a.scale) < 0x1p-121f;
  return a.softcap > 0 || a.alibi_slopes || a.bias.data || a.sinks || tiny_scale;
}

}  // namespace attn
