// Random strides of masks and biases.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "support/random.hpp"

namespace test {

inline bool third(Random& random) { return random.integer(0, 2) == 0; }

// Four strides of a mask or bias: dense, broadcast, transposed, or walked backwards. `start` is where element 0 stands.
template <class Quad>
void choose_strides(Random& random, Quad& x, const std::int64_t (&sizes)[4], std::int64_t& count, std::int64_t& start) {
  std::int64_t* strides[4] = {&x.batch_stride, &x.head_stride, &x.row_stride, &x.column_stride};
  int order[4] = {3, 2, 1, 0};
  if (third(random)) std::swap(order[0], order[random.integer(1, 3)]);
  count = 1;
  start = 0;
  for (const int i : order) {
    if (sizes[i] <= 1) {
      *strides[i] = random.pick(std::vector<std::int64_t>{0, 999, -3});
    } else if (!third(random)) {
      const std::int64_t stride = count + (i != 3 && random.flip() ? random.integer(0, 5) : 0);
      const bool backward = random.integer(0, 5) == 0;
      *strides[i] = backward ? -stride : stride;
      if (backward) start += (sizes[i] - 1) * stride;
      count += (sizes[i] - 1) * stride;
    }
  }
}

}  // namespace test
