// One row of rows.txt as a call, with its memory.
#pragma once

#include <vector>

#include "attn/attention.hpp"
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
  }

  const std::vector<float> q, k, v;
  std::vector<float> output;
  attn::AttentionArgs args;
};

}  // namespace bench
