// The table of an instruction set, made of the algorithms of this room over its lanes. It is a value: an ISA file may
// put a kernel of its own into it.
#pragma once

#include "block.hpp"
#include "finite.hpp"
#include "kernels.hpp"
#include "pack.hpp"
#include "project.hpp"
#include "softmax.hpp"

namespace attn::simd {
namespace {

// Reading in place and packing cost the same at this many rows:
//   K and V in the caches (512 keys)    8 (AVX2) to 16 (AVX-512)
//   K and V from memory (4096 keys)     20 to 40
constexpr std::ptrdiff_t in_place_rows = 12;

template <class Lanes>
constexpr Kernels make_kernels(const char* name) {
  Kernels k{};
  k.name = name;
  k.tile_rows = Lanes::tile_rows;
  k.panel_keys = 16 * Lanes::tile_vectors;
  k.in_place_rows = in_place_rows;
  k.in_place_flop_per_ns = Lanes::in_place_flop_per_ns;
  k.packed_flop_per_ns = Lanes::packed_flop_per_ns;
  k.exp_scaled = exp_scaled_row<Lanes>;
  k.softmax_rows = softmax_rows<Lanes>;
  k.widen = widen<Lanes>;
  k.narrow = narrow<Lanes>;
  k.step_scores = step_scores<Lanes>;
  k.all_finite = all_finite<Lanes>;
  k.mask_to_bits = mask_to_bits<Lanes>;
  k.bias_to_bits = bias_to_bits<Lanes>;
  k.pack_keys = pack_keys<Lanes>;
  k.pack_key_pairs = pack_key_pairs<Lanes>;
  k.pack_value_pairs = pack_value_pairs<Lanes>;
  k.copy_query_pairs = copy_query_pairs<Lanes>;
  k.pack_values = pack_values<Lanes>;
  k.multiply_keys = score_block<Lanes>;
  k.attend = attend<Lanes>;
  k.merge = merge<Lanes>;
  k.weigh = weigh<Lanes>;
  k.finish_row = finish_row<Lanes>;
  k.project = project<Lanes>;
  return k;
}

}  // namespace
}  // namespace attn::simd
