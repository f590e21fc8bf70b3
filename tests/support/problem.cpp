#include "support/problem.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>

#include "support/compare.hpp"
#include "support/uninitialised.hpp"

namespace test {
namespace {

std::size_t count(std::int64_t a, std::int64_t b, std::int64_t c, std::int64_t d) {
  return static_cast<std::size_t>(a * b * c * d);
}

// Exactly 0 where the oracle says that nothing was there to attend to.
std::string exact_zeros(const std::vector<float>& got, const std::vector<double>& want, const char* what) {
  for (std::size_t i = 0; i < want.size(); ++i)
    if (want[i] == 0 && !(got[i] == 0)) return std::string(what) + " " + std::to_string(i) + " must be exactly 0";
  return "";
}

// Half the distance of two neighbours of that type at x: what rounding may be off.
double rounding(attn::DType type, double x) {
  if (type == attn::DType::f32 || !std::isfinite(x)) return 0;
  int exponent;
  std::frexp(x, &exponent);  // x in 2^exponent * [1/2, 1)
  const bool f16 = type == attn::DType::f16;
  return f16 ? std::ldexp(1.0, std::max(exponent, -13) - 12) : std::ldexp(1.0, std::max(exponent, -125) - 9);
}

// A number of this size or more is stored as infinity: half a step beyond the largest of its type.
double overflow(attn::DType type) {
  return type == attn::DType::f16 ? 65520 : type == attn::DType::bf16 ? 0x1.ffp127 : 0x1.ffffffp127;
}

// Is `got` what `want`, off by up to `bound` before it was rounded, is stored as?
bool stored_close(attn::DType type, double got, double want, double bound) {
  if (std::isinf(got) && std::isfinite(want))
    return std::signbit(got) == std::signbit(want) && std::fabs(want) + bound >= overflow(type);
  return close(got, want, bound + rounding(type, want));
}

// The same for all of them; names the first that is not.
std::string stored_difference(
    attn::DType type, const std::vector<float>& got, const std::vector<double>& want, double bound) {
  if (got.size() != want.size()) return sizes_differ(got.size(), want.size());
  for (std::size_t i = 0; i < got.size(); ++i)
    if (!stored_close(type, static_cast<double>(got[i]), want[i], bound))
      return std::to_string(i) + " is " + std::to_string(got[i]) + ", not " + std::to_string(want[i]) + ", tolerance " +
          std::to_string(bound);
  return "";
}

// A dense result of that type with the canary in every element.
attn::Output matrix(const Dims& d, attn::DType type, std::vector<float>& floats, std::vector<std::uint16_t>& halves) {
  const bool is_float = type == attn::DType::f32;
  const std::size_t elements = count(d.batch, d.heads, d.rows, d.columns);
  floats.assign(is_float ? elements : 0, canary);
  halves.assign(is_float ? 0 : elements, half_canary);
  attn::Output x = attn::bhtd(floats.data(), d.heads, d.rows, d.columns);
  x.dtype = type;
  if (!is_float) x.data = halves.data();
  return x;
}

}  // namespace

std::string describe(const attn::AttentionArgs& a) {
  auto number = [](std::int64_t n) { return static_cast<long long>(n); };
  char line[400];
  std::snprintf(
      line, sizeof line,
      "path %s B=%lld H=%lld/%lld Tq=%lld Tk=%lld D=%lld Dv=%lld scale=%g causal=%d alignment=%d window=%lld,%lld "
      "offset=%lld length=%lld mask=%d,%lld bias=%d%d%d softcap=%g alibi=%d sinks=%d packed=%d pages=%lld panels=%d "
      "types=%d%d%d%d%d%d bf16_weights=%d",
      name_of(a.path), number(a.batch), number(a.query_heads), number(a.kv_heads), number(a.query_length),
      number(a.key_length), number(a.head_dim), number(a.value_dim), static_cast<double>(a.scale), a.causal,
      static_cast<int>(a.alignment), number(a.window_left), number(a.window_right),
      number(a.query_offsets ? a.query_offsets[0] : -999), number(a.key_lengths ? a.key_lengths[0] : -999),
      a.mask.data != nullptr, number(a.mask_columns), a.bias.data != nullptr, static_cast<int>(a.bias.dtype),
      a.bias.head_factors != nullptr, static_cast<double>(a.softcap), a.alibi_slopes != nullptr, a.sinks != nullptr,
      a.cu_query_lengths != nullptr, number(a.page_length), static_cast<int>(a.key_layout),
      static_cast<int>(a.query.dtype), static_cast<int>(a.key.dtype), static_cast<int>(a.value.dtype),
      static_cast<int>(a.output.dtype), static_cast<int>(a.weights.dtype), static_cast<int>(a.scores.dtype),
      a.bf16_weights);
  return line;
}

Problem::Problem(const Shape& s, Random* random)
    : q(count(s.batch, s.query_heads, s.query_length, s.head_dim)),
      k(count(s.batch, s.kv_heads, s.key_length, s.head_dim)),
      v(count(s.batch, s.kv_heads, s.key_length, s.value_dim)),
      output(count(s.batch, s.query_heads, s.query_length, s.value_dim), canary) {
  if (random) {
    q = random->normals(q.size());
    k = random->normals(k.size());
    v = random->normals(v.size());
  }
  args.batch = s.batch;
  args.query_heads = s.query_heads;
  args.kv_heads = s.kv_heads;
  args.query_length = s.query_length;
  args.key_length = s.key_length;
  args.head_dim = s.head_dim;
  args.value_dim = s.value_dim;
  args.query = attn::bhtd(static_cast<const float*>(q.data()), s.query_heads, s.query_length, s.head_dim);
  args.key = attn::bhtd(static_cast<const float*>(k.data()), s.kv_heads, s.key_length, s.head_dim);
  args.value = attn::bhtd(static_cast<const float*>(v.data()), s.kv_heads, s.key_length, s.value_dim);
  args.output = attn::bhtd(output.data(), s.query_heads, s.query_length, s.value_dim);
}

void Problem::want_weights(attn::DType type) {
  args.weights = matrix(result_dims(args, args.key_length), type, weights, half_weights);
}

void Problem::want_logsumexp() {
  const std::int64_t rows = args.cu_query_lengths ? args.cu_query_lengths[args.batch] : args.batch * args.query_length;
  logsumexp.assign(count(1, args.query_heads, rows, 1), canary);
  args.logsumexp = logsumexp.data();
}

void Problem::want_key_weight_sums() {
  const std::int64_t keys = args.cu_key_lengths ? args.cu_key_lengths[args.batch] : args.batch * args.key_length;
  key_weight_sums.assign(count(1, args.query_heads, 1, keys), canary);
  args.key_weight_sums = key_weight_sums.data();
}

void Problem::want_scores(attn::ScoresStage stage, attn::DType type) {
  args.scores = matrix(result_dims(args, args.key_length), type, scores, half_scores);
  args.scores_stage = stage;
}

std::string Problem::run() {
  attn::AttentionArgs with_workspace = args;
  const std::size_t bytes = attn::workspace_size(args);
  constexpr std::size_t border = 64;
  std::vector<unsigned char> workspace(bytes + 2 * border + 1, 0xff);
  with_workspace.workspace = workspace.data() + border + 1;  // any alignment will do
  with_workspace.workspace_bytes = bytes;
  forget(with_workspace.workspace, bytes);
  const attn::Status status = attn::attention(with_workspace);
  if (!status.ok()) return std::string("status: ") + status.message();
  for (std::size_t i = 0; i < workspace.size(); ++i)
    if ((i <= border || i > border + bytes) && workspace[i] != 0xff) return "written outside the workspace";
  return "";
}

std::string Problem::check() {
  const std::vector<float> q_before = q, k_before = k, v_before = v;
  if (const std::string failure = run(); !failure.empty()) return failure;
  if (!bits_equal(q, q_before) || !bits_equal(k, k_before) || !bits_equal(v, v_before)) return "an input was modified";

  const Attended want = attend(args);
  constexpr double u = 0x1p-24;
  const double keys = static_cast<double>(args.key_length);
  // A value that is broadcast over the keys is added again and again with the same error.
  const double sum_of_keys = args.value.row_stride == 0 ? keys / 2 : std::sqrt(keys) / 4;
  // Weights that are rounded to bf16, whose eight bits are 2^-7 apart at 1: half of that.
  const double rounded_weights = args.bf16_weights ? 0x1p-8 : 0;
  const double tolerance = want.score_error + (3 + sum_of_keys) * u;
  const std::vector<float> got = gather(args.output, result_dims(args, args.value_dim));
  const double bound_of_output = (tolerance + rounded_weights) * want.largest_value;
  if (const std::string d = stored_difference(args.output.dtype, got, want.output, bound_of_output); !d.empty())
    return "output " + d;

  const std::size_t rows = want.log_sum_exp.size();
  for (std::size_t r = 0; r < rows; ++r) {
    const bool empty = want.log_sum_exp[r] == -std::numeric_limits<double>::infinity();
    const std::size_t columns = static_cast<std::size_t>(args.value_dim);
    for (std::size_t e = 0; empty && e < columns; ++e)
      if (bits(got[r * columns + e]) != 0) return "row " + std::to_string(r) + " has no key: its output must be +0";
    if (!args.logsumexp) continue;
    const double lse = want.log_sum_exp[r], bound = 2 * want.score_error + (8 + 2 * std::fabs(lse)) * u;
    if (!close(static_cast<double>(args.logsumexp[r]), lse, bound))
      return "logsumexp " + std::to_string(r) + " is " + std::to_string(args.logsumexp[r]) + ", not " +
          std::to_string(lse);
  }
  if (args.weights.data) {
    const std::vector<float> w = gather(args.weights, result_dims(args, args.key_length));
    if (const std::string d = stored_difference(args.weights.dtype, w, want.weights, tolerance); !d.empty())
      return "weights " + d;
    if (const std::string d = exact_zeros(w, want.weights, "weights"); !d.empty()) return d;
  }
  if (args.scores.data) {
    const std::vector<float> s = gather(args.scores, result_dims(args, args.key_length));
    // The largest error of a few thousand scores is four or five standard deviations.
    if (const std::string d = stored_difference(args.scores.dtype, s, want.scores, 5 * want.score_error); !d.empty())
      return "scores " + d;
  }
  for (std::size_t i = 0; i < key_weight_sums.size(); ++i) {
    // Each weight is off as above, and the sum is rounded in groups of 64 and then from group to group.
    const double sum = want.key_weight_sums[i], terms = 64 + static_cast<double>(args.query_length) / 64;
    // A weight that is below 2^-126 before the division is 0.
    const double bound = sum * (4 * want.score_error + (8 + sum_of_keys + terms) * u) +
        static_cast<double>(args.query_length) * 0x1p-126;
    if (!close(static_cast<double>(key_weight_sums[i]), sum, bound) || (sum == 0 && bits(key_weight_sums[i]) != 0))
      return "key_weight_sums " + std::to_string(i) + " is " + std::to_string(key_weight_sums[i]) + ", not " +
          std::to_string(sum);
  }
  return "";
}

std::vector<float> Problem::results() const {
  const auto matrix_of = [&](const attn::Output& x) {
    return x.data ? gather(x, result_dims(args, args.key_length)) : std::vector<float>();
  };
  std::vector<float> all = gather(args.output, result_dims(args, args.value_dim));
  const std::vector<float> w = matrix_of(args.weights), s = matrix_of(args.scores);
  for (const std::vector<float>* x : {&logsumexp, &w, &key_weight_sums, &s})
    all.insert(all.end(), x->begin(), x->end());
  return all;
}

Dims result_dims(const attn::AttentionArgs& a, std::int64_t columns) {
  if (a.cu_query_lengths) return {1, a.query_heads, a.cu_query_lengths[a.batch], columns};
  return {a.batch, a.query_heads, a.query_length, columns};
}

std::vector<float> gather(
    const attn::Output& x, std::int64_t batch, std::int64_t heads, std::int64_t rows, std::int64_t columns) {
  std::vector<float> dense;
  for (std::int64_t b = 0; b < batch; ++b)
    for (std::int64_t h = 0; h < heads; ++h)
      for (std::int64_t r = 0; r < rows; ++r)
        for (std::int64_t c = 0; c < columns; ++c) dense.push_back(static_cast<float>(element_of(x, b, h, r, c)));
  return dense;
}

}  // namespace test
