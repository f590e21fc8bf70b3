// The problems that attention is measured on. bench/peers.py has the same list.
#pragma once

#include <cstdint>

struct Row {
  const char* name;
  std::int64_t batch, query_heads, kv_heads, query_length, key_length, head_dim;
  bool causal;

  double flop() const {  // two products; causal needs half of each
    return (causal ? 2.0 : 4.0) * static_cast<double>(batch * query_heads * query_length) *
           static_cast<double>(key_length * head_dim);
  }
};

inline constexpr Row rows[] = {
    {"bert128", 1, 12, 12, 128, 128, 64, false},   {"bert512", 4, 12, 12, 512, 512, 64, false},
    {"vit197", 4, 12, 12, 197, 197, 64, false},    {"prefill1k", 1, 16, 4, 1024, 1024, 128, true},
    {"prefill4k", 1, 8, 2, 4096, 4096, 128, true}, {"long8k", 1, 2, 2, 8192, 8192, 64, false},
    {"decode4k", 1, 32, 8, 1, 4096, 128, false},   {"decode_b8", 8, 16, 4, 1, 1024, 128, false},
    {"seed64", 1, 1, 1, 64, 64, 32, false},
};
