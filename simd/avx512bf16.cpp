#include "kernels.hpp"
#include "lanes_avx512bf16.hpp"
#include "table.hpp"

namespace attn::simd {

constexpr Kernels avx512bf16 = make_kernels<Avx512Lanes>("avx512bf16");

}  // namespace attn::simd
