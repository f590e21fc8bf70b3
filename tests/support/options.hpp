// Every option of AttentionArgs, once. Tests loop over this list: effect (right/), bits (same_bits/), poison
// (not_there/), overlap (refused/), the C interface (right/c_options_test.cpp).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "attn/attention.hpp"
#include "support/problem.hpp"

namespace test {

// The shape that options are made for: two items, four heads over two.
inline Shape option_shape(std::int64_t rows, std::int64_t keys) { return {2, 4, 2, rows, keys, 20, 37}; }

// What the options read and write beside a Problem's memory. The same numbers on every machine.
struct OptionMemory {
  OptionMemory(std::int64_t rows, std::int64_t keys);

  std::int64_t rows, keys;
  std::vector<std::uint8_t> mask;  // [heads, rows, keys]
  std::vector<float> bias, item_bias;  // [heads, rows, keys], [items, heads, rows, keys]
  std::vector<float> mask_bias, some_bias;  // as `mask`: 0 or -inf; in some rows of the second other values, too
  std::vector<std::uint16_t> bias_f16, bias_bf16;  // as `bias`
  std::vector<float> slopes, sinks, factors;  // [heads]
  std::vector<std::uint16_t> f16, bf16;  // as many as any tensor of that shape has, around 1, of either sign
  std::vector<std::uint16_t> halves_out;  // the output
  std::vector<std::int8_t> i8;  // [items, kv heads, keys, 37]: keys and values
  std::vector<attn::q8_0> q8_0;  // [items, kv heads, keys, 64]: likewise, of 64 columns
  std::vector<float> key_scales, value_scales;  // [items, kv heads, keys]
  std::vector<float> wide_queries;  // [items, heads, rows, 64]
  std::vector<std::int64_t> cu_queries, cu_keys, lengths, offsets;
  std::vector<float> page_keys, page_values;  // [pages, KV heads, 16, ...]
  std::vector<std::int32_t> page_table;  // [items, ceil(keys / 16)]
  std::vector<float> key_panels;  // [items, KV heads, keys / 16 rounded up, head_dim, 16]; NaN in place of missing keys
};

// An array that an option reads: densely, from its first byte to its last.
struct OptionInput {
  const char* argument;
  const void* data;
  std::size_t bytes;
  void (*place)(attn::AttentionArgs&, const void*);  // has it read from another place
};

struct Option {
  const char* name;
  void (*set)(Problem&, OptionMemory&);
  std::vector<OptionInput> (*reads)(const OptionMemory&) = nullptr;
  void (*spoil)(OptionMemory&) = nullptr;  // puts a NaN into what it reads, where a query sees it
  bool changes_output = true;  // by more than rounding
  bool streaming_only = false;  // Path::blas refuses it
};

const std::vector<Option>& options();

// One member of AttentionArgs; those of its tensors, mask and bias one by one, as "mask.row_stride".
struct Member {
  std::string name;
  std::size_t offset, bytes;
};
const std::vector<Member>& members();

// The names of the members of `args` that are not as in AttentionArgs().
std::vector<std::string> changed_members(const attn::AttentionArgs& args);

}  // namespace test
