// Attention as plain loops over dense [batch, heads, rows, columns]. Keys and values are floats, or all bf16.
#pragma once

#include <cstdint>

extern "C" {

struct PlainShape {
  std::int64_t batch, query_heads, kv_heads, query_length, key_length, head_dim, causal, bf16;
};

// scratch: key_length floats for each head of each batch item.
void plain_attention(
    const PlainShape* shape, const float* query, const void* key, const void* value, float* output, float* scratch);
}
