// Masks of the last keys alone, for a mixture of options.
#include <algorithm>

#include "support/random_problem.hpp"
#include "support/random_strides.hpp"

namespace test {

// Often more columns than an item has keys, and often so few that whole blocks of keys stand before them.
void RandomProblem::vary_mask_columns(Random& random) {
  attn::AttentionArgs& a = args();
  a.mask = {};
  mask_.clear();
  const std::int64_t few = std::min<std::int64_t>(a.key_length, 20);
  a.mask_columns = random.integer(std::min<std::int64_t>(1, a.key_length), random.flip() ? few : a.key_length);
  std::int64_t count, start;
  const std::int64_t columns = a.mask_columns == 0 ? a.key_length : a.mask_columns;
  choose_strides(random, a.mask, {a.batch, a.query_heads, a.query_length, columns}, count, start);
  const std::int64_t kind = random.integer(0, 2), period = random.integer(1, 40);
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t draw = random.integer(0, 255);
    mask_.push_back(static_cast<std::uint8_t>(
        kind == 0       ? std::max<std::int64_t>(draw - 63, 0)  // scattered
            : kind == 1 ? i / period % 2  // stripes
                        : draw < 12));  // few
  }
  a.mask.data = mask_.data() + start;
}

}  // namespace test
