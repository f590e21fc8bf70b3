// Right results, in double, of some rows of a call: the tests' oracle (tests/support/oracle.hpp), row by row.
#pragma once

#include <cstdint>
#include <vector>

#include "attn/attention.hpp"

namespace bench {

class Reference {
 public:
  // Of any options but packed batches. Takes some milliseconds: as many rows, spread over the call, as that allows.
  explicit Reference(const attn::AttentionArgs& args);

  // max |y - y64| / max |v| over those rows and the values that they see; y is the float32 result of the same call.
  double error_of(const attn::Output& y) const;

 private:
  struct Row {
    std::int64_t batch, head, query;
    std::vector<double> output;
  };
  std::vector<Row> rows_;
  double largest_value_ = 0;
};

}  // namespace bench
