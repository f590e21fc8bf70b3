// Attention over parts of the keys, put together.
#pragma once

#include "attn/macros_off.h"
// No macro has a name that stands below, until macros_on.h.
#include <cstdint>

#include "attn/status.hpp"

namespace attn {

// Attention over keys that were split into parts, each computed apart, with its log-sum-exp. For each row
//
//   L = ln sum_i exp(logsumexp_i),   output = sum_i exp(logsumexp_i - L) * output_i
//
// which is attention over all keys. The parts may come from other threads, processes or machines, or from a shared
// prefix that many sequences attend to. A row is a query of a head; any order that is the same in all parts will do.
//
// A part without keys for a row (logsumexp -inf) is not there, whatever its output holds. If there is no key in any
// part, output is 0 and logsumexp -inf. NaN in a part makes its row NaN, and no other row. Sinks belong to one part
// only.
//
// The result is within 2^-24 * max|value| * (8 + 4 * the largest |logsumexp_i|) of attention over all keys, on top of
// the error of that: the weight of a part is as exact as its log-sum-exp, a float. The same bits on every machine.
struct MergeArgs {
  std::int64_t parts = 0;
  std::int64_t rows = 0;
  std::int64_t value_dim = 0;

  // [parts, rows, value_dim], the columns contiguous.
  const float* outputs = nullptr;
  // In floats, not negative.
  std::int64_t part_stride = 0;
  std::int64_t row_stride = 0;
  // [parts, rows], the rows contiguous.
  const float* logsumexps = nullptr;
  // In floats, not negative.
  std::int64_t logsumexp_part_stride = 0;

  // [rows, value_dim]; may be one of the parts itself, or between them.
  float* output = nullptr;
  // At least value_dim if there is more than one row.
  std::int64_t output_row_stride = 0;
  // Optional: [rows]; may be the log-sum-exps of the part that `output` is.
  float* logsumexp = nullptr;
};

// On any status but ok nothing was written. Allocates nothing; thread-safe.
[[nodiscard]] Status merge(const MergeArgs& args) noexcept;

}  // namespace attn

#include "attn/macros_on.h"
