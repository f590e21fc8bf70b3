// A cache of keys and values that the caller owns: room for `capacity` rows a sequence, of which some are in use.
#pragma once

#include "attn/macros_off.h"
// No macro has a name that stands below, until macros_on.h.
#include <cstdint>

#include "attn/status.hpp"
#include "attn/tensor.hpp"

namespace attn {

// Copies new rows of keys and values behind those in use. For the attention call that follows, pass the caches as key
// and value, with key_length = capacity and key_lengths = lengths.
// What is written (caches, scales, lengths) must not share an element with any other argument.
struct AppendArgs {
  std::int64_t batch = 1;
  std::int64_t kv_heads = 1;
  // Rows to append to each sequence.
  std::int64_t new_length = 0;
  // Rows that the cache has for each sequence.
  std::int64_t capacity = 0;
  std::int64_t head_dim = 0;
  std::int64_t value_dim = 0;

  // [batch, kv_heads, new_length, head_dim]
  Tensor key;
  // [batch, kv_heads, new_length, value_dim]
  Tensor value;
  // [batch, kv_heads, capacity, head_dim]. Of the type of the new rows (but i8), or f16 or bf16 where those are
  // float32: then rounded to nearest, ties to even. Or i8 or q8_0 where they are f32, f16 or bf16: quantised, as the
  // struct's end says. Rows of f16 and bf16 are converted to nothing else. Only the new rows are written. May alternate
  // with another tensor in one buffer, as in [B, 2, H, cap, D] or [B, H, cap, 2 D].
  Output key_cache;
  // [batch, kv_heads, capacity, value_dim], likewise.
  Output value_cache;

  // [batch, kv_heads, capacity] each: with a cache of type i8; else null.
  MutableScales key_scales;
  MutableScales value_scales;
  // panels: key_cache is [batch, kv_heads, capacity / 16 rounded up, head_dim, 16], of any type but q8_0. Of a panel
  // only the columns of the new rows are written.
  KeyLayout key_layout = KeyLayout::rows;

  // Pages, as in AttentionArgs: the caches and their scales are [page_count, kv_heads, page_length, ...], and capacity
  // is at most page_table_stride * page_length. Only entries of pages that get a new row are read; such a page must be
  // the sequence's own. One that this call writes twice is an error; one that another sequence only reads is not
  // noticed.
  const std::int32_t* page_table = nullptr;
  std::int64_t page_table_stride = 0;
  std::int64_t page_length = 0;
  std::int64_t page_count = 0;

  // Optional: [batch], each in [0, new_length], for batches of uneven length.
  const std::int64_t* new_lengths = nullptr;
  // [batch]. Read: rows in use before the call. Written: rows in use after it.
  std::int64_t* lengths = nullptr;

  // What is stored of a row x in a cache of i8, with the same bits on every machine:
  //   scale = max|x| / 127, and of each element the integer nearest to x / scale, ties to even, from -127 to 127
  // so an element is off by half the scale at most. A row of zeros, or one whose scale would be below 2^-150, has scale
  // 0 and integers 0; below 127 * 2^-126 a scale loses bits. A row with a NaN or an infinity has the scale NaN and
  // integers 0: it is NaN for all that attend to it.
  // q8_0: the same for each block of 32 columns, with its scale rounded to f16 (nearest, ties to even) before elements
  // are divided by it. (ggml divides by the scale before it is rounded, and takes ties away from 0.) A block of max|x|
  // from 127 * 65520 on has the scale NaN; one below 127 * 2^-14 is off by up to 127 * 2^-25.
};

// The capacity of every sequence is checked before anything is written: on any status but ok nothing was, lengths
// included. Allocates nothing; thread-safe for caches that do not overlap.
[[nodiscard]] Status append(const AppendArgs& args) noexcept;

// Copies keys [batch, kv_heads, key_length, head_dim] as they stand in rows to panels [batch, kv_heads, key_length / 16
// rounded up, head_dim, 16] of the same type, which is any but q8_0; scales of an i8 cache stay where they are. Keys
// behind key_length in the last panel are left as they are. Panels must not share an element with each other or with
// the rows. A cache in pages: page_count as batch, page_length as key_length.
// On any status but ok nothing was written. Allocates nothing; thread-safe for panels that do not overlap.
[[nodiscard]] Status keys_to_panels(
    std::int64_t batch, std::int64_t kv_heads, std::int64_t key_length, std::int64_t head_dim, const Tensor& rows,
    const Output& panels) noexcept;

}  // namespace attn

#include "attn/macros_on.h"
