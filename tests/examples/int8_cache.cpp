// A cache of int8: append() quantises each new row, attention reads a quarter of the bytes of floats. Two ways to keep
// it: a float for each row in an array of its own (i8), and ggml's blocks of 32 numbers with their scale (q8_0).
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <vector>

#include "attn/attn.hpp"
#include "recipe.hpp"

namespace {

constexpr std::int64_t heads = 8, kv_heads = 2, dim = 64, capacity = 256, length = 200;

// A row of the cache as floats: what attention reads.
using Row = std::vector<float>;

struct Cache {
  attn::Output key, value;
  attn::MutableScales key_scales, value_scales;  // of q8_0 none
};

// Appends all tokens one by one, and attends to them after each; the last token's output.
Row decode(const Cache& cache, const Row& q, const Row& k, const Row& v) {
  std::int64_t used = 0;
  attn::AppendArgs append;
  append.kv_heads = kv_heads;
  append.new_length = 1;
  append.capacity = capacity;
  append.head_dim = append.value_dim = dim;
  append.key_cache = cache.key;
  append.value_cache = cache.value;
  append.key_scales = cache.key_scales;
  append.value_scales = cache.value_scales;
  append.lengths = &used;

  Row output(heads * dim);
  attn::AttentionArgs args;
  args.query_heads = heads;
  args.kv_heads = kv_heads;
  args.query_length = 1;
  args.key_length = capacity;
  args.head_dim = args.value_dim = dim;
  args.key = cache.key;
  args.value = cache.value;
  args.key_scales = cache.key_scales;
  args.value_scales = cache.value_scales;
  args.key_lengths = &used;
  args.output = attn::bhtd(output.data(), heads, 1, dim);
  for (std::int64_t t = 0; t < length; ++t) {
    append.key = attn::bhtd(k.data() + t * kv_heads * dim, kv_heads, 1, dim);
    append.value = attn::bhtd(v.data() + t * kv_heads * dim, kv_heads, 1, dim);
    attn::throw_if_error(attn::append(append));
    args.query = attn::bhtd(q.data() + t * heads * dim, heads, 1, dim);
    attn::throw_if_error(attn::attention(args));
  }
  return output;
}

// The largest difference from attention in double over rows that key_row(head, token) and value_row(...) give.
template <class KeyRow, class ValueRow>
double difference(const Row& output, const Row& q, const KeyRow& key_row, const ValueRow& value_row) {
  double largest = 0;
  for (std::int64_t h = 0; h < heads; ++h) {
    recipe::Plain plain(q.data() + ((length - 1) * heads + h) * dim, dim, dim);
    const std::int64_t kv_head = h / (heads / kv_heads);
    for (std::int64_t j = 0; j < length; ++j) plain.see(key_row(kv_head, j).data(), value_row(kv_head, j).data());
    largest = std::fmax(largest, plain.difference(output.data() + h * dim));
  }
  return largest;
}

bool check_i8(const Row& q, const Row& k, const Row& v) {
  std::vector<std::int8_t> keys(kv_heads * capacity * dim), values(keys);
  Row key_scales(kv_heads * capacity), value_scales(key_scales);
  const Cache cache{
      attn::bhtd(keys.data(), kv_heads, capacity, dim),
      attn::bhtd(values.data(), kv_heads, capacity, dim),
      {key_scales.data(), kv_heads * capacity, capacity, 1},
      {value_scales.data(), kv_heads * capacity, capacity, 1}};
  const Row output = decode(cache, q, k, v);
  const auto row_of = [](const std::vector<std::int8_t>& x, const Row& scales) {
    return [&](std::int64_t h, std::int64_t j) {
      Row row;
      for (std::int64_t d = 0; d < dim; ++d)
        row.push_back(static_cast<float>(x[(h * capacity + j) * dim + d]) * scales[h * capacity + j]);
      return row;
    };
  };
  const bool cached = recipe::near(
      "i8, beside what the cache holds", difference(output, q, row_of(keys, key_scales), row_of(values, value_scales)));
  const auto given = [](const Row& x) {
    return [&](std::int64_t h, std::int64_t j) {
      const float* const row = x.data() + (j * kv_heads + h) * dim;
      return Row(row, row + dim);
    };
  };
  const double lost = difference(output, q, given(k), given(v));
  std::printf("i8, beside the floats: off by %.1e\n", lost);  // an element is off by half a scale at most
  return cached && lost < 0.02;
}

float as_float(attn::f16 x) {  // of ordinary size
  const int exponent = x.bits >> 10 & 31, fraction = x.bits & 1023;
  return std::ldexp(static_cast<float>(1024 + fraction), exponent - 25);
}

bool check_q8_0(const Row& q, const Row& k, const Row& v) {
  std::vector<attn::q8_0> keys(kv_heads * capacity * dim / 32), values(keys);
  const Cache cache{
      attn::bhtd(keys.data(), kv_heads, capacity, dim), attn::bhtd(values.data(), kv_heads, capacity, dim), {}, {}};
  const Row output = decode(cache, q, k, v);
  const auto row_of = [](const std::vector<attn::q8_0>& x) {
    return [&](std::int64_t h, std::int64_t j) {
      Row row;
      for (std::int64_t d = 0; d < dim; ++d) {
        const attn::q8_0& block = x[((h * capacity + j) * dim + d) / 32];
        row.push_back(static_cast<float>(block.values[d % 32]) * as_float(block.scale));
      }
      return row;
    };
  };
  return recipe::near("q8_0, beside what the cache holds", difference(output, q, row_of(keys), row_of(values)));
}

}  // namespace

int main() {
  const Row q = recipe::normals(length * heads * dim, 1);  // [length, heads, dim]
  const Row k = recipe::normals(length * kv_heads * dim, 2), v = recipe::normals(length * kv_heads * dim, 3);
  const bool i8 = check_i8(q, k, v), q8_0 = check_q8_0(q, k, v);
  return i8 && q8_0 ? 0 : 1;
}
