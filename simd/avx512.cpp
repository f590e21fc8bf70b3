#include "kernels.hpp"
#include "lanes_avx512.hpp"
#include "table.hpp"

namespace attn::simd {

constexpr Kernels avx512 = make_kernels<Avx512Lanes>("avx512");

}  // namespace attn::simd
