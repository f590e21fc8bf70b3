// A mixture whose cache is one of all that there are.
#include "support/random_problem.hpp"

namespace test {

void RandomProblem::lay_cache(Random& random, int kind) {
  if (kind % 3 == 1) vary_mask_columns(random);
  if (kind % 5 == 0) weigh_in_bf16();
  if (kind % 5 > 1) quantise(random);
  if (kind % 2 == 0 && args().key.dtype != attn::DType::q8_0) lay_in_panels(random);
  if (kind % 4 != 3) lay_in_pages(random);
}

}  // namespace test
