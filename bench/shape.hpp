// The shape of an attention row, as words: a line of rows.txt, or the value of --shape.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "attn/dtype.hpp"

namespace bench {

struct AttentionRow {
  std::string name;
  std::int64_t batch = 0, query_heads = 0, kv_heads = 0, query_length = 0, key_length = 0, head_dim = 0;
  bool causal = false;
  attn::DType cache = attn::DType::f32;  // of keys and values
  attn::DType query = attn::DType::f32;  // or bf16; the output is f32
  bool bf16_weights = false;

  // Query heads times pairs of a query and a key; causal needs half of them.
  double exps() const {
    return (causal ? 0.5 : 1.0) * static_cast<double>(batch * query_heads * query_length) *
        static_cast<double>(key_length);
  }
  double flop() const { return 4 * exps() * static_cast<double>(head_dim); }  // two products
  double bytes() const {  // each tensor once
    const double cached = static_cast<double>(kv_heads * key_length) * cached_row();
    const double rows = static_cast<double>(query_heads * query_length * head_dim);  // of queries and of the output
    return static_cast<double>(batch) * (2 * cached + rows * (query == attn::DType::bf16 ? 2 + 4 : 4 + 4));
  }
  // Bytes of a row of keys, with its scales.
  double cached_row() const;
  std::string text() const;  // as --shape takes it
};

inline constexpr const char* shape_words = "B,Hq,Hkv,Tq,Tk,D[,causal][,f16|bf16|i8|q8_0][,bf16_queries][,bf16_weights]";

// Fills the row from six numbers and the words that follow. Returns what is wrong, or "".
std::string set_shape(AttentionRow& row, const std::vector<std::string>& words);

// The same from "1,12,12,1,256,64,f16", which becomes the name.
std::string set_shape(AttentionRow& row, const std::string& text);

}  // namespace bench
