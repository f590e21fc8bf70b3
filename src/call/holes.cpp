#include "call/holes.hpp"

#include <algorithm>

namespace attn {
namespace {

using simd::key_block;

// to[j] = from[j * stride] for begin <= j < end.
template <class T>
void gather(const void* from, std::int64_t stride, std::int64_t begin, std::int64_t end, T* to) noexcept {
  const T* const x = static_cast<const T*>(from);
  if (stride == 0) return std::fill(to + begin, to + end, *x);
  for (std::int64_t j = begin; j < end; ++j) to[j] = x[j * stride];
}

void set_range(KeyRange keys, std::uint64_t* allowed) noexcept {
  for (std::int64_t w = 0; w < key_block / 64; ++w) {
    const std::int64_t begin = std::clamp<std::int64_t>(keys.begin - 64 * w, 0, 64);
    const std::int64_t end = std::clamp<std::int64_t>(keys.end - 64 * w, 0, 64);
    allowed[w] = begin < end ? ~std::uint64_t{0} >> (64 - (end - begin)) << begin : 0;
  }
}

// Keys before the mask's first column are allowed; the mask has no byte for them.
void read_mask(const Row& row, std::int64_t key, KeyRange keys, std::uint64_t* allowed) noexcept {
  const Visibility& v = row.problem.visibility;
  const Mask& mask = v.mask;
  const std::int64_t first = v.first_masked(row.sequence) - key;  // as keys.begin and keys.end count
  const KeyRange masked{std::max(keys.begin, first), keys.end};
  if (masked.empty()) return set_range(keys, allowed);
  const std::uint8_t* bytes = address_of(mask, row.sequence.item, row.head, row.query, -first);
  std::uint8_t gathered[key_block];
  if (mask.column_stride != 1) {
    gather(bytes, mask.column_stride, masked.begin, masked.end, gathered);
    bytes = gathered;
  }
  row.kernels.mask_to_bits(bytes, masked.begin, masked.end, allowed);
  if (masked.begin == keys.begin) return;
  std::uint64_t before[key_block / 64];
  set_range({keys.begin, masked.begin}, before);
  for (std::int64_t w = 0; w < key_block / 64; ++w) allowed[w] |= before[w];
}

}  // namespace

const float* bias_of(const Row& row, std::int64_t key, KeyRange keys, float* wide) noexcept {
  const Bias& bias = row.problem.scoring.bias;
  const char* const from = address_of(bias, row.sequence.item, row.head, row.query, key);
  const std::int64_t count = keys.end - keys.begin;
  if (is_float(bias.dtype) && bias.column_stride == 1) return reinterpret_cast<const float*>(from);
  if (is_float(bias.dtype)) {
    gather(from, bias.column_stride, keys.begin, keys.end, wide);
  } else if (bias.column_stride == 1) {
    row.kernels.widen(from + keys.begin * size_of(bias.dtype), bias.dtype, count, wide + keys.begin);
  } else {
    f16 halves[key_block];  // or bf16: only their size counts here
    gather(from, bias.column_stride, keys.begin, keys.end, halves);
    row.kernels.widen(halves + keys.begin, bias.dtype, count, wide + keys.begin);
  }
  return wide;
}

bool read_holes(const Row& row, std::int64_t key, KeyRange keys, std::uint64_t* allowed) noexcept {
  const Visibility& v = row.problem.visibility;
  v.mask.data ? read_mask(row, key, keys, allowed) : set_range(keys, allowed);
  if (!v.bias.data) return false;
  float wide[key_block];
  return !row.kernels.bias_to_bits(bias_of(row, key, keys, wide), keys.begin, keys.end, allowed);
}

bool Visibility::unmasked(const Sequence& s, std::int64_t head, std::int64_t query, std::int64_t j) const noexcept {
  const std::int64_t column = j - first_masked(s);
  if (mask.data && column >= 0 && *address_of(mask, s.item, head, query, column) == 0) return false;
  return !bias.data || !is_minus_infinity(address_of(bias, s.item, head, query, j), bias.dtype);
}

HolesAt holes_at(const Row& row, std::int64_t key, KeyRange range) noexcept {
  const Visibility& v = row.problem.visibility;
  HolesAt at;
  if (range.empty()) return at;
  at.range = range;
  const std::int64_t column = key - v.first_masked(row.sequence);
  if (v.mask.data) at.mask = address_of(v.mask, row.sequence.item, row.head, row.query, column);
  if (v.bias.data) at.bias = address_of(v.bias, row.sequence.item, row.head, row.query, key);
  return at;
}

// The first keys alone: they tell of most biases that are no mask. A row that sees what the row before saw, and more
// (causal, with one bias for all queries), goes on where that one ended.
bool BiasedRows::next(const Row& row, KeyRange range, Kept& kept) noexcept {
  constexpr std::int64_t few = 64;
  const HolesAt at = holes_at(row, 0, range), was = previous_;
  const bool more = at.mask == was.mask && at.bias == was.bias && range.begin == was.range.begin &&
      range.end >= was.range.end && !range.empty();
  previous_ = at;
  biased_ = more && biased_;
  std::uint64_t words[key_block / 64];
  kept.count = 0;
  if (!more && range.end - range.begin > few) biased_ = read_holes(row, range.begin, {0, few}, words);
  const std::int64_t begin = more ? was.range.end : range.begin;
  for (std::int64_t key = begin / key_block * key_block; key < range.end && !biased_; key += key_block) {
    const bool keep = !more && kept.count < kept.room;
    std::uint64_t* const to = keep ? kept.words + kept.count * (key_block / 64) : words;
    biased_ = read_holes(
        row, key, {std::max<std::int64_t>(begin - key, 0), std::min<std::int64_t>(range.end - key, key_block)}, to);
    kept.count += keep;
  }
  return biased_;
}

}  // namespace attn
