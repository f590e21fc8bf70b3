// A query row in double, for the rare row whose float32 arithmetic overflows although its scores and values are in
// range:
//   a product q . k of -1e40 under a scale of 1e-5, or two values of 2e38 before the division by 2
// Plain double arithmetic in one order: the same bits on every machine. It takes no memory and is slow.
#pragma once

#include <cstdint>

#include "call/problem.hpp"
#include "simd/kernels.hpp"

namespace attn::wide_row {

// q . k * scale of key j, before softcap, ALiBi and bias.
float scaled_score(const Row& row, std::int64_t j) noexcept;

// The maximum of the scores, and the sum of exp(score - max), with the sink: 0 without keys and sink, NaN in a NaN row.
struct Softmax {
  float max = 0;
  double sum = 0;
};

// Mends the output row in `out` (float32, value_dim of them) as float32 arithmetic left it; row_sum is its sum of
// weights. `overflowed`: some product that the row sees is not finite.
// If a finite query times a finite key became infinite, all of the row is computed again: true, and `softmax` is
// filled. Else only those elements are that are not finite though the values are: false. What a NaN or Inf in the
// inputs has made is left alone.
bool mend(const Row& row, float row_sum, bool overflowed, float* out, Softmax& softmax) noexcept;

// weights[j - keys.begin] for the keys of a range, of a row that was computed again; 0 where it does not see the key.
void weigh(const Row& row, const Softmax& softmax, KeyRange keys, float* weights) noexcept;

}  // namespace attn::wide_row
