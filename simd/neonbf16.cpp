#if defined(__GNUC__) && !defined(__clang__)
// gcc 12 would load all rows of a tile first and spill 4 of its 24 accumulators. That gives 0.83 of the FMA peak of a
// Neoverse N1 instead of 0.96 (llvm-mca; bench/mca.py).
#pragma GCC optimize("no-schedule-insns")
#endif

#include "kernels.hpp"
#include "lanes_neonbf16.hpp"
#include "table.hpp"

namespace attn::simd {

constexpr Kernels neonbf16 = make_kernels<NeonLanes>("neonbf16");

}  // namespace attn::simd
