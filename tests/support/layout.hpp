// Random memory layouts of a [batch, heads, rows, columns] tensor: any order of the dimensions, padding between them,
// walked forwards or backwards, or not at all (broadcast).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "attn/tensor.hpp"
#include "support/random.hpp"

namespace test {

struct Dims {
  std::int64_t batch, heads, rows, columns;
};

struct Strided {
  std::vector<float> storage;
  std::int64_t start = 0, batch_stride = 0, head_stride = 0, row_stride = 0;

  attn::Tensor tensor() const {
    return {storage.data() + start, attn::DType::f32, batch_stride, head_stride, row_stride};
  }
  attn::Output output() { return {storage.data() + start, attn::DType::f32, batch_stride, head_stride, row_stride}; }
};

enum class Rows { forward, any };  // BLAS takes rows that go forward only
enum class Use { input, result };  // only inputs may broadcast

// The stride of a dimension of size 1 is 0, 999 or -3. Inputs hold normal draws in and between the rows, results
// `fill`.
Strided random_layout(Random& random, const Dims& dims, Rows rows, Use use, float fill = 0);

// "" if everything in the storage that is no element of the tensor still holds `fill`.
std::string gaps_kept(const Strided& s, const Dims& dims, float fill);

}  // namespace test
