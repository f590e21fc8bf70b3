// One call of a multi-head layer with all its memory, held against the formula in double.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "attn/layers.hpp"
#include "support/layer.hpp"
#include "support/random.hpp"

namespace test {

// The caller's memory of a cache. Rows in use are normals, all else is NaN.
struct CacheMemory {
  enum Layout { apart, interleaved, rows_first };  // [B, H, cap, D] twice; [B, H, cap, 2 D]; [B, cap, H, D] twice
  attn::DType type = attn::DType::f32;
  Layout layout = apart;
  std::int64_t batch, kv_heads, capacity, head_dim;
  std::vector<unsigned char> key, value;  // interleaved: key alone
  std::vector<std::int64_t> lengths;

  attn::LayerCache view();
};
CacheMemory make_cache(
    Random& random, const Layer& layer, std::vector<std::int64_t> lengths, std::int64_t capacity,
    attn::DType type = attn::DType::f32, CacheMemory::Layout layout = CacheMemory::apart);

// Empty vectors: not there.
struct LayerCall {
  std::int64_t batch = 1, length = 0, context_length = 0;
  bool has_context = false;  // it may have no rows
  std::vector<float> x, context, bias, head_factors;
  std::vector<unsigned char> mask;
  std::int64_t mask_strides[4] = {}, bias_strides[4] = {};
  std::vector<std::int64_t> key_lengths, cu_lengths, cu_context_lengths;
  std::vector<CacheMemory> cache;  // one or none
  attn::ForwardOptions options;  // what is no pointer; run() and check() fill in the others

  std::int64_t rows() const { return cu_lengths.empty() ? batch * length : cu_lengths.back(); }
  std::int64_t keys() const;  // columns of the weights
  // A mask or a bias with one element each for some dimensions, and the same one for all of the others.
  void add_mask(Random& random, const Layer& layer, const bool (&whole)[4]);
  void add_bias(Random& random, const Layer& layer, const bool (&whole)[4], bool with_factors);
  std::string describe() const;
};

struct LayerFloats {
  std::vector<float> output, weights;
};

// forward_into; raises the lengths of the cache.
LayerFloats run(const attn::MultiHeadAttention& layer, const Layer& made_of, LayerCall& call, bool with_weights);

// Runs it, on a copy of the cache, with and without weights: "" if all results and the whole memory of the cache are
// right, else what is wrong.
std::string check(const Layer& layer, const LayerCall& call, bool with_weights);

}  // namespace test
