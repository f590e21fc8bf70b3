#include "check.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "blas.hpp"

namespace attn::check {
namespace {

constexpr std::int64_t max_elements = std::int64_t{1} << 60;  // of 4 bytes: what an address can hold

Status bad(const char* name, std::int64_t value, const char* rule) noexcept {
  return Status(StatusCode::invalid_argument, "%s %s, got %lld", name, rule, static_cast<long long>(value));
}

Status unsupported(const char* name, const char* why) noexcept {
  return Status(StatusCode::unsupported, "%s is unsupported %s", name, why);
}

// A [batch, heads, rows, columns] view with its name and where its elements stand.
struct View {
  const char* name;
  const char* data;
  std::int64_t size[4];    // batch, heads, rows, columns
  std::int64_t stride[3];  // elements
  std::int64_t element_bytes = 4;
  std::int64_t low = 0, high = 0;  // elements from data to the first and past the last

  bool empty() const noexcept { return size[0] == 0 || size[1] == 0 || size[2] == 0 || size[3] == 0; }
  std::uintptr_t begin() const noexcept { return reinterpret_cast<std::uintptr_t>(data) + low * element_bytes; }
  std::uintptr_t end() const noexcept { return reinterpret_cast<std::uintptr_t>(data) + high * element_bytes; }
};

// Fills low and high; the element count and every offset must fit.
Status measure(View& v) noexcept {
  std::int64_t count = 1;
  for (const std::int64_t n : v.size)
    if (__builtin_mul_overflow(count, n, &count) || count > max_elements)
      return Status(StatusCode::invalid_argument,
                    "%s: %lld x %lld x %lld x %lld elements are more than memory can hold", v.name,
                    static_cast<long long>(v.size[0]), static_cast<long long>(v.size[1]),
                    static_cast<long long>(v.size[2]), static_cast<long long>(v.size[3]));
  if (v.empty()) return {};
  if (!v.data)
    return Status(StatusCode::invalid_argument, "%s.data is null, but it has %lld elements", v.name,
                  static_cast<long long>(count));
  v.high = v.size[3];
  for (int i = 0; i < 3; ++i) {
    if (v.size[i] == 1) continue;
    std::int64_t reach;
    if (__builtin_mul_overflow(v.size[i] - 1, v.stride[i], &reach) || reach > max_elements || reach < -max_elements ||
        (reach > 0 ? (v.high += reach) : -(v.low += reach)) > max_elements)
      return Status(StatusCode::invalid_argument, "%s: a stride of %lld over %lld is more than memory can hold", v.name,
                    static_cast<long long>(v.stride[i]), static_cast<long long>(v.size[i]));
  }
  return {};
}

// Elements of a result must not share an address: from the smallest stride up, each steps over all below it.
Status distinct_elements(const View& v) noexcept {
  static constexpr const char* names[] = {"batch_stride", "head_stride", "row_stride"};
  if (v.empty()) return {};
  int order[] = {2, 1, 0};
  std::sort(order, order + 3, [&](int a, int b) { return std::llabs(v.stride[a]) < std::llabs(v.stride[b]); });
  std::int64_t extent = v.size[3];
  for (const int i : order) {
    if (v.size[i] == 1) continue;
    if (std::llabs(v.stride[i]) < extent)
      return Status(StatusCode::invalid_argument, "%s.%s makes elements overlap, got %lld", v.name, names[i],
                    static_cast<long long>(v.stride[i]));
    extent += (v.size[i] - 1) * std::llabs(v.stride[i]);
  }
  return {};
}

// Views that share a row pitch and lie side by side in it, as Q, K, V and output columns of one packed buffer.
bool interleaved(const View& a, const View& b) noexcept {
  const std::int64_t pitch = a.stride[2];
  if (a.element_bytes != b.element_bytes || pitch <= 0 || b.stride[2] != pitch) return false;
  std::int64_t width[2];
  for (int side = 0; side < 2; ++side) {
    const View& v = side ? b : a;
    width[side] = v.size[3];
    for (int i = 0; i < 2; ++i) {
      if (v.size[i] == 1 || v.stride[i] % pitch == 0) continue;
      if (v.stride[i] < 0) return false;
      width[side] += (v.size[i] - 1) * v.stride[i];
    }
  }
  const std::uintptr_t pitch_bytes = static_cast<std::uintptr_t>(pitch * a.element_bytes);
  const std::uintptr_t gap =
      (reinterpret_cast<std::uintptr_t>(b.data) - reinterpret_cast<std::uintptr_t>(a.data)) % pitch_bytes;
  return width[0] * a.element_bytes <= static_cast<std::int64_t>(gap) &&
         static_cast<std::int64_t>(gap) + width[1] * a.element_bytes <= static_cast<std::int64_t>(pitch_bytes);
}

Status disjoint(const View& result, const View& other) noexcept {
  if (result.empty() || other.empty() || result.end() <= other.begin() || other.end() <= result.begin()) return {};
  if (interleaved(result, other) || interleaved(other, result)) return {};
  return Status(StatusCode::invalid_argument, "%s overlaps %s: at %p and %p", result.name, other.name,
                static_cast<const void*>(result.data), static_cast<const void*>(other.data));
}

View view(const char* name, const Tensor& t, std::int64_t b, std::int64_t h, std::int64_t r, std::int64_t c) noexcept {
  return {name, static_cast<const char*>(t.data), {b, h, r, c}, {t.batch_stride, t.head_stride, t.row_stride}};
}
View view(const char* name, const Output& t, std::int64_t b, std::int64_t h, std::int64_t r, std::int64_t c) noexcept {
  return {name, static_cast<const char*>(t.data), {b, h, r, c}, {t.batch_stride, t.head_stride, t.row_stride}};
}

Status options(const AttentionArgs& a) noexcept {
  // 2^126 keeps scale * log2(e) and the constants made of it in the range of float.
  if (!(std::fabs(a.scale) <= 0x1p126f))
    return Status(StatusCode::invalid_argument, "scale must be finite and at most 2^126, got %g",
                  static_cast<double>(a.scale));
  if (!(a.softcap >= 0) || std::isinf(a.softcap))
    return Status(StatusCode::invalid_argument, "softcap must be 0 (off) or positive and finite, got %g",
                  static_cast<double>(a.softcap));
  if (a.window_left < -1) return bad("window_left", a.window_left, "must be at least -1 (open)");
  if (a.window_right < -1) return bad("window_right", a.window_right, "must be at least -1 (open)");
  if (a.alignment < Alignment::bottom_right || a.alignment > Alignment::given)
    return bad("alignment", static_cast<std::int64_t>(a.alignment), "is not a value of Alignment");
  if (a.scores_stage < ScoresStage::scaled || a.scores_stage > ScoresStage::biased)
    return bad("scores_stage", static_cast<std::int64_t>(a.scores_stage), "is not a value of ScoresStage");
  for (const Tensor* t : {&a.query, &a.key, &a.value})
    if (t->dtype < DType::f32 || t->dtype > DType::bf16)
      return bad(t == &a.query ? "query.dtype"
                 : t == &a.key ? "key.dtype"
                               : "value.dtype",
                 static_cast<std::int64_t>(t->dtype), "is not a value of DType");
  if (a.alignment == Alignment::given && !a.query_offsets && a.batch > 0)
    return Status(StatusCode::invalid_argument, "query_offsets is null, but alignment is given (2)");
  if (a.alignment != Alignment::given && a.query_offsets)
    return bad("alignment", static_cast<std::int64_t>(a.alignment), "must be given (2) when query_offsets are set");
  if (a.parallel && (!a.parallel->run || a.parallel->threads < 1))
    return a.parallel->run ? bad("parallel->threads", a.parallel->threads, "must be at least 1")
                           : Status(StatusCode::invalid_argument, "parallel->run is null");
  if (a.key_lengths)
    for (std::int64_t b = 0; b < a.batch; ++b)
      if (a.key_lengths[b] < 0 || a.key_lengths[b] > a.key_length)
        return Status(StatusCode::invalid_argument, "key_lengths[%lld] must be in [0, key_length = %lld], got %lld",
                      static_cast<long long>(b), static_cast<long long>(a.key_length),
                      static_cast<long long>(a.key_lengths[b]));
  return {};
}

Status served(const AttentionArgs& a, Path path) noexcept {
  for (const Tensor* t : {&a.query, &a.key, &a.value})
    if (t->dtype != DType::f32)
      return unsupported(t == &a.query ? "query.dtype"
                         : t == &a.key ? "key.dtype"
                                       : "value.dtype",
                         "in this version unless f32");
  for (const Output* t : {&a.output, &a.weights, &a.scores})
    if (t->dtype != DType::f32)
      return unsupported(t == &a.output    ? "output.dtype"
                         : t == &a.weights ? "weights.dtype"
                                           : "scores.dtype",
                         "in this version unless f32");
  if (a.key_weight_sums) return unsupported("key_weight_sums", "in this version");
  if (a.cu_query_lengths || a.cu_key_lengths) return unsupported("cu_query_lengths", "in this version");
  if (a.mask.data) return unsupported("mask", "in this version");
  if (a.bias.data) return unsupported("bias", "in this version");
  if (a.softcap != 0) return unsupported("softcap", "in this version");
  if (a.alibi_slopes) return unsupported("alibi_slopes", "in this version");
  if (a.sinks) return unsupported("sinks", "in this version");
  if (a.scores.data) return unsupported("scores", "in this version");
  if (path == Path::streaming && a.weights.data)
    return unsupported("weights", "by Path::streaming: use Path::blas or Path::automatic");
  return {};
}

// BLAS takes int sizes, and rows that do not overlap.
Status fits_blas(const View& v) noexcept {
  if (v.empty()) return {};
  for (const std::int64_t n : {v.size[2], v.size[3]})
    if (n > blas::max_size)
      return Status(StatusCode::invalid_argument, "%s: %lld rows or columns are more than BLAS's int can hold", v.name,
                    static_cast<long long>(n));
  if (v.size[2] == 1) return {};
  if (v.stride[2] > blas::max_size)
    return Status(StatusCode::invalid_argument, "%s.row_stride is more than BLAS's int can hold, got %lld", v.name,
                  static_cast<long long>(v.stride[2]));
  if (v.stride[2] < v.size[3])
    return Status(StatusCode::unsupported, "%s.row_stride must be at least its columns for Path::blas, got %lld",
                  v.name, static_cast<long long>(v.stride[2]));
  return {};
}

}  // namespace

Status sizes(const AttentionArgs& a) noexcept {
  const struct {
    const char* name;
    std::int64_t value, least;
  } list[] = {{"batch", a.batch, 0},
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
    return Status(StatusCode::invalid_argument, "query_heads must be a multiple of kv_heads, got %lld and %lld",
                  static_cast<long long>(a.query_heads), static_cast<long long>(a.kv_heads));
  return {};
}

Status attention(const AttentionArgs& a, Path path) noexcept {
  if (a.path < Path::automatic || a.path > Path::streaming)
    return bad("path", static_cast<std::int64_t>(a.path), "is not a value of Path");
  if (Status s = sizes(a); !s.ok()) return s;
  if (Status s = options(a); !s.ok()) return s;
  if (Status s = served(a, path); !s.ok()) return s;

  // Without a query row nothing is read; without a value column no value is.
  View inputs[] = {view("query", a.query, a.batch, a.query_heads, a.query_length, a.head_dim),
                   view("key", a.key, a.batch, a.kv_heads, a.query_length ? a.key_length : 0, a.head_dim),
                   view("value", a.value, a.batch, a.kv_heads, a.query_length ? a.key_length : 0, a.value_dim)};
  std::int64_t lse_rows;  // too many to count: measure() refuses the output
  if (__builtin_mul_overflow(a.query_heads, a.query_length, &lse_rows)) lse_rows = max_elements;
  const Output lse{a.logsumexp, lse_rows, a.query_length, 1, DType::f32};
  View results[] = {
      view("output", a.output, a.batch, a.query_heads, a.query_length, a.value_dim),
      view("weights", a.weights, a.batch, a.query_heads, a.query_length, a.weights.data ? a.key_length : 0),
      view("logsumexp", lse, a.batch, a.query_heads, a.query_length, a.logsumexp ? 1 : 0)};
  for (View& v : inputs)
    if (Status s = measure(v); !s.ok()) return s;
  for (View& v : results) {
    if (Status s = measure(v); !s.ok()) return s;
    if (Status s = distinct_elements(v); !s.ok()) return s;
    for (const View& input : inputs)
      if (Status s = disjoint(v, input); !s.ok()) return s;
    for (const View* earlier = results; earlier < &v; ++earlier)
      if (Status s = disjoint(v, *earlier); !s.ok()) return s;
  }
  if (path != Path::blas) return {};
  for (const View& v : inputs)
    if (Status s = fits_blas(v); !s.ok()) return s;
  if (Status s = fits_blas(results[0]); !s.ok()) return s;
  return fits_blas(results[1]);
}

Status softmax(const float* x, const float* y, std::int64_t rows, std::int64_t columns, std::int64_t x_row_stride,
               std::int64_t y_row_stride, float scale) noexcept {
  if (rows < 0) return bad("rows", rows, "must not be negative");
  if (columns < 0) return bad("columns", columns, "must not be negative");
  if (!(std::fabs(scale) <= 0x1p126f))
    return Status(StatusCode::invalid_argument, "scale must be finite and at most 2^126, got %g",
                  static_cast<double>(scale));
  View in = view("x", Tensor{x, DType::f32, 0, 0, x_row_stride}, 1, 1, rows, columns);
  View out = view("y", Output{const_cast<float*>(y), 0, 0, y_row_stride, DType::f32}, 1, 1, rows, columns);
  for (View* v : {&in, &out}) {
    if (Status s = measure(*v); !s.ok()) return s;
    if (!v->empty() && rows > 1 && std::llabs(v->stride[2]) < columns)
      return bad(v == &in ? "x_row_stride" : "y_row_stride", v->stride[2], "must be at least columns");
  }
  if (x == y && (rows <= 1 || x_row_stride == y_row_stride)) return {};
  return disjoint(out, in);
}

}  // namespace attn::check
