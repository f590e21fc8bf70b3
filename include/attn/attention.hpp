// Scaled dot-product attention: output = softmax(query key^T * scale) value, for every batch item and head.
#pragma once

#include "attn/macros_off.h"
// No macro has a name that stands below, until macros_on.h.
#include <cstddef>
#include <cstdint>

#include "attn/parallel.hpp"
#include "attn/status.hpp"
#include "attn/tensor.hpp"

namespace attn {

// Where query row 0 stands among the keys. It drives causal, window and ALiBi.
enum class Alignment : std::int32_t {
  bottom_right = 0,  // key_length - query_length (the batch item's own key length): the last query sees the last key
  top_left = 1,  // 0: query t sees keys 0..t, as PyTorch's is_causal
  given = 2,  // query_offsets[b]; may be negative
};

enum class Path : std::int32_t {
  automatic = 0,  // always streaming, with few exceptions the faster one: bench/README.md, Weights
  // sgemm, fused softmax, sgemm, for 256 query rows of a head at a time. BLAS decides its bits and memory; `parallel`
  // below says which threads work. Unsupported by a library built with ATTN_BLAS=OFF.
  blas = 1,
  streaming = 2,  // never holds a score matrix of its own. The same bits on every machine.
};

// A score's life: query . key * scale -> softcap -> ALiBi -> bias -> excluded keys -> softmax.
enum class ScoresStage : std::int32_t {
  scaled = 0,  // after the scale (ONNX qk_matmul_output_mode 0): of every key below the key length, -inf from there on
  capped = 1,  // after the softcap (mode 1): likewise
  biased = 2,  // after ALiBi and bias (mode 2): -inf where the key is excluded
};

// All that a call takes. Every member has a default; set the shapes, the three inputs and the output.
struct AttentionArgs {
  // ---- Shapes ----
  // All may be 0, except head_dim, and kv_heads unless query_heads is 0. Without keys the output is 0.

  std::int64_t batch = 1;
  // A multiple of kv_heads: query head h reads KV head h / (query_heads / kv_heads).
  std::int64_t query_heads = 1;
  std::int64_t kv_heads = 1;
  std::int64_t query_length = 0;
  std::int64_t key_length = 0;
  std::int64_t head_dim = 0;
  // May differ from head_dim.
  std::int64_t value_dim = 0;

  // ---- Inputs ----

  // [batch, query_heads, query_length, head_dim]
  Tensor query;
  // [batch, kv_heads, key_length, head_dim]. Keys and values may each be f32, f16, bf16, i8 or q8_0, not necessarily
  // the same. With q8_0 head_dim (or value_dim) and every stride in use are multiples of 32.
  Tensor key;
  // [batch, kv_heads, key_length, value_dim]
  Tensor value;
  // [batch, kv_heads, key_length] each: with a key, or a value, of type i8; else null.
  Scales key_scales;
  Scales value_scales;
  // panels: `key` is [batch, kv_heads, key_length / 16 rounded up, head_dim, 16], of any type but q8_0. With
  // cu_key_lengths each sequence begins with a panel: every entry but the last is a multiple of 16. tensor.hpp says
  // when panels pay.
  KeyLayout key_layout = KeyLayout::rows;

  // ---- Paged keys and values ----
  // Key and value row j of item b are row j % page_length of page page_table[b * page_table_stride + j / page_length].
  // key, value and their scales are then [page_count, kv_heads, page_length, ...]: batch_stride is the distance from
  // page to page. Pages may be shared. key_length is the most keys of an item; key_lengths says how many each has. Not
  // together with cu_key_lengths.

  // [batch, page_table_stride], each in [0, page_count). Entries that no query needs, by key length, causal and window,
  // are not read. Null: no pages, and the three numbers below are 0.
  const std::int32_t* page_table = nullptr;
  // With a batch above 1 at least the pages of its longest item.
  std::int64_t page_table_stride = 0;
  // A multiple of 16 that divides 512, or a multiple of 512.
  std::int64_t page_length = 0;
  std::int64_t page_count = 0;

  // ---- Results ----
  // One that shares a byte with an input or another result is an error. It may stand between the elements of another
  // tensor in one buffer. Where strides are too irregular to tell, the call is refused as unsupported.

  // [batch, query_heads, query_length, value_dim]; float32, f16 or bf16.
  Output output;
  // Optional: [batch, query_heads, query_length, key_length]; float32, f16 or bf16. Halves are rounded to nearest, ties
  // to even; output and key_weight_sums are made of the weights before that.
  Output weights;
  // Optional, same shape and types: the scores at the stage below.
  Output scores;
  ScoresStage scores_stage = ScoresStage::scaled;
  // Optional: dense [batch, query_heads, query_length]; ln of the sum of exp(score), the sink's included; -inf for a
  // row without keys and sink.
  float* logsumexp = nullptr;
  // Optional: dense [batch, query_heads, key_length]; the weights summed over the query rows, that is how much
  // attention each key got.
  float* key_weight_sums = nullptr;

  // ---- Scores ----

  // 0: 1 / sqrt(head_dim), to more digits than a float has. 1.0f / sqrtf(head_dim) and the float nearest to 1 /
  // sqrt(head_dim) mean the same, and give the same bits. May be negative; at most 2^126 in size.
  float scale = 0;
  // 0: off; else s <- softcap * tanh(s / softcap); at least 2^-126.
  float softcap = 0;

  // ---- Which keys a query at position p sees ----
  // p = query row + the offset that `alignment` says.

  // Keys j <= p.
  bool causal = false;
  // Keys p - window_left .. p + window_right, both included; -1: open.
  std::int64_t window_left = -1;
  std::int64_t window_right = -1;
  Alignment alignment = Alignment::bottom_right;
  // [batch], with Alignment::given only.
  const std::int64_t* query_offsets = nullptr;
  // [batch], each in [0, key_length]; keys from there on are never read.
  const std::int64_t* key_lengths = nullptr;
  // Excluded keys have no influence, whatever stands in their rows. A bias of -inf excludes them, too.
  Mask mask;
  // How many columns the mask has, if it is for the last keys of each item alone (of its own key length, also in a
  // packed batch): for a draft tree behind a long text. 0: one for each key. Earlier keys are allowed, and cost what
  // they cost without a mask. Where an item has fewer keys, the first columns are of keys that do not exist, and are
  // not read. At most key_length; only with a mask.
  std::int64_t mask_columns = 0;

  // ---- More on scores ----

  Bias bias;
  // [query_heads]: s <- s - slope * |p - j|.
  const float* alibi_slopes = nullptr;
  // [query_heads]: an extra logit in the denominator only; -inf: none.
  const float* sinks = nullptr;
  // Weights are rounded to bf16 (nearest, ties to even) before they multiply values, which must be bf16. PyTorch,
  // OpenVINO and FlashAttention do so; CPUs with bf16 products may be faster. The sum of the weights, and weights that
  // are asked for, are not rounded. The error of the output is at most 2^-8 max|value| more. Not with Path::blas.
  bool bf16_weights = false;

  // ---- Packed batch ----
  // Sequences of different lengths laid end to end along the rows, without padding. Both or none.

  // [batch + 1] each, from 0, never falling. Sequence b has the query (and output) rows from cu_query_lengths[b] up to,
  // not with, cu_query_lengths[b + 1], at most query_length of them. Its key rows likewise, at most key_length. The
  // batch strides of query, key, value and output are not used. Mask, bias and key_lengths count queries and keys from
  // the start of the sequence. logsumexp is [query_heads, cu_query_lengths[batch]], key_weight_sums [query_heads,
  // cu_key_lengths[batch]]. Weights and scores are [query_heads, cu_query_lengths[batch], key_length], without a batch
  // stride: row t of sequence b is row cu_query_lengths[b] + t. Columns count from the sequence's first key; behind its
  // last key, or its key_lengths[b], weights are 0 and scores -inf.
  const std::int64_t* cu_query_lengths = nullptr;
  const std::int64_t* cu_key_lengths = nullptr;

  // ---- How ----

  Path path = Path::automatic;
  // Null: the calling thread. Calls of less than about 5 microseconds do not use it. Others use one thread for each few
  // microseconds of work. The BLAS path gives a thread whole heads, or blocks of 256 rows where heads are few and no
  // key_weight_sums are wanted: sgemm is then called from several threads at once. It does not use `parallel` where the
  // BLAS is an OpenBLAS with threads of its own: those take one call at a time, and spin on the CPUs of the others.
  // OPENBLAS_NUM_THREADS=1 gives the work to `parallel`. Set another BLAS to one thread likewise: attn cannot ask it.
  const Parallel* parallel = nullptr;
  // Splits a call over share_count threads of the caller, without synchronisation. Thread i sets share_index = i, in
  // [0, share_count), and gives a workspace of its own. Together the shares write all results, each a part of its own,
  // with the bits of one call; they may run at the same time, or one after the other.
  // Cuts stand between KV heads. Where that is too coarse they also stand inside one, at multiples of 4 rows (query
  // heads times queries), of 12 where there are many. With key_weight_sums they stand between KV heads only, on the
  // BLAS path between query heads. A share may be empty: it writes nothing. `parallel` spreads the work of the share.
  std::int64_t share_index = 0;
  std::int64_t share_count = 1;
  // workspace_size() bytes, any alignment. Null: the call allocates it.
  void* workspace = nullptr;
  std::size_t workspace_bytes = 0;
};

// Computes args.output and what else is asked for. On any status but ok nothing was written.
//
// Range: a score that float32 can hold, after the scale and after each step behind it, is right. That holds also where
// query . key or a sum on the way to it is beyond float32. Such a row is computed again in double, which takes some
// fifty times as long. A mean of finite values is finite. A score that float32 cannot hold is infinite: -inf weighs 0,
// +inf makes its row NaN.
// Accuracy of the streaming path: sums over n <= 512 keys are float32 chains. Equal values v give v to within
//   (n + n / 16 + 6 * blocks of 512 keys + 6) * 2^-24 * |v|, 3.4e-5 |v| at the most for one block.
// This worst case needs many small weights beside a large one. Ordinary data stay within 4e-7 * max|value|.
//
// Thread-safe: calls share nothing but the instruction set chosen by attn/isa.hpp.
// With the streaming path and a workspace, a call makes no allocation, takes no lock, makes no system call. What
// args.parallel does is its own: ThreadPool takes a lock to wake its workers.
//
// The floating-point environment is the caller's: no call changes it. The same bits are promised in the default one.
// Flushing subnormals (FTZ, DAZ) changes results only where an input, product or sum is subnormal, and takes it for 0.
// A subnormal scale then means the default. In another direction of rounding than to nearest the promises on range do
// not hold. The error then grows with the scores: about 1e-5 of the largest value where they are small, 3e-5 where they
// reach 100. Threads of a pool have the environment that they were started in.
[[nodiscard]] Status attention(const AttentionArgs& args) noexcept;

// The bytes of workspace that attention(args) needs; 0 if none, if a size is bad, or if no instruction set is active.
// attention() checks the other arguments. Depends on shapes, strides, options, args.parallel->threads and the active
// instruction set (ask again after use_isa()), not on data or pointers, other than which are null. The same for every
// share, and as much as for the whole call.
//
// It never falls when a shape grows. So a workspace for the largest shape serves every smaller one: batch, query_heads,
// kv_heads, query_length, key_length, head_dim, value_dim, parallel->threads no larger, with the same options;
// query_heads / kv_heads may differ. With more than 12 query heads times queries it also counts packed copies of keys
// and values, one or one for each thread, which this call may not need. With weights or their sums it counts the
// exponentials of up to 64 rows, key_length floats each, for each thread. The BLAS path counts its scratch, up to 256
// rows of scores and what is widened, for each thread that may get a task. Without a workspace a call allocates what it
// needs.
[[nodiscard]] std::size_t workspace_size(const AttentionArgs& args) noexcept;

}  // namespace attn

#include "attn/macros_on.h"
