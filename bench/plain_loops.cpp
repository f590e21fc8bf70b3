// Attention as plain loops, the way small programs that run a model write it. A rival: what does a library give beyond
// them? bench/peers/plain_loops.py builds this file on its own; -Ofast lets the compiler turn the inner loops into
// vectors.
//
//   s[j] = (q[t] . k[j]) / sqrt(D)        for the keys j that query t sees
//   w[j] = exp(s[j] - max s)
//   out[t] = sum_j w[j] v[j] / sum_j w[j]
#include "plain_loops.hpp"

#include <cfloat>
#include <cmath>
#include <cstring>

namespace {

struct Bf16 {
  std::uint16_t bits;
};

inline float widen(float x) { return x; }
inline float widen(Bf16 x) {
  const std::uint32_t bits = static_cast<std::uint32_t>(x.bits) << 16;
  float result;
  std::memcpy(&result, &bits, sizeof result);
  return result;
}

// One query row against `keys` rows of keys and values; `w` holds a float for each.
template <class T>
void one_row(
    const float* __restrict q, const T* __restrict k, const T* __restrict v, float* __restrict out, float* __restrict w,
    std::int64_t keys, std::int64_t dim, float scale) {
  for (std::int64_t j = 0; j < keys; ++j) {
    float s = 0;
    for (std::int64_t i = 0; i < dim; ++i) s += q[i] * widen(k[j * dim + i]);
    w[j] = s * scale;
  }

  float max = -FLT_MAX, sum = 0;
  for (std::int64_t j = 0; j < keys; ++j) max = w[j] > max ? w[j] : max;
  for (std::int64_t j = 0; j < keys; ++j) {
    w[j] = std::exp(w[j] - max);
    sum += w[j];
  }

  for (std::int64_t i = 0; i < dim; ++i) out[i] = 0;
  for (std::int64_t j = 0; j < keys; ++j) {
    const float weight = w[j] / sum;
    for (std::int64_t i = 0; i < dim; ++i) out[i] += weight * widen(v[j * dim + i]);
  }
}

template <class T>
void attention(const PlainShape& p, const float* q, const void* keys, const void* values, float* out, float* scratch) {
  const T* const k = static_cast<const T*>(keys);
  const T* const v = static_cast<const T*>(values);
  const float scale = 1 / std::sqrt(static_cast<float>(p.head_dim));
#if defined(_OPENMP)
#pragma omp parallel for
#endif
  for (std::int64_t head = 0; head < p.batch * p.query_heads; ++head) {
    const std::int64_t kv_head = head / (p.query_heads / p.kv_heads) * p.key_length * p.head_dim;
    for (std::int64_t t = 0; t < p.query_length; ++t) {
      const std::int64_t row = (head * p.query_length + t) * p.head_dim;
      const std::int64_t seen = p.causal ? t + 1 + p.key_length - p.query_length : p.key_length;
      one_row(q + row, k + kv_head, v + kv_head, out + row, scratch + head * p.key_length, seen, p.head_dim, scale);
    }
  }
}

}  // namespace

void plain_attention(
    const PlainShape* shape, const float* query, const void* key, const void* value, float* output, float* scratch) {
  if (shape->bf16)
    attention<Bf16>(*shape, query, key, value, output, scratch);
  else
    attention<float>(*shape, query, key, value, output, scratch);
}
