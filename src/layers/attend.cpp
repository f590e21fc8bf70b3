#include "layers/attend.hpp"

#include <memory>

#include "layers/checks.hpp"
#include "layers/projection.hpp"

namespace attn {

ResultSizes result_sizes(const Shape& s) {
  require_rows(s.batch, s.length);
  return {
      floats("output", s.batch * s.length, s.query_heads, s.head_dim),
      floats("weights", s.batch * s.query_heads, s.length, s.length)};
}

void attend(
    const Shape& s, const float* x, const Linear& qkv_of, const ForwardOptions& options, float* output,
    float* weights) {
  require_data("x", x);
  require_data("output", output);
  const std::int64_t rows = s.batch * s.length, columns = qkv_of.out_dim();
  floats("x", rows, qkv_of.in_dim());

  // Each row holds Q, K and V of its token side by side.
  const std::unique_ptr<float[]> qkv = scratch_floats(floats("Q, K and V", rows, columns));
  Columns{0, columns}.multiply(qkv_of, {x, rows, qkv.get(), columns}, options.parallel);

  const auto heads_from = [&](std::int64_t column) {  // [batch, heads, length, head_dim], in place
    return Tensor{qkv.get() + column, DType::f32, s.length * columns, s.head_dim, columns};
  };
  AttentionArgs args;
  args.batch = s.batch;
  args.query_heads = s.query_heads;
  args.kv_heads = s.kv_heads;
  args.query_length = args.key_length = s.length;
  args.head_dim = args.value_dim = s.head_dim;
  args.query = heads_from(0);
  args.key = heads_from(s.first_key_column);
  args.value = heads_from(s.first_key_column + s.kv_heads * s.head_dim);
  args.output = bthd(output, s.query_heads, s.length, s.head_dim);
  if (weights) args.weights = bhtd(weights, s.query_heads, s.length, s.length);
  args.key_lengths = options.key_lengths;
  args.causal = options.causal;
  args.alignment = Alignment::top_left;
  args.parallel = options.parallel;
  throw_if_error(attention(args));
}

}  // namespace attn
