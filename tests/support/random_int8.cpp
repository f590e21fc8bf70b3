// Keys and values of a mixture made int8, with scales or in blocks.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "call/addresses.hpp"
#include "support/random_problem.hpp"

namespace test {
namespace {

using std::int64_t;

Dims cache_dims(const attn::AttentionArgs& a, int64_t columns) {
  if (a.cu_key_lengths) return {1, a.kv_heads, a.cu_key_lengths[a.batch], columns};
  return {a.batch, a.kv_heads, a.key_length, columns};
}

// Scales of any sign, with gaps, and walked in any order.
void add_scales(Random& random, const Dims& dims, RandomProblem::Int8& x, attn::Scales& scales) {
  x.scales = random_layout(random, {dims.batch, dims.heads, dims.rows, 1}, Rows::any, Use::input);
  for (float& scale : x.scales.storage) scale *= 0x1p-7f;
  scales = {x.scales.storage.data() + x.scales.start, x.scales.batch_stride, x.scales.head_stride, x.scales.row_stride};
}

// In the layout of the numbers before: a place for each of them.
void make_bytes(Random& random, std::size_t places, int64_t start, RandomProblem::Int8& x, attn::Tensor& t) {
  for (std::size_t i = 0; i < places; ++i) x.bytes.push_back(static_cast<std::int8_t>(random.integer(-128, 127)));
  t.data = x.bytes.data() + start;
  t.dtype = attn::DType::i8;
}

// Dense by rows, the rows of a head or the heads of a row together, of the last blocks of wider rows.
void make_blocks(Random& random, const Dims& d, RandomProblem::Int8& x, attn::Tensor& t) {
  const int64_t width = d.columns / 32 + random.integer(0, 1), before = width - d.columns / 32;
  for (int64_t i = 0; i < std::max<int64_t>(1, d.batch * d.heads * d.rows * width); ++i) {
    attn::q8_0 block{{random.signed_half(0x1800, 0x2400)}, {}};
    for (std::int8_t& value : block.values) value = static_cast<std::int8_t>(random.integer(-128, 127));
    x.blocks.push_back(block);
  }
  const attn::q8_0* const blocks = x.blocks.data();
  t = random.flip() ? attn::bhtd(blocks, d.heads, d.rows, 32 * width) : attn::bthd(blocks, d.heads, d.rows, 32 * width);
  t.data = blocks + before;
}

}  // namespace

void RandomProblem::quantise(Random& random) {
  attn::AttentionArgs& a = args();
  const bool keys = random.integer(0, 2) != 0, values = !keys || random.integer(0, 2) != 0;
  if (keys) quantise(random, cache_dims(a, a.head_dim), k_, k8_, a.key, a.key_scales);
  if (values) quantise(random, cache_dims(a, a.value_dim), v_, v8_, a.value, a.value_scales);
}

void RandomProblem::quantise(
    Random& random, const Dims& dims, const Stored& stored, Int8& x, attn::Tensor& tensor, attn::Scales& scales) {
  if (dims.columns % 32 == 0 && random.flip()) return make_blocks(random, dims, x, tensor);
  make_bytes(random, stored.strided.storage.size(), stored.strided.start, x, tensor);
  add_scales(random, dims, x, scales);
}

void RandomProblem::for_each_cache_row(const Visit& visit) {
  attn::AttentionArgs a = args();
  a.scores = {};
  const std::vector<char> allowed = attend(a).allowed;
  std::size_t next = 0;  // in `allowed`, which goes by item, head, query and key
  for (int64_t b = 0; b < a.batch; ++b) {
    const bool packed = a.cu_query_lengths != nullptr;
    const int64_t queries = packed ? a.cu_query_lengths[b + 1] - a.cu_query_lengths[b] : a.query_length;
    const int64_t first = packed ? a.cu_key_lengths[b] : 0;
    const int64_t keys = packed ? a.cu_key_lengths[b + 1] - first : a.key_length, group = a.query_heads / a.kv_heads;
    for (int64_t h = 0; h < a.kv_heads; ++h) {
      std::vector<char> seen(static_cast<std::size_t>(keys));
      for (int64_t row = 0; row < group * queries; ++row)
        for (char& s : seen) s = static_cast<char>(s | allowed[next++]);
      for (int64_t j = 0; j < keys; ++j) visit(packed ? 0 : b, h, first + j, seen[static_cast<std::size_t>(j)] != 0);
    }
  }
}

namespace {

// The place of a row's scale, or the bits of the first of its blocks.
void put_nan(attn::Tensor& t, attn::Scales& scales, int64_t b, int64_t h, int64_t r) {
  if (t.dtype == attn::DType::i8) {
    const float* const at = scales.data + b * scales.batch_stride + h * scales.head_stride + r * scales.row_stride;
    *const_cast<float*>(at) = std::numeric_limits<float>::quiet_NaN();
  }
  if (t.dtype == attn::DType::q8_0)
    reinterpret_cast<attn::q8_0*>(const_cast<char*>(attn::address_of(t, b, h, r)))->scale.bits = 0x7e00;
}

}  // namespace

int64_t RandomProblem::spoil_unseen_scales() {
  attn::AttentionArgs& a = args();
  int64_t spoilt = 0;
  for (const bool value : {false, true}) {
    attn::Tensor& t = value ? a.value : a.key;
    attn::Scales& scales = value ? a.value_scales : a.key_scales;
    if (t.dtype <= attn::DType::bf16) continue;
    // A broadcast scale, or row, is seen if any row that has it is.
    std::vector<const void*> seen_places;
    const auto address = [&](int64_t b, int64_t h, int64_t r) -> const void* {
      if (t.dtype == attn::DType::q8_0) return attn::address_of(t, b, h, r);
      return scales.data + b * scales.batch_stride + h * scales.head_stride + r * scales.row_stride;
    };
    for_each_cache_row([&](int64_t b, int64_t h, int64_t r, bool seen) {
      if (seen) seen_places.push_back(address(b, h, r));
    });
    std::sort(seen_places.begin(), seen_places.end());
    for_each_cache_row([&](int64_t b, int64_t h, int64_t r, bool) {
      if (std::binary_search(seen_places.begin(), seen_places.end(), address(b, h, r))) return;
      put_nan(t, scales, b, h, r);
      ++spoilt;
    });
  }
  return spoilt;
}

bool RandomProblem::spoil_seen_scale(Random& random) {
  attn::AttentionArgs& a = args();
  const bool value = a.key.dtype <= attn::DType::bf16 || (a.value.dtype > attn::DType::bf16 && random.flip());
  std::vector<std::vector<int64_t>> places;
  for_each_cache_row([&](int64_t b, int64_t h, int64_t r, bool seen) {
    if (seen) places.push_back({b, h, r});
  });
  if (places.empty()) return false;
  const std::vector<int64_t>& at = random.pick(places);
  put_nan(value ? a.value : a.key, value ? a.value_scales : a.key_scales, at[0], at[1], at[2]);
  return true;
}

}  // namespace test
