// Weights in bf16, for a mixture of options.
#include "support/random_problem.hpp"

namespace test {

void RandomProblem::weigh_in_bf16() {
  attn::AttentionArgs& a = args();
  if (a.path == attn::Path::blas) return;
  a.bf16_weights = true;
  if (a.value.dtype == attn::DType::bf16) return;
  a.value.dtype = attn::DType::bf16;
  v_.halves.clear();
  for (const float x : v_.strided.storage) v_.halves.push_back(to_half(x, attn::DType::bf16));
  a.value.data = v_.halves.data() + v_.strided.start;
}

}  // namespace test
