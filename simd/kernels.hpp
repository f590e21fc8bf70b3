// The border between src/ and simd/: what an instruction set offers, one table each. Declarations only.
#pragma once

#include <cstddef>
#include <cstdint>

namespace attn::simd {

inline constexpr std::ptrdiff_t lane_count = 16;

// Keys are softmaxed in blocks of this many, at absolute multiples of it. Part of the canonical order of arithmetic:
// another value gives other bits. 512 was 1.5 % faster than 256; 1024 would bring 1 % more for twice the scratch.
inline constexpr std::ptrdiff_t key_block = 512;

// How elements stand in memory; the values of attn::DType.
enum class Storage : std::int32_t { f32 = 0, f16 = 1, bf16 = 2 };

// Weights are 2^(d * (c_high + c_low)) with d = score - maximum <= 0, and 0 where d < d_min (see exp.hpp).
struct Exponent {
  float c_high, c_low;  // |scale| * log2(e) and what the first float lost of it
  float d_min;          // the least d whose result is at least 2^-126
};

// y[r][j] = exp(scale * x[r][j]) / sum_j exp(scale * x[r][j]), with the row's maximum taken off first.
struct SoftmaxRows {
  const float* x;  // [rows] of `columns` floats, x_stride apart; any alignment
  float* y;        // may be x with the same stride
  std::ptrdiff_t rows, columns, x_stride, y_stride;
  Exponent exponent;
  bool negate;  // the scale is negative: -x takes the place of x
  float *row_max,
      *row_sum;  // [rows] or null: the maximum of (-)x, -inf in a row of -inf, and the sum of the exponentials
};

// From a product q . k to a score, the same for every row: scale, then softcap (0: none). scores.hpp has the formulas.
struct ScoreSteps {
  float scale, softcap;
};
// The steps that differ from row to row. bias is null for none; distance and bias count from the row's first key.
struct RowSteps {
  bool alibi;
  float slope, distance;
  const float* bias;
};

// One tile of query rows against one block of at most key_block keys of one KV head.
// Pointers into keys and values stand at the block's first key; begin/end count from there.
struct Block {
  std::ptrdiff_t rows, head_dim, value_dim;
  const float* query;  // [rows, head_dim], query_stride floats apart, negated if the scale is negative
  std::ptrdiff_t query_stride;
  const void* keys;    // packed by pack_keys, or in place: [key, head_dim], key_stride elements apart
  const void* values;  // packed by pack_values for a block of `value_keys` keys, or in place: [key, value_dim],
                       // value_stride apart
  bool packed;
  Storage key_storage, value_storage;  // of what is in place
  std::ptrdiff_t key_stride, value_stride, value_keys;
  const std::int32_t *begin,
      *end;  // [rows] the allowed keys of each row: begin <= j < end; nothing else is read in place
  // A mask may exclude more: null, or [rows], each null (all keys of begin .. end are allowed) or key_block bits.
  const std::uint64_t* const* allowed;
  // Null: the product is the score, and the exponent holds the scale. Else what to make of it, row_steps for each row.
  const ScoreSteps* steps;
  const RowSteps* row_steps;  // [rows]
  std::uint8_t* overflowed;   // [rows] set to 1 where the product with a key that the row sees is not finite
  Exponent exponent;
  bool values_finite;  // packed values hold no NaN or Inf, so that a weight of 0 keeps them out
  // Rows of memory that will be wanted soon: they are prefetched while the scores are multiplied. May be none.
  const void* const* ahead;
  std::ptrdiff_t ahead_rows, ahead_bytes;  // bytes of each row
  // Running state of the tile, merged block after block. `first` overwrites it.
  bool first;
  float *row_max, *row_sum;  // [rows rounded up to 16]
  float* output;             // [rows, output_stride]; not yet divided by row_sum
  // Scratch, 64-byte aligned.
  float* scores;                 // [rows, score_stride]
  float* block_output;           // [rows, output_stride]
  float *block_max, *block_sum;  // [rows rounded up to 16]
  std::ptrdiff_t output_stride;  // value_dim rounded up to 16
};

// Not a power of two, so that the rows of a tile do not share the sets of the L1 cache.
inline constexpr std::ptrdiff_t score_stride = key_block + lane_count;

struct Kernels {
  const char* name;
  std::ptrdiff_t panel_keys;  // keys of one packed panel; a block is packed into whole panels

  // y[i] = 2^(d[i] * c) for n floats d <= 0; y may be d.
  void (*exp_scaled)(const float* d, float* y, std::ptrdiff_t n, const Exponent& exponent);
  void (*softmax_rows)(const SoftmaxRows& args);

  // [count, head_dim] -> panels [head_dim, panel_keys]; missing keys of the last panel are 0.
  void (*pack_keys)(const void* keys, Storage storage, std::ptrdiff_t stride, std::ptrdiff_t count,
                    std::ptrdiff_t head_dim, float* packed);
  // [count, value_dim] -> strips of panel_keys columns, each [count, columns of the strip rounded up to 16].
  // Are all values finite?
  bool (*pack_values)(const void* values, Storage storage, std::ptrdiff_t stride, std::ptrdiff_t count,
                      std::ptrdiff_t value_dim, float* packed);
  // y[i] = x[i] for n elements: to float, which is exact, and from float, to nearest, ties to even; NaN as 0x7e00 (f16)
  // or 0x7fc0 (bf16).
  void (*widen)(const void* x, Storage storage, std::ptrdiff_t n, float* y);
  void (*narrow)(const float* x, Storage storage, std::ptrdiff_t n, void* y);
  // Scores, softmax, weighted values and merge of one block.
  void (*attend_block)(const Block& block);
  // weights of one block, once row_max and row_sum are those of all blocks: into scores, 0 where a key is excluded.
  // Writes whole vectors of the keys that a row sees, and nothing else.
  void (*weigh_block)(const Block& block);
  // allowed[key_block / 64]: bit j set where begin <= j < end and mask[j] is not 0. Reads mask[begin, end) only.
  void (*mask_to_bits)(const std::uint8_t* mask, std::ptrdiff_t begin, std::ptrdiff_t end, std::uint64_t* allowed);
  // The steps on s[0, n), in place.
  void (*step_scores)(const ScoreSteps& steps, const RowSteps& row, float* s, std::ptrdiff_t n);
  // The merge of attend_block on its own: row_max, row_sum, output <- both of the state and of the block's.
  void (*merge_block)(const Block& block);
  // Is none of n floats NaN or infinite?
  bool (*all_finite)(const float* x, std::ptrdiff_t n);
  // out[i] = o[i] / row_sum for n floats; 0 where row_sum is 0; NaN as 0x7fc00000, never -0. Is all of out finite?
  bool (*finish_row)(const float* o, float row_sum, float* out, std::ptrdiff_t n);
};

extern const Kernels scalar, avx2, avx512, neon;

}  // namespace attn::simd
