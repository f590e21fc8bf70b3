#include "kernels.hpp"
#include "lanes_scalar.hpp"
#include "table.hpp"

namespace attn::simd {

constexpr Kernels scalar = make_kernels<ScalarLanes>("scalar");

}  // namespace attn::simd
