// One row of rows.txt as a call, with its memory.
#pragma once

#include <vector>

#include "attn/attention.hpp"
#include "attn/kv_cache.hpp"
#include "bench.hpp"
#include "rows.hpp"

namespace bench {

struct Problem {
  explicit Problem(const AttentionRow& row)
      : q(bench::normals(row.batch * row.query_heads * row.query_length * row.head_dim, 1)),
        k(bench::normals(row.batch * row.kv_heads * row.key_length * row.head_dim, 2)),
        v(bench::normals(row.batch * row.kv_heads * row.key_length * row.head_dim, 3)),
        output(q.size()) {
    args.batch = row.batch;
    args.query_heads = row.query_heads;
    args.kv_heads = row.kv_heads;
    args.query_length = row.query_length;
    args.key_length = row.key_length;
    args.head_dim = args.value_dim = row.head_dim;
    args.query = attn::bhtd(q.data(), row.query_heads, row.query_length, row.head_dim);
    args.key = attn::bhtd(k.data(), row.kv_heads, row.key_length, row.head_dim);
    args.value = attn::bhtd(v.data(), row.kv_heads, row.key_length, row.head_dim);
    args.output = attn::bhtd(output.data(), row.query_heads, row.query_length, row.head_dim);
    args.causal = row.causal;
    if (row.cache != attn::DType::f32) store(row);
  }

  // Rounds keys and values into a cache of halves, which the call reads instead.
  void store(const AttentionRow& row) {
    key_cache.resize(k.size());
    value_cache.resize(v.size());
    std::vector<std::int64_t> used(static_cast<std::size_t>(row.batch));
    attn::AppendArgs append;
    append.batch = row.batch;
    append.kv_heads = row.kv_heads;
    append.new_length = append.capacity = row.key_length;
    append.head_dim = append.value_dim = row.head_dim;
    append.key = args.key;
    append.value = args.value;
    append.key_cache = attn::bhtd(key_cache.data(), row.kv_heads, row.key_length, row.head_dim);
    append.value_cache = attn::bhtd(value_cache.data(), row.kv_heads, row.key_length, row.head_dim);
    append.key_cache.dtype = append.value_cache.dtype = row.cache;
    append.lengths = used.data();
    attn::throw_if_error(attn::append(append));
    args.key.data = key_cache.data();
    args.value.data = value_cache.data();
    args.key.dtype = args.value.dtype = row.cache;
  }

  const std::vector<float> q, k, v;
  std::vector<float> output;
  std::vector<attn::f16> key_cache, value_cache;  // bits, of f16 or bf16
  attn::AttentionArgs args;
};

}  // namespace bench
