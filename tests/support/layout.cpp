#include "support/layout.hpp"

#include <algorithm>

#include "support/compare.hpp"

namespace test {

Strided random_layout(Random& random, const Dims& dims, Rows rows, Use use, float fill) {
  const std::int64_t sizes[3] = {dims.batch, dims.heads, dims.rows};
  int order[3] = {0, 1, 2};  // innermost first
  for (int i = 2; i > 0; --i) std::swap(order[i], order[random.integer(0, i)]);

  Strided s;
  std::int64_t* strides[3] = {&s.batch_stride, &s.head_stride, &s.row_stride};
  std::int64_t extent = dims.columns;
  for (const int i : order) {
    const bool must_go_forward = i == 2 && rows == Rows::forward;
    if (sizes[i] <= 1) {
      *strides[i] = random.pick(std::vector<std::int64_t>{0, 999, -3});
      continue;
    }
    if (use == Use::input && !must_go_forward && random.integer(0, 5) == 0) continue;  // broadcast
    const std::int64_t stride = extent + (random.flip() ? random.integer(1, 7) : 0);
    const bool backward = !must_go_forward && random.integer(0, 4) == 0;
    *strides[i] = backward ? -stride : stride;
    if (backward) s.start += (sizes[i] - 1) * stride;
    extent += (sizes[i] - 1) * stride;
  }
  const bool empty = dims.batch * dims.heads * dims.rows * dims.columns == 0;
  if (empty) s.start = 0;
  s.storage.assign(empty ? 0 : static_cast<std::size_t>(extent), fill);
  if (use == Use::input)
    for (float& x : s.storage) x = random.normal();
  return s;
}

std::string gaps_kept(const Strided& s, const Dims& dims, float fill) {
  std::vector<char> element(s.storage.size(), 0);
  for (std::int64_t b = 0; b < dims.batch; ++b)
    for (std::int64_t h = 0; h < dims.heads; ++h)
      for (std::int64_t r = 0; r < dims.rows; ++r)
        for (std::int64_t c = 0; c < dims.columns; ++c)
          element[s.start + b * s.batch_stride + h * s.head_stride + r * s.row_stride + c] = 1;
  for (std::size_t i = 0; i < element.size(); ++i)
    if (!element[i] && bits(s.storage[i]) != bits(fill))
      return "float " + std::to_string(i) + " between the rows was written";
  return "";
}

}  // namespace test
