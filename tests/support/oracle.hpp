// Attention and softmax straight from their formulas, in double, one query row after the other. Shares no code with the
// library, knows every option, and touches no key that a row may not see.
#pragma once

#include <cstdint>
#include <vector>

#include "attn/attention.hpp"

namespace test {

// All dense: output [batch, query_heads, query_length, value_dim]; weights, scores and allowed [.., key_length];
// log_sum_exp [batch, query_heads, query_length], key_weight_sums [batch, query_heads, key_length]. Of a packed batch:
// output [query_heads, all queries, value_dim], weights and scores [.., key_length] with 0 and -inf behind the keys of
// the sequence, log_sum_exp [query_heads, all queries], key_weight_sums [query_heads, all keys]; `allowed` has one
// sequence after the other, each [query_heads, its queries, its keys].
struct Attended {
  std::vector<double> output, weights, scores, log_sum_exp, key_weight_sums;
  std::vector<char> allowed;  // may the query attend to the key?
  double largest_value = 0;  // max |v| over the finite values that some query may attend to, at least 2^-126

  // The standard deviation, at most, of a score computed in float32: a chain of sums p_1, p_2, ... is rounded by up to
  // u |p_d|, u = 2^-24, at every step, which adds up to u sqrt(sum p_d^2) as the errors have no sign in common.
  double score_error = 0;
};

// scale = 0 is 1 / sqrt(head_dim). A score or sink of +inf or NaN makes the row NaN; a row without keys, or with only
// -inf, has output 0, weights 0 and log-sum-exp -inf or the sink. Scores hold -inf from the key length on; biased,
// where the key is excluded.
Attended attend(const attn::AttentionArgs& args);

// One element of a tensor of any type.
double element_of(const attn::Tensor& x, std::int64_t batch, std::int64_t head, std::int64_t row, std::int64_t column);

// softmax(scale * x) of one row; the sign of a zero or infinite product is that of x * |scale| or -x * |scale|, so that
// an infinite x times a scale of 0 is infinite. A row of -inf is 0, a row with NaN or +inf is NaN.
std::vector<double> softmax(const std::vector<float>& x, double scale);

}  // namespace test
