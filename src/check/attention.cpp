#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "blas/blas.hpp"
#include "check/check.hpp"
#include "check/layout.hpp"
#include "check/view.hpp"

namespace attn::check {

Status cumulative(
    const char* name, const std::int64_t* cu, std::int64_t batch, const char* most_name, std::int64_t most) noexcept {
  if (!cu) return {};
  if (cu[0] != 0)
    return Status(StatusCode::invalid_argument, "%s[0] must be 0, got %lld", name, static_cast<long long>(cu[0]));
  for (std::int64_t b = 0; b < batch; ++b)
    if (cu[b + 1] < cu[b] || cu[b + 1] - cu[b] > most)
      return Status(
          StatusCode::invalid_argument, "%s[%lld] must be 0 to %s = %lld above the one before, got %lld and %lld", name,
          static_cast<long long>(b + 1), most_name, static_cast<long long>(most), static_cast<long long>(cu[b]),
          static_cast<long long>(cu[b + 1]));
  return {};
}

namespace {

Status mask_columns(const AttentionArgs& a) noexcept {
  if (a.mask_columns < 0 || a.mask_columns > a.key_length)
    return Status(
        StatusCode::invalid_argument, "mask_columns must be in [0, key_length = %lld], got %lld",
        static_cast<long long>(a.key_length), static_cast<long long>(a.mask_columns));
  if (a.mask_columns > 0 && !a.mask.data) return bad("mask_columns", a.mask_columns, "must be 0 without a mask");
  return {};
}

Status bf16_weights(const AttentionArgs& a, Path path) noexcept {
  if (!a.bf16_weights) return {};
  if (a.value.dtype != DType::bf16)
    return bad("value.dtype", static_cast<std::int64_t>(a.value.dtype), "must be bf16 (2) with bf16_weights");
  if (path == Path::blas) return Status(StatusCode::unsupported, "bf16_weights (true) is unsupported by Path::blas");
  return {};
}

Status options(const AttentionArgs& a) noexcept {
  // 2^126 keeps scale * log2(e) and the constants made of it in the range of float.
  if (!(std::fabs(a.scale) <= 0x1p126f))
    return Status(
        StatusCode::invalid_argument, "scale must be from -2^126 to 2^126, got %g", static_cast<double>(a.scale));
  // Below 2^-126 its inverse may be infinite.
  if (a.softcap != 0 && !(a.softcap >= 0x1p-126f && std::isfinite(a.softcap)))
    return Status(
        StatusCode::invalid_argument, "softcap must be 0 (off) or finite and at least 2^-126, got %g",
        static_cast<double>(a.softcap));
  if (a.window_left < -1) return bad("window_left", a.window_left, "must be at least -1 (open)");
  if (a.window_right < -1) return bad("window_right", a.window_right, "must be at least -1 (open)");
  if (a.alignment < Alignment::bottom_right || a.alignment > Alignment::given)
    return bad("alignment", static_cast<std::int64_t>(a.alignment), "is not a value of Alignment");
  if (a.scores_stage < ScoresStage::scaled || a.scores_stage > ScoresStage::biased)
    return bad("scores_stage", static_cast<std::int64_t>(a.scores_stage), "is not a value of ScoresStage");
  const struct {
    const char* name;
    DType type;
  } types[] = {{"query.dtype", a.query.dtype},   {"key.dtype", a.key.dtype},         {"value.dtype", a.value.dtype},
               {"output.dtype", a.output.dtype}, {"weights.dtype", a.weights.dtype}, {"scores.dtype", a.scores.dtype},
               {"bias.dtype", a.bias.dtype}};
  for (const auto& t : types)
    if (!is_dtype(t.type)) return bad(t.name, static_cast<std::int64_t>(t.type), "is not a value of DType");
  for (const auto& t : types)
    if (!is_floating(t.type) && &t != &types[1] && &t != &types[2])  // but for keys and values
      return bad(t.name, static_cast<std::int64_t>(t.type), "must be f32 (0), f16 (1) or bf16 (2)");
  if (a.alignment == Alignment::given && !a.query_offsets && a.batch > 0)
    return Status(StatusCode::invalid_argument, "query_offsets is null, but alignment is given (2)");
  if (a.alignment != Alignment::given && a.query_offsets)
    return bad("alignment", static_cast<std::int64_t>(a.alignment), "must be given (2) when query_offsets are set");
  if (!a.cu_query_lengths != !a.cu_key_lengths)
    return Status(
        StatusCode::invalid_argument, "%s is null, but %s is not",
        a.cu_query_lengths ? "cu_key_lengths" : "cu_query_lengths",
        a.cu_query_lengths ? "cu_query_lengths" : "cu_key_lengths");
  if (Status s = cumulative("cu_query_lengths", a.cu_query_lengths, a.batch, "query_length", a.query_length); !s.ok())
    return s;
  if (Status s = cumulative("cu_key_lengths", a.cu_key_lengths, a.batch, "key_length", a.key_length); !s.ok()) return s;
  if (a.share_count < 1) return bad("share_count", a.share_count, "must be at least 1");
  if (a.share_index < 0 || a.share_index >= a.share_count)
    return Status(
        StatusCode::invalid_argument, "share_index must be in [0, share_count = %lld), got %lld",
        static_cast<long long>(a.share_count), static_cast<long long>(a.share_index));
  if (a.parallel && (!a.parallel->run || a.parallel->threads < 1))
    return a.parallel->run ? bad("parallel->threads", a.parallel->threads, "must be at least 1")
                           : Status(StatusCode::invalid_argument, "parallel->run is null");
  if (a.key_lengths)
    for (std::int64_t b = 0; b < a.batch; ++b) {
      const std::int64_t most = a.cu_key_lengths ? a.cu_key_lengths[b + 1] - a.cu_key_lengths[b] : a.key_length;
      if (a.key_lengths[b] < 0 || a.key_lengths[b] > most)
        return Status(
            StatusCode::invalid_argument, "key_lengths[%lld] must be in [0, %s = %lld], got %lld",
            static_cast<long long>(b), a.cu_key_lengths ? "the sequence's keys" : "key_length",
            static_cast<long long>(most), static_cast<long long>(a.key_lengths[b]));
    }
  return {};
}

// BLAS takes int sizes, and rows that do not overlap. Halves and panels pass through rows of floats without gaps.
Status fits_blas(const View& v) noexcept {
  if (v.empty()) return {};
  for (const std::int64_t n : {v.size[2], v.size[3]})
    if (n > blas::max_size)
      return Status(
          StatusCode::invalid_argument, "%s: %lld rows or columns are more than BLAS's int can hold", v.name,
          static_cast<long long>(n));
  if (v.size[2] == 1 || v.element_bytes != 4) return {};
  if (v.stride[2] > blas::max_size)
    return Status(
        StatusCode::invalid_argument, "%s.row_stride is more than BLAS's int can hold, got %lld", v.name,
        static_cast<long long>(v.stride[2]));
  if (v.stride[2] < v.size[3])
    return Status(
        StatusCode::unsupported, "%s.row_stride must be at least its columns for Path::blas, got %lld", v.name,
        static_cast<long long>(v.stride[2]));
  return {};
}

}  // namespace

Status sizes(const AttentionArgs& a) noexcept {
  const struct {
    const char* name;
    std::int64_t value, least;
  } list[] = {
      {"batch", a.batch, 0},
      {"query_heads", a.query_heads, 0},
      {"kv_heads", a.kv_heads, a.query_heads > 0 ? 1 : 0},
      {"query_length", a.query_length, 0},
      {"key_length", a.key_length, 0},
      {"head_dim", a.head_dim, 1},
      {"value_dim", a.value_dim, 0}};
  for (const auto& size : list)
    if (size.value < size.least)
      return bad(size.name, size.value, size.least ? "must be at least 1" : "must not be negative");
    else if (size.value > max_elements)
      return bad(size.name, size.value, "is more than memory can hold");
  if (a.query_heads > 0 && a.query_heads % a.kv_heads != 0)
    return Status(
        StatusCode::invalid_argument, "query_heads must be a multiple of kv_heads, got %lld and %lld",
        static_cast<long long>(a.query_heads), static_cast<long long>(a.kv_heads));
  return {};
}

Status attention(const AttentionArgs& a, Path path) noexcept {
  if (a.path < Path::automatic || a.path > Path::streaming)
    return bad("path", static_cast<std::int64_t>(a.path), "is not a value of Path");
  if (Status s = sizes(a); !s.ok()) return s;
  if (Status s = options(a); !s.ok()) return s;
  if (Status s = layout(a.key_layout, "key.dtype", a.key.dtype); !s.ok()) return s;
  if (Status s = begins_of_panels(a); !s.ok()) return s;
  if (Status s = scales(a); !s.ok()) return s;
  if (Status s = mask_columns(a); !s.ok()) return s;
  if (Status s = bf16_weights(a, path); !s.ok()) return s;
  if (Status s = pages(a); !s.ok()) return s;

  // Without a query row nothing is read; without a value column no value is.
  const bool packed = a.cu_query_lengths != nullptr;
  const std::int64_t batch = packed ? 1 : a.batch;
  const std::int64_t queries = packed ? a.cu_query_lengths[a.batch] : a.query_length;
  const std::int64_t all_keys = packed ? a.cu_key_lengths[a.batch] : a.key_length, keys = queries ? all_keys : 0;
  const bool paged = a.page_table != nullptr;
  const std::int64_t caches = paged ? a.page_count : batch;
  const std::int64_t rows = !paged ? keys : keys > 0 && batch > 0 ? a.page_length : 0;
  View inputs[] = {
      view("query", a.query, batch, a.query_heads, queries, a.head_dim),
      key_view("key", a.key, {caches, a.kv_heads, rows, a.head_dim}, a.key_layout),
      view("value", a.value, caches, a.kv_heads, rows, a.value_dim),
      view("key_scales", a.key_scales, caches, a.kv_heads, rows),
      view("value_scales", a.value_scales, caches, a.kv_heads, rows),
      view("mask", a.mask, 1, a, a.mask_columns ? a.mask_columns : a.key_length),
      view("bias", a.bias, size_of(a.bias.dtype), a, a.key_length),
      view("bias.head_factors", a.bias.data ? a.bias.head_factors : nullptr, a.query_heads),
      view("alibi_slopes", a.alibi_slopes, a.query_heads),
      view("sinks", a.sinks, a.query_heads),
      view("query_offsets", a.query_offsets, a.batch),
      view("key_lengths", a.key_lengths, a.batch),
      view("cu_query_lengths", a.cu_query_lengths, a.batch + 1),
      view("cu_key_lengths", a.cu_key_lengths, a.batch + 1),
      view("page_table", a.page_table, a.batch, a.page_table_stride, most_pages(a))};
  std::int64_t lse_rows, sum_rows;  // too many to count: measure() refuses the output
  if (__builtin_mul_overflow(a.query_heads, queries, &lse_rows)) lse_rows = max_elements;
  if (__builtin_mul_overflow(a.query_heads, all_keys, &sum_rows)) sum_rows = max_elements;
  const Tensor lse{a.logsumexp, DType::f32, lse_rows, queries, 1};
  const Tensor sums{a.key_weight_sums, DType::f32, sum_rows, all_keys, 0};
  View results[] = {
      view("output", a.output, batch, a.query_heads, queries, a.value_dim),
      view("weights", a.weights, batch, a.query_heads, queries, a.weights.data ? a.key_length : 0),
      view("scores", a.scores, batch, a.query_heads, queries, a.scores.data ? a.key_length : 0),
      view("logsumexp", lse, batch, a.query_heads, queries, a.logsumexp ? 1 : 0),
      view("key_weight_sums", sums, batch, a.query_heads, 1, a.key_weight_sums ? all_keys : 0)};
  if (Status s = all_apart(inputs, results); !s.ok()) return s;
  if (Status s = page_entries(a); !s.ok()) return s;
  if (path != Path::blas) return {};
  if (!blas::built)
    return Status(
        StatusCode::unsupported, "Path::blas is unsupported: this library was built without a BLAS (ATTN_BLAS=OFF)");
  if (a.key_layout == KeyLayout::panels && !paged) inputs[1] = rows_of_panels(inputs[1], keys, a.head_dim);
  for (const View* v : {&inputs[0], &inputs[1], &inputs[2], &results[0], &results[1]}) {
    const bool gathered = paged && (v == &inputs[1] || v == &inputs[2]);
    if (Status s = gathered ? Status() : fits_blas(*v); !s.ok()) return s;
  }
  if (paged && a.key_length > blas::max_size)
    return bad("key_length", a.key_length, "is more than BLAS's int can hold");
  return {};
}

}  // namespace attn::check
