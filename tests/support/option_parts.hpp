// What the lists of options share: options.cpp, and those of caches.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "support/options.hpp"

namespace test {

inline constexpr std::int64_t items = 2, heads = 4, kv_heads = heads / 2;
inline constexpr std::int64_t block_columns = 64;  // of rows of q8_0

template <class T>
const T* as(const void* x) {
  return static_cast<const T*>(x);
}

template <class T>
OptionInput input(
    const char* argument, const std::vector<T>& x, std::size_t count,
    void (*place)(attn::AttentionArgs&, const void*)) {
  return {argument, x.data(), count * sizeof(T), place};
}

inline std::vector<OptionInput> mask_of(const OptionMemory& m, std::size_t count) {
  return {
      input("mask", m.mask, count, [](attn::AttentionArgs& a, const void* x) { a.mask.data = as<std::uint8_t>(x); })};
}
template <class T>
std::vector<OptionInput> bias_of(const std::vector<T>& bias, std::size_t count) {
  return {input("bias", bias, count, [](attn::AttentionArgs& a, const void* x) { a.bias.data = x; })};
}
inline std::size_t matrix(const OptionMemory& m) { return static_cast<std::size_t>(m.rows * m.keys); }

inline void store_inputs(Problem& p, const std::vector<std::uint16_t>& halves, attn::DType type) {
  for (attn::Tensor* x : {&p.args.query, &p.args.key, &p.args.value}) {
    x->data = halves.data();
    x->dtype = type;
  }
}

// options_of_caches.cpp: types, pages, panels, masks of the last keys.
void add_options_of_caches(std::vector<Option>& list);

}  // namespace test
