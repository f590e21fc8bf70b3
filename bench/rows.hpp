// The rows of rows.txt.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "shape.hpp"

namespace bench {

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

// Attention of these shapes alone, from now on.
void measure_only(std::vector<AttentionRow> shapes);

// Read once. A line that is none ends the program, and so does a name that none has.
const Rows& rows();
const AttentionRow& attention_row(const std::string& name);

}  // namespace bench
