// Keys and values of a call laid in pages, with a shuffled table. No table, page or byte that the call may not need
// holds anything good.
#pragma once

#include <cstdint>
#include <vector>

#include "attn/attention.hpp"
#include "support/random.hpp"

namespace test {

// The keys of item b that some query may see by key length, causal and window; all below the key length where scores
// are asked for. [batch, key_length], by the oracle.
std::vector<std::vector<char>> needed_keys(const attn::AttentionArgs& a);

struct Pages {
  // Copies what `a` has by now, of any type, rows or panels, with scales or without, into pages of that length, and
  // points `a` to them. Items whose keys and values are broadcast share pages. Not for a packed batch.
  void lay(attn::AttentionArgs& a, std::int64_t length, Random& random);

  std::vector<std::int32_t> table;
  std::vector<unsigned char> keys, values;
  std::vector<float> key_scales, value_scales;
};

}  // namespace test
