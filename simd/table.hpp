// The table of an instruction set, made of the algorithms of this room over its lanes. It is a value: an ISA file may
// put a kernel of its own into it.
#pragma once

#include "block.hpp"
#include "finite.hpp"
#include "kernels.hpp"
#include "pack.hpp"
#include "softmax.hpp"

namespace attn::simd {
namespace {

// Reading in place and packing cost the same at 10 to 16 rows where K and V are in the caches (512 keys; AVX2 8,
// AVX-512 16), at 20 to 40 where they come from memory (4096 keys).
constexpr std::ptrdiff_t in_place_rows = 12;

template <class Lanes>
constexpr Kernels make_kernels(const char* name) {
  return {name,
          Lanes::tile_rows,
          16 * Lanes::tile_vectors,
          in_place_rows,
          exp_scaled_row<Lanes>,
          softmax_rows<Lanes>,
          widen<Lanes>,
          narrow<Lanes>,
          step_scores<Lanes>,
          all_finite<Lanes>,
          mask_to_bits<Lanes>,
          pack_keys<Lanes>,
          pack_values<Lanes>,
          attend<Lanes>,
          merge<Lanes>,
          weigh<Lanes>,
          finish_row<Lanes>};
}

}  // namespace
}  // namespace attn::simd
