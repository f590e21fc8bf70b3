#include "kernels.hpp"
#include "lanes_avx2.hpp"
#include "table.hpp"

namespace attn::simd {

constexpr Kernels avx2 = make_kernels<Avx2Lanes>("avx2");

}  // namespace attn::simd
