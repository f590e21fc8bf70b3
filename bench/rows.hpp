// The rows of rows.txt.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace bench {

struct AttentionRow {
  std::string name;
  std::int64_t batch, query_heads, kv_heads, query_length, key_length, head_dim;
  bool causal;

  double flop() const {  // two products; causal needs half of each
    return (causal ? 2.0 : 4.0) * static_cast<double>(batch * query_heads * query_length) *
        static_cast<double>(key_length * head_dim);
  }
};

struct LayerRow {
  std::string name;
  std::int64_t batch, length, embed_dim, num_heads;
};

struct SoftmaxRow {
  std::string name;
  std::int64_t rows, columns;
};

struct Rows {
  std::vector<AttentionRow> attention;
  std::vector<LayerRow> layer;
  std::vector<SoftmaxRow> softmax;
};

// Read once. A line that is none ends the program, and so does a name that none has.
const Rows& rows();
const AttentionRow& attention_row(const std::string& name);

}  // namespace bench
