#include "support/layer.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "support/oracle.hpp"

namespace test {

attn::MultiHeadConfig Layer::config() const {
  const auto pointer = [](const std::vector<float>& v) { return v.empty() ? nullptr : v.data(); };
  attn::MultiHeadConfig c;
  c.embed_dim = embed_dim;
  c.num_heads = num_heads;
  c.kv_heads = kv_heads;
  c.head_dim = head_dim;
  c.kv_dim = kv_dim == embed_dim ? 0 : kv_dim;
  c.w_q = pointer(w_q);
  c.w_k = pointer(w_k);
  c.w_v = pointer(w_v);
  c.b_q = pointer(b_q);
  c.b_k = pointer(b_k);
  c.b_v = pointer(b_v);
  c.w_o = pointer(w_o);
  c.b_o = pointer(b_o);
  c.projection = projection;
  return c;
}

Layer make_layer(
    Random& random, std::int64_t embed_dim, std::int64_t num_heads, std::int64_t kv_heads, std::int64_t head_dim,
    std::int64_t kv_dim) {
  Layer l{};
  l.embed_dim = embed_dim;
  l.num_heads = num_heads;
  l.kv_heads = kv_heads;
  l.head_dim = head_dim;
  l.kv_dim = kv_dim ? kv_dim : embed_dim;
  l.w_q = random.normals(index(embed_dim * num_heads * head_dim));
  l.w_k = random.normals(index(l.kv_dim * kv_heads * head_dim));
  l.w_v = random.normals(index(l.kv_dim * kv_heads * head_dim));
  for (std::vector<float>* w : {&l.w_q, &l.w_k, &l.w_v})
    for (float& value : *w) value *= 0.3f;
  return l;
}

void add_biases(Layer& l, Random& random) {
  l.b_q = random.normals(index(l.num_heads * l.head_dim));
  l.b_k = random.normals(index(l.kv_heads * l.head_dim));
  l.b_v = random.normals(index(l.kv_heads * l.head_dim));
}

void add_output_projection(Layer& l, Random& random, bool with_bias) {
  l.w_o = random.normals(index(l.num_heads * l.head_dim * l.embed_dim));
  if (with_bias) l.b_o = random.normals(index(l.embed_dim));
}

std::vector<float> transposed(const std::vector<float>& w, std::int64_t rows, std::int64_t columns) {
  std::vector<float> result(w.size());
  for (std::int64_t i = 0; i < rows; ++i)
    for (std::int64_t j = 0; j < columns; ++j) result[index(j * rows + i)] = w[index(i * columns + j)];
  return result;
}

namespace {

// Rows [first, first + count) of a packed or padded batch.
struct Sequence {
  std::int64_t first, count;
};
Sequence sequence(const std::int64_t* cu, std::int64_t length, std::int64_t b) {
  return cu ? Sequence{cu[b], cu[b + 1] - cu[b]} : Sequence{b * length, length};
}

// What mask and bias do to a score: -inf excludes.
double added(const attn::ForwardOptions& o, const std::int64_t (&at)[4]) {
  const attn::Mask& m = o.mask;
  if (m.data &&
      !m.data[at[0] * m.batch_stride + at[1] * m.head_stride + at[2] * m.row_stride + at[3] * m.column_stride])
    return -std::numeric_limits<double>::infinity();
  const attn::Bias& b = o.bias;
  if (!b.data) return 0;
  const double value = static_cast<const float*>(
      b.data)[at[0] * b.batch_stride + at[1] * b.head_stride + at[2] * b.row_stride + at[3] * b.column_stride];
  return std::isinf(value) || !b.head_factors ? value : value * static_cast<double>(b.head_factors[at[1]]);
}

}  // namespace

LayerResult expected(
    const Layer& l, const float* x, std::int64_t batch, std::int64_t length, const attn::ForwardOptions& o,
    const std::int64_t* used_before) {
  const std::int64_t d = l.head_dim, q_columns = l.num_heads * d, kv_columns = l.kv_heads * d;
  const std::int64_t* source_cu = o.context ? o.cu_context_lengths : o.cu_lengths;
  const std::int64_t source_length = o.context ? o.context_length : length;
  const std::int64_t rows = o.cu_lengths ? o.cu_lengths[batch] : batch * length;
  const std::int64_t sources = source_cu ? source_cu[batch] : batch * source_length;
  const std::int64_t columns = o.cache ? o.cache->capacity : source_length;
  const float* source = o.context ? o.context : x;
  const std::vector<double> q = linear(x, rows, l.w_q, l.b_q, {l.embed_dim, q_columns});
  LayerResult result;
  result.key = linear(source, sources, l.w_k, l.b_k, {l.kv_dim, kv_columns});
  result.value = linear(source, sources, l.w_v, l.b_v, {l.kv_dim, kv_columns});
  result.weights.resize(index(rows * columns * (o.average_weights ? 1 : l.num_heads)));
  std::vector<double> attended(index(rows * q_columns)), row(index(columns));

  for (std::int64_t b = 0; b < batch; ++b) {
    const Sequence queries = sequence(o.cu_lengths, length, b), keys = sequence(source_cu, source_length, b);
    const std::int64_t count = o.cache ? o.cache->lengths[b] : o.key_lengths ? o.key_lengths[b] : keys.count;
    std::int64_t offset = o.alignment == attn::Alignment::bottom_right ? count - queries.count : 0;
    if (o.cache && !o.context) offset = used_before[b];
    const auto element = [&](bool value, std::int64_t kv, std::int64_t j, std::int64_t e) {
      if (o.cache) return element_of(value ? o.cache->value : o.cache->key, b, kv, j, e);
      return (value ? result.value : result.key)[index((keys.first + j) * kv_columns + kv * d + e)];
    };
    for (std::int64_t h = 0; h < l.num_heads; ++h)
      for (std::int64_t t = 0; t < queries.count; ++t) {
        const std::int64_t kv = h / (l.num_heads / l.kv_heads), r = queries.first + t;
        std::fill(row.begin(), row.end(), 0.0);
        double sum = 0;
        for (std::int64_t j = 0; j < count; ++j) {
          const double more = added(o, {b, h, t, j});
          if ((o.causal && j > t + offset) || more == -std::numeric_limits<double>::infinity()) continue;
          double score = 0;
          for (std::int64_t e = 0; e < d; ++e) score += q[index(r * q_columns + h * d + e)] * element(false, kv, j, e);
          sum += row[index(j)] = std::exp(score / std::sqrt(static_cast<double>(d)) + more);
        }
        const std::int64_t item = o.cu_lengths ? h * rows + r : (b * l.num_heads + h) * length + t;
        double* weights = result.weights.data() + (o.average_weights ? r : item) * columns;
        for (std::int64_t j = 0; j < count; ++j) {
          if (row[index(j)] == 0) continue;
          const double w = row[index(j)] / sum;
          weights[j] += o.average_weights ? w / static_cast<double>(l.num_heads) : w;
          for (std::int64_t e = 0; e < d; ++e)
            attended[index(r * q_columns + h * d + e)] += w * element(true, kv, j, e);
        }
      }
  }
  result.output = l.w_o.empty() ? attended : linear(attended.data(), rows, l.w_o, l.b_o, {q_columns, l.embed_dim});
  return result;
}

}  // namespace test
