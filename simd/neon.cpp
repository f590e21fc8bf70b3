#include "kernels.hpp"
#include "lanes_neon.hpp"
#include "tile.hpp"

namespace attn::simd {

constexpr Kernels neon = make_kernels<NeonLanes>("neon");

}  // namespace attn::simd
