#include "support/pages.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <stdexcept>

#include "support/oracle.hpp"

namespace test {
namespace {

using attn::AttentionArgs;
using attn::DType;
using std::int64_t;

// Bytes of so many elements.
int64_t bytes_of(DType type, int64_t elements) {
  switch (type) {
    case DType::f32:
      return 4 * elements;
    case DType::f16:
    case DType::bf16:
      return 2 * elements;
    case DType::i8:
      return elements;
    case DType::q8_0:
      return elements / 32 * 34;
  }
  throw std::logic_error("no DType");
}

// The pages of a tensor whose unit is a row, or a panel of 16 keys.
struct Layout {
  int64_t count, heads, rows, columns;  // of a page: heads, units, elements of one
  int64_t batch_stride, head_stride, row_stride, size;
};

// Pages of heads of rows, or of rows of heads, with some elements between them. What was broadcast stays so.
Layout layout_of(const attn::Tensor& t, int64_t count, int64_t heads, int64_t rows, int64_t columns, Random& random) {
  const int64_t gap = t.dtype == DType::q8_0 ? 32 : random.integer(0, 5);
  Layout x{count, heads, rows, columns, 0, 0, 0, 0};
  const bool one_head = heads > 1 && t.head_stride == 0, one_row = t.row_stride == 0;
  const int64_t all_heads = one_head ? 1 : heads, all_rows = one_row ? 1 : rows;
  if (random.flip()) {
    x.row_stride = columns + gap;
    x.head_stride = all_rows * x.row_stride;
    x.batch_stride = all_heads * x.head_stride + gap;
  } else {
    x.head_stride = columns + gap;
    x.row_stride = all_heads * x.head_stride;
    x.batch_stride = all_rows * x.row_stride + gap;
  }
  if (one_head) x.head_stride = 0;
  if (one_row) x.row_stride = 0;
  x.size = count * x.batch_stride;
  return x;
}

}  // namespace

std::vector<std::vector<char>> needed_keys(const AttentionArgs& args) {
  AttentionArgs a = args;
  a.mask = {};
  a.bias = {};
  a.scores = {};
  a.query_heads = a.kv_heads = a.head_dim = 1;
  a.value_dim = 0;
  a.sinks = a.alibi_slopes = nullptr;
  a.key_layout = attn::KeyLayout::rows;
  a.page_table = nullptr;
  const float zero = 0;  // one number for all that the oracle multiplies
  a.query = a.key = a.value = {&zero, DType::f32, 0, 0, 0};
  a.key_scales = a.value_scales = {};
  const std::vector<char> allowed = attend(a).allowed;
  std::vector<std::vector<char>> needed(static_cast<std::size_t>(a.batch));
  std::size_t next = 0;
  for (int64_t b = 0; b < a.batch; ++b) {
    std::vector<char>& item = needed[static_cast<std::size_t>(b)];
    item.assign(static_cast<std::size_t>(a.key_length), 0);
    for (int64_t t = 0; t < a.query_length; ++t)
      for (char& x : item) x = static_cast<char>(x | allowed[next++]);
    const int64_t keys = a.key_lengths ? a.key_lengths[b] : a.key_length;
    if (args.scores.data && a.query_length > 0) std::fill_n(item.begin(), keys, 1);
  }
  return needed;
}

void Pages::lay(AttentionArgs& a, int64_t length, Random& random) {
  const std::vector<std::vector<char>> needed = needed_keys(a);
  const bool panels = a.key_layout == attn::KeyLayout::panels;
  const int64_t per_item = (a.key_length + length - 1) / length;
  const bool shared = a.batch > 1 && a.key.batch_stride == 0 && a.value.batch_stride == 0 &&
      (!a.key_scales.data || a.key_scales.batch_stride == 0) &&
      (!a.value_scales.data || a.value_scales.batch_stride == 0);
  // Pages in any order, two more than there are.
  std::vector<std::int32_t> order;
  for (int64_t i = 0; i < (shared ? 1 : a.batch) * per_item + 2; ++i) order.push_back(static_cast<std::int32_t>(i));
  for (std::size_t i = order.size(); i-- > 1;) std::swap(order[i], order[random.integer(0, static_cast<int64_t>(i))]);
  const int64_t count = static_cast<int64_t>(order.size());

  const int64_t units = panels ? length / 16 : length, key_columns = panels ? 16 * a.head_dim : a.head_dim;
  const Layout k = layout_of(a.key, count, a.kv_heads, units, key_columns, random);
  const Layout v = layout_of(a.value, count, a.kv_heads, length, a.value_dim, random);
  keys.assign(static_cast<std::size_t>(bytes_of(a.key.dtype, k.size)), 0xff);  // NaN in every type, -1 in i8
  values.assign(static_cast<std::size_t>(bytes_of(a.value.dtype, v.size)), 0xff);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  key_scales.assign(static_cast<std::size_t>(a.key_scales.data ? count * a.kv_heads * length : 0), nan);
  value_scales.assign(static_cast<std::size_t>(a.value_scales.data ? count * a.kv_heads * length : 0), nan);

  const int64_t stride = per_item + random.integer(0, 2);
  table.assign(static_cast<std::size_t>(a.batch * stride), 0);
  for (std::int32_t& x : table)
    x = random.pick(std::vector<std::int32_t>{-1, std::numeric_limits<std::int32_t>::max(), 77777});
  const auto copy = [&](const attn::Tensor& t, const Layout& to, std::vector<unsigned char>& bytes, int64_t per_unit) {
    for (int64_t b = 0; b < a.batch; ++b)
      for (int64_t h = 0; h < a.kv_heads; ++h)
        for (int64_t j = 0; j < (a.key_lengths ? a.key_lengths[b] : a.key_length); j += per_unit) {
          const int64_t page = order[static_cast<std::size_t>((shared ? 0 : b) * per_item + j / length)];
          const int64_t from =
              b * t.batch_stride + h * t.head_stride + (a.key_length > 1 ? j / per_unit * t.row_stride : 0);
          const int64_t at = page * to.batch_stride + h * to.head_stride + j % length / per_unit * to.row_stride;
          std::memcpy(
              bytes.data() + bytes_of(t.dtype, at), static_cast<const char*>(t.data) + bytes_of(t.dtype, from),
              static_cast<std::size_t>(bytes_of(t.dtype, to.columns)));
        }
  };
  copy(a.key, k, keys, panels ? 16 : 1);
  copy(a.value, v, values, 1);
  const auto copy_scales = [&](const attn::Scales& from, std::vector<float>& to) {
    for (int64_t b = 0; b < a.batch; ++b)
      for (int64_t h = 0; h < a.kv_heads; ++h)
        for (int64_t j = 0; from.data && j < (a.key_lengths ? a.key_lengths[b] : a.key_length); ++j) {
          const int64_t page = order[static_cast<std::size_t>((shared ? 0 : b) * per_item + j / length)];
          to[static_cast<std::size_t>((page * a.kv_heads + h) * length + j % length)] =
              from.data[b * from.batch_stride + h * from.head_stride + j * from.row_stride];
        }
  };
  copy_scales(a.key_scales, key_scales);
  copy_scales(a.value_scales, value_scales);

  for (int64_t b = 0; b < a.batch; ++b)
    for (int64_t j = 0; j < a.key_length; ++j)
      if (needed[static_cast<std::size_t>(b)][static_cast<std::size_t>(j)])
        table[static_cast<std::size_t>(b * stride + j / length)] =
            order[static_cast<std::size_t>((shared ? 0 : b) * per_item + j / length)];
  a.key = {keys.data(), a.key.dtype, k.batch_stride, k.head_stride, k.row_stride};
  a.value = {values.data(), a.value.dtype, v.batch_stride, v.head_stride, v.row_stride};
  if (a.key_scales.data) a.key_scales = {key_scales.data(), a.kv_heads * length, length, 1};
  if (a.value_scales.data) a.value_scales = {value_scales.data(), a.kv_heads * length, length, 1};
  static const std::int32_t none = -1;
  a.page_table = table.empty() ? &none : table.data();
  a.page_table_stride = stride;
  a.page_length = length;
  a.page_count = count;
}

}  // namespace test
