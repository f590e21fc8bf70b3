// A mixture with its keys and values in pages.
#include "support/random_problem.hpp"

namespace test {

bool RandomProblem::lay_in_pages(Random& random) {
  attn::AttentionArgs& a = args();
  const std::int64_t length = random.pick(std::vector<std::int64_t>{16, 16, 32, 64, 128, 256, 512, 1024});
  if (a.cu_key_lengths) return false;
  pages_.lay(a, length, random);
  return true;
}

}  // namespace test
