// The keys of a mixture, laid in panels: byte by byte, whatever their type.
#include <algorithm>
#include <cstring>

#include "support/random_problem.hpp"

namespace test {
namespace {

using std::int64_t;

constexpr int64_t panel = 16;

std::size_t bytes_of(attn::DType type) { return type == attn::DType::f32 ? 4 : type == attn::DType::i8 ? 1 : 2; }

// All bits of an element but the sign: a NaN of each type, and 127.
unsigned char poison(std::size_t byte, std::size_t bytes) { return byte % bytes == bytes - 1 ? 0x7f : 0xff; }

}  // namespace

void RandomProblem::align_keys() {
  attn::AttentionArgs& a = args();
  if (!a.cu_key_lengths) return;
  int64_t first = 0;  // of sequence b before
  for (std::size_t b = 0; b < static_cast<std::size_t>(a.batch); ++b) {
    const int64_t keys = cu_keys_[b + 1] - first;
    first = cu_keys_[b + 1];
    cu_keys_[b + 1] = cu_keys_[b] + (b + 1 < static_cast<std::size_t>(a.batch) ? keys / panel * panel : keys);
    key_lengths_[b] = std::min(key_lengths_[b], cu_keys_[b + 1] - cu_keys_[b]);
  }
  if (a.key_weight_sums) problem->want_key_weight_sums();
}

void RandomProblem::lay_in_panels(Random& random) {
  align_keys();
  attn::AttentionArgs& a = args();
  const int64_t items = a.cu_key_lengths ? 1 : a.batch, keys = a.cu_key_lengths ? cu_keys_.back() : a.key_length;
  const Dims dims{items, a.kv_heads, (keys + panel - 1) / panel, panel * a.head_dim};
  const Strided s = random_layout(random, dims, Rows::any, Use::result, 0);
  const std::size_t bytes = bytes_of(a.key.dtype);
  panels_.resize(s.storage.size() * bytes);
  for (std::size_t i = 0; i < panels_.size(); ++i) panels_[i] = poison(i, bytes);
  for (int64_t b = 0; b < items; ++b)
    for (int64_t h = 0; h < a.kv_heads; ++h)
      for (int64_t j = 0; j < keys; ++j)
        for (int64_t d = 0; d < a.head_dim; ++d) {
          const int64_t from = b * a.key.batch_stride + h * a.key.head_stride + j * a.key.row_stride + d;
          const int64_t to =
              s.start + b * s.batch_stride + h * s.head_stride + j / panel * s.row_stride + panel * d + j % panel;
          std::memcpy(
              panels_.data() + to * static_cast<int64_t>(bytes),
              static_cast<const unsigned char*>(a.key.data) + from * static_cast<int64_t>(bytes), bytes);
        }
  a.key = {
      panels_.data() + s.start * static_cast<int64_t>(bytes), a.key.dtype, s.batch_stride, s.head_stride, s.row_stride};
  a.key_layout = attn::KeyLayout::panels;
}

}  // namespace test
