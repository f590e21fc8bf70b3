// Options the way another system means them, for code that is moved from there. Each function sets the members that it
// names and no other, before or after the shapes and tensors unless it says otherwise. Bool masks of PyTorch's function
// and of ONNX go in args.mask as they are, and float masks in args.bias: true means "may attend", as here.
#pragma once

#include "attn/macros_off.h"
// No macro has a name that stands below, until macros_on.h.
#include <cstdint>

#include "attn/attention.hpp"

namespace attn::options {

// PyTorch: F.scaled_dot_product_attention(q, k, v, is_causal, scale). Causal stands at the top left: query t sees keys
// 0 .. t, also where there are more keys than queries.
// What else PyTorch has: enable_gqa is query_heads and kv_heads; attn_mask goes in args.mask or args.bias. Of
// flex_attention, score_mod and mask_mod are code: what they give for each pair goes in args.bias and args.mask. Its
// BlockMask has no counterpart: blocks that a mask excludes are found by reading the mask. Nested tensors of sequences
// end to end: cu_query_lengths and cu_key_lengths.
// Sets causal, alignment, query_offsets, scale. scale 0 is PyTorch's None: 1 / sqrt(head_dim).
inline void pytorch(AttentionArgs& args, bool is_causal = false, float scale = 0) noexcept {
  args.causal = is_causal;
  args.alignment = Alignment::top_left;
  args.query_offsets = nullptr;
  args.scale = scale;
}

// FlashAttention from 2.1 on: flash_attn_func(q, k, v, softmax_scale, causal, (window_left, window_right), softcap,
// alibi_slopes). All of it stands at the bottom right: the last query at the last key. Its tensors are bthd().
// For flash_attn_varlen_func set cu_query_lengths and cu_key_lengths too: its int32 arrays as int64. Its max_seqlens
// are query_length and key_length. Its windows do not count the token itself; neither do those here.
//
// flash_attn_with_kvcache(q, k_cache, v_cache, k, v, cache_seqlens, block_table, ...):
//   k, v             append() them first, with cache_seqlens as its lengths; without them nothing is to be done
//   cache_seqlens    int32, before k and v: key_lengths, as int64, are those after append()
//   block_table      int32 [batch, blocks]: page_table as it is, page_table_stride = blocks
//   k_cache, v_cache with a block_table [num_blocks, page_block_size, heads, head_dim]: bthd(data, heads,
//                    page_block_size, head_dim), page_length = page_block_size, page_count = num_blocks, key_length =
//                    blocks * page_block_size. A page_block_size is a multiple of 256 there; here 256, 512, 1024, ...
//   cache_batch_idx  a page_table of one page for each item, if a page may be as long as the cache's capacity
//
// Rotary embeddings (rotary_cos, rotary_sin) are not here: turn queries and keys before the call.
//
// Sets causal, window_left, window_right (0 if causal, whatever is given), alignment, query_offsets, softcap, scale,
// alibi_slopes ([query_heads], must outlive the call of attention()).
inline void flash_attention(
    AttentionArgs& args, bool causal = false, std::int64_t window_left = -1, std::int64_t window_right = -1,
    float softcap = 0, float scale = 0, const float* alibi_slopes = nullptr) noexcept {
  args.causal = causal;
  args.window_left = window_left;
  args.window_right = causal ? 0 : window_right;
  args.alignment = Alignment::bottom_right;
  args.query_offsets = nullptr;
  args.softcap = softcap;
  args.scale = scale;
  args.alibi_slopes = alibi_slopes;
}

// The attributes and inputs of ONNX's Attention (opset 23 to 25) that say where a query may look, with its defaults.
struct OnnxAttributes {
  bool is_causal = false;
  // 0: absent.
  float scale = 0;
  float softcap = 0;
  std::int64_t left_window_size = -1;
  std::int64_t right_window_size = -1;
  // Rows of past_key. args.key and args.value then hold past and new rows, one after the other, as present_key and
  // present_value do.
  std::int64_t past_length = 0;
  // [batch]; not together with a past, as in ONNX.
  const std::int64_t* nonpad_kv_seqlen = nullptr;
};

// past_key and past_value are no inputs here: args.key and args.value hold past and new rows together, as present_key
// and present_value do. append() puts new rows behind past ones, so that a present is the past with more rows in use.
// The cache of TensorScatter and nonpad_kv_seqlen is one with key_lengths. Inputs of three dimensions are bthd(), of
// four bhtd(). qk_matmul_output is args.scores, qk_matmul_output_mode 0, 1 and 2 its scores_stage, 3 args.weights.
//
// ONNX: query row 0 stands at past_length, at nonpad_kv_seqlen[b] - query_length (which may be negative), or at 0. That
// is neither top left nor bottom right where the past is followed by more or fewer keys than queries. Then the
// positions are written to offsets: [batch], the caller's, must outlive the call of attention(). Otherwise offsets
// may be null. A null that would be needed is an error that attention() reports.
// A mask with fewer columns than keys must be made longer, with false or -inf: ONNX excludes the keys behind it.
// Reads batch, query_length and key_length, so set those first.
// Sets causal, window_left, window_right, alignment, query_offsets, key_lengths, softcap, scale.
inline void onnx(AttentionArgs& args, const OnnxAttributes& attributes, std::int64_t* offsets) noexcept {
  args.causal = attributes.is_causal;
  args.window_left = attributes.left_window_size;
  args.window_right = attributes.right_window_size;
  args.query_offsets = nullptr;
  args.key_lengths = attributes.nonpad_kv_seqlen;
  args.softcap = attributes.softcap;
  args.scale = attributes.scale;
  if (attributes.nonpad_kv_seqlen) {
    args.alignment = Alignment::bottom_right;  // of the item's own length
  } else if (attributes.past_length == 0) {
    args.alignment = Alignment::top_left;
  } else if (attributes.past_length == args.key_length - args.query_length) {
    args.alignment = Alignment::bottom_right;
  } else {
    args.alignment = Alignment::given;
    args.query_offsets = offsets;
    for (std::int64_t b = 0; offsets && b < args.batch; ++b) offsets[b] = attributes.past_length;
  }
}

}  // namespace attn::options

#include "attn/macros_on.h"
