// One call of a layer: check, project, append to the cache, attend, project.
#pragma once

#include <cstddef>
#include <cstdint>

#include "attn/layers.hpp"

namespace attn {

// What a layer is made of.
struct LayerParts {
  std::int64_t embed_dim, kv_dim, query_heads, kv_heads, head_dim;
  const Linear* qkv;  // columns of Q, and from first_key_column on those of K and V, unless they have kv
  std::int64_t first_key_column;
  const Linear* kv;  // K and V of rows of kv_dim; null: those of qkv
  const Linear* out;  // null: none

  std::int64_t query_columns() const noexcept { return query_heads * head_dim; }
  std::int64_t key_columns() const noexcept { return kv_heads * head_dim; }
  std::int64_t out_columns() const noexcept { return out ? embed_dim : query_columns(); }
};

struct LayerCall {
  const float* x;
  std::int64_t batch, length;
  float* output;
  float* weights;  // null: not wanted
  const ForwardOptions& options;
};

// The sizes of a call. The sources are the rows that keys and values are made of: of the context, or of x.
struct Extent {
  std::int64_t rows, source_rows, source_length;
  std::int64_t keys;  // columns of the weights
  std::size_t output_floats, weights_floats;  // of the caller's arrays
};

// Throws if sizes, lengths or options are wrong, or null where they must not be. Reads no x, context, output, weights.
// `weights`: are they wanted?
Extent extent_of(const LayerParts& parts, const LayerCall& call, bool weights);

// output and weights of the call. On an exception they are as before, and so are the lengths of the cache.
void run_layer(const LayerParts& parts, const LayerCall& call);

}  // namespace attn
