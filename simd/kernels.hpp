// The border between src/ and simd/: what an instruction set offers, one table each. Declarations only.
#pragma once

#include <cstddef>
#include <cstdint>

#include "attn/dtype.hpp"

namespace attn::simd {

inline constexpr std::ptrdiff_t lane_count = 16;

// Keys are softmaxed in blocks of this many, at absolute multiples of it: the canonical order, so another value gives
// other bits. 512 was 1.5 % faster than 256; 1024 would bring 1 % more for twice the scratch.
inline constexpr std::ptrdiff_t key_block = 512;
static_assert(key_block % 64 == 0, "the keys that a mask allows are kept as words of 64 bits");

// Floats from row to row of the scores of a tile. Not a power of two, so that they do not share the sets of the L1
// cache.
inline constexpr std::ptrdiff_t score_stride = key_block + lane_count;

// Weights are 2^(d * (c_high + c_low)) with d = score - maximum <= 0, and 0 where d < d_min (see exp.hpp).
struct Exponent {
  // |scale| * log2(e), and what the first float lost of it.
  float c_high = 0;
  float c_low = 0;
  // The least d whose result is at least 2^-126.
  float d_min = 0;
};

// y[r][j] = exp(scale * x[r][j]) / sum_j exp(scale * x[r][j]), with the row's maximum taken off first.
struct SoftmaxRows {
  // [rows] of `columns` floats, x_stride apart; any alignment.
  const float* x = nullptr;
  // May be x with the same stride.
  float* y = nullptr;
  std::ptrdiff_t rows = 0;
  std::ptrdiff_t columns = 0;
  std::ptrdiff_t x_stride = 0;
  std::ptrdiff_t y_stride = 0;
  Exponent exponent;
  // The scale is negative: -x takes the place of x.
  bool negate = false;
  // [rows] or null: the maximum of (-)x, -inf in a row of -inf.
  float* row_max = nullptr;
  // [rows] or null: the sum of the exponentials.
  float* row_sum = nullptr;
};

// From a product q . k to a score, the same for every row: scale, then softcap (0: none). Formulas: score_steps.hpp.
struct ScoreSteps {
  float scale = 1;
  float softcap = 0;
};
// The steps that differ from row to row; distance and bias count from the row's first key.
struct RowSteps {
  bool alibi = false;
  float slope = 0;
  float distance = 0;
  // Null: none.
  const float* bias = nullptr;
  // Multiplies the bias.
  float factor = 1;
};

// ---- What attend and weigh read: a tile of query rows against one block of keys of one KV head ----

// Floats of a copied bf16 query: its columns, its pairs, their least exponent (pairs.hpp).
constexpr std::ptrdiff_t query_pairs_floats(std::ptrdiff_t head_dim) { return head_dim + (head_dim + 1) / 2 + 1; }

// A tile of query rows: the same for every block.
struct Queries {
  // [count, head_dim], stride floats apart; negated if the exponent's scale is negative. For keys in pairs as
  // copy_query_pairs makes them.
  const float* rows = nullptr;
  std::ptrdiff_t count = 0;
  std::ptrdiff_t stride = 0;
  std::ptrdiff_t head_dim = 0;
};

// In pages, keys and values are fetched at most so many rows ahead.
inline constexpr std::ptrdiff_t most_rows_ahead = 192;

// At most key_block keys and their values. Pointers stand at the block's first key.
struct KeyBlock {
  // Made by pack_keys and pack_values (float), or read in place.
  bool packed = false;
  // In place: [key, head_dim] and [key, value_dim] of these types, strides in elements.
  const void* keys = nullptr;
  const void* values = nullptr;
  DType key_type = DType::f32;
  DType value_type = DType::f32;
  std::ptrdiff_t key_stride = 0;
  std::ptrdiff_t value_stride = 0;
  // In place: every row attends to another KV head. The keys of row r stand r * next_keys elements behind those of row
  // 0, its values r * next_values.
  bool own_keys = false;
  std::ptrdiff_t next_keys = 0;
  std::ptrdiff_t next_values = 0;
  // In place: they are likely in memory, not in a cache, and are fetched ahead.
  bool fetch_ahead = false;
  std::ptrdiff_t count = 0;
  std::ptrdiff_t value_dim = 0;
  // Packed values hold no NaN or Inf, so that a weight of 0 keeps them out.
  bool values_finite = false;

  // In place, keys and values in pages: page i of the block has page_keys of them (16 to 512) at key_pages[i] and
  // value_pages[i], and `keys` and `values` are not used. Null: one piece. Behind the block's pages stand those that
  // are read next, as many as hold most_rows_ahead + 16 keys: they are only fetched ahead, and may be anywhere.
  const void* const* key_pages = nullptr;
  const void* const* value_pages = nullptr;
  std::ptrdiff_t page_keys = 0;
  // Bytes from where a page begins to what is multiplied: to a group of the columns of q8_0.
  std::ptrdiff_t page_offset = 0;
  // In place: keys in panels [head_dim, 16] of sixteen keys, key_stride elements apart.
  bool panels = false;
  // bf16 queries and keys: the chain over the head dimension goes 1, 0, 3, 2, ...
  bool pairs = false;
  // [groups, key_block], of i8 and q8_0: what multiplies the product of `key_group` columns with a key, and the weight
  // of a key before its value's `value_group` columns. Null: nothing does.
  const float* key_scales = nullptr;
  const float* value_scales = nullptr;
  std::ptrdiff_t key_group = 0;
  std::ptrdiff_t value_group = 0;
  // Weights are rounded to bf16 before they multiply values, and the chain over the keys goes 1, 0, 3, 2, ...
  bool bf16_weights = false;
};

// The keys that each row of the tile sees: begin <= j < end, counted from the block's first; no other is read in place.
// A mask may exclude more: allowed is null, or [rows], each null (all of begin .. end) or key_block bits.
struct Visible {
  const std::int32_t* begin = nullptr;
  const std::int32_t* end = nullptr;
  const std::uint64_t* const* allowed = nullptr;
};

// What makes a weight of a product. Without steps the product is the score, and the exponent holds the scale.
struct ScoreRule {
  Exponent exponent;
  const ScoreSteps* steps = nullptr;
  // [rows], with steps.
  const RowSteps* row_steps = nullptr;
};

// Rows of memory that will be wanted soon: fetched while the scores are multiplied.
struct Prefetch {
  const void* const* rows = nullptr;
  std::ptrdiff_t count = 0;
  std::ptrdiff_t row_bytes = 0;
};

// ---- What they write ----

// The softmax of each row over some keys:
//   max, sum     [rows rounded up to 16]: the maximum of the scores, and the sum of the weights
//   output       [rows, output_stride], output_stride = value_dim rounded up to 16: weighted values, not yet divided
//   overflowed   [rows]: set to 1 where the product with a visible key was not finite, never to 0
struct State {
  float* max = nullptr;
  float* sum = nullptr;
  float* output = nullptr;
  std::ptrdiff_t output_stride = 0;
  std::uint8_t* overflowed = nullptr;
};

// 64-byte aligned.
struct Scratch {
  // [rows, score_stride]. attend leaves 2^((s - m) c) in the vectors that hold keys which a row sees, m the row's
  // maximum in the block, and 0 for other keys in them.
  float* scores = nullptr;
  // [rows, score_stride], with value_scales or bf16_weights: what multiplies the values, made of `scores`.
  float* weights = nullptr;
  Prefetch prefetch;
  // `scores` holds the products already, made by multiply_keys.
  bool multiplied = false;
};

// ---- Packing ----

// Rows of keys or values, and the place in a block that they are packed to.
struct PackedRows {
  // [count, columns] of `type`, stride elements apart.
  const void* rows = nullptr;
  DType type = DType::f32;
  std::ptrdiff_t stride = 0;
  std::ptrdiff_t count = 0;
  std::ptrdiff_t columns = 0;
  // Rows of the block, and the first of these: a multiple of 16, as is `count` but for the block's last rows.
  std::ptrdiff_t block_count = 0;
  std::ptrdiff_t first = 0;
  // What is read about rows_ahead rows later, fetched row by row; null: what stands there.
  const void* ahead = nullptr;
  // No others were packed into the block before.
  bool begins = true;
};

// ---- A projection ----

// Weights of a projection are packed into panels of this many columns, whatever the instruction set.
inline constexpr std::ptrdiff_t panel_columns = lane_count;

// y = x W + bias: some rows and columns of it.
struct Projected {
  // [rows, in], x_stride floats apart; not y.
  const float* x = nullptr;
  std::ptrdiff_t x_stride = 0;
  std::ptrdiff_t rows = 0;
  // At least 1.
  std::ptrdiff_t in = 0;
  // [panels][in][panel_columns], of the columns rounded up to whole panels. 64-byte aligned, for speed only.
  const float* panels = nullptr;
  // As many floats as the panels have columns.
  const float* bias = nullptr;
  std::ptrdiff_t columns = 0;
  // [rows, columns], y_stride floats apart: nothing else is read or written.
  float* y = nullptr;
  std::ptrdiff_t y_stride = 0;
};

struct Kernels {
  const char* name;

  // ---- Their shape ----

  // Query rows of a register tile: tasks of a multiple of it waste nothing.
  std::ptrdiff_t tile_rows;
  // Keys of one packed panel; a block is packed into whole panels.
  std::ptrdiff_t panel_keys;
  // Up to this many rows, keys and values are better read in place than packed.
  std::ptrdiff_t in_place_rows;
  // Rough speed of one core in flop per nanosecond, of few rows in place and of packed tiles. It decides how many
  // threads a call is worth, and no bit.
  double in_place_flop_per_ns;
  double packed_flop_per_ns;

  // ---- Rows of numbers ----

  // y[i] = 2^(d[i] * c) for n floats d <= 0; y may be d.
  void (*exp_scaled)(const float* d, float* y, std::ptrdiff_t n, const Exponent& exponent);
  void (*softmax_rows)(const SoftmaxRows& args);
  // y[i] = x[i] for n elements to float, which is exact.
  void (*widen)(const void* x, DType type, std::ptrdiff_t n, float* y);
  // y[i] = x[i] for n elements from float, to nearest, ties to even; NaN as 0x7e00 (f16) or 0x7fc0 (bf16).
  void (*narrow)(const float* x, DType type, std::ptrdiff_t n, void* y);
  // The steps on s[0, n), in place.
  void (*step_scores)(const ScoreSteps& steps, const RowSteps& row, float* s, std::ptrdiff_t n);
  // Is none of n floats NaN or infinite?
  bool (*all_finite)(const float* x, std::ptrdiff_t n);
  // allowed[key_block / 64]: bit j set where begin <= j < end and mask[j] is not 0. Reads mask[begin, end) only.
  void (*mask_to_bits)(const std::uint8_t* mask, std::ptrdiff_t begin, std::ptrdiff_t end, std::uint64_t* allowed);
  // Clears those bits of allowed[key_block / 64] whose bias is -inf; none is set outside [begin, end). Is every bias 0
  // of the bits that stay? Reads bias[begin, end) only.
  bool (*bias_to_bits)(const float* bias, std::ptrdiff_t begin, std::ptrdiff_t end, std::uint64_t* allowed);

  // ---- Packing ----

  // A block's keys -> panels [head_dim, panel_keys]; missing keys of the last panel are 0.
  void (*pack_keys)(const PackedRows& keys, float* block);
  // The same of bf16 keys that bf16 queries are multiplied with: the second column of a pair comes first.
  void (*pack_key_pairs)(const PackedRows& keys, float* block);
  // to[query_pairs_floats] = a row of bf16 queries, negated or not, as the kernels want it for such keys.
  void (*copy_query_pairs)(const void* query, std::ptrdiff_t head_dim, bool negate, float* to);
  // A block's values -> strips of panel_keys columns, each [block_count, columns of the strip rounded up to 16].
  // Are all these values finite?
  bool (*pack_values)(const PackedRows& values, float* block);
  // The same of bf16 values that bf16 weights are multiplied with. If one of the block is not finite, pack_values must
  // pack all of it again.
  bool (*pack_value_pairs)(const PackedRows& values, float* block);

  // ---- A tile against a block ----

  // The products q . k of one block, into scratch.scores: of the keys that some row sees, and perhaps of others.
  void (*multiply_keys)(const Queries& queries, const KeyBlock& keys, const Visible& visible, const Scratch& scratch);
  // Scores, softmax and weighted values of one block.
  void (*attend)(
      const Queries& queries, const KeyBlock& keys, const Visible& visible, const ScoreRule& rule,
      const Scratch& scratch, State block);
  // into <- both, as if their keys had been one block, up to rounding. Uses up `from`.
  void (*merge)(const Exponent& exponent, std::ptrdiff_t rows, State into, State from);
  // w[j] = p[j] * factor for n weights, 0 where that is below 2^-126: into weights, and added to sums. Each may be
  // null.
  void (*weigh)(const float* p, float factor, std::ptrdiff_t n, float* weights, float* sums);
  // out[i] = o[i] / sum for n floats; 0 where sum is 0; NaN as 0x7fc00000, never -0. Is all of out finite?
  bool (*finish_row)(const float* o, float sum, float* out, std::ptrdiff_t n);

  // ---- A projection ----

  // y[r][n] = one fma chain over k = 0, 1, 2, ... of x[r][k] * w[k][n], from bias[n]; NaN as 0x7fc00000.
  void (*project)(const Projected& args);
};

extern const Kernels scalar, avx2, avx512, avx512bf16, neon, neonbf16;

}  // namespace attn::simd
