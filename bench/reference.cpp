#include "reference.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "call/addresses.hpp"
#include "tests/support/oracle.hpp"

namespace bench {
namespace {

using std::int64_t;

// 2^20 products take the oracle about 5 ms, less than a sample of the shortest call.
constexpr double most_products = 0x1p20;
constexpr int64_t least_rows = 3, most_rows = 64;

// The call of one query row alone, at the position that it has in the whole one.
struct OneRow {
  OneRow(const attn::AttentionArgs& whole, int64_t b, int64_t h, int64_t t) : args(whole) {
    const int64_t keys = whole.key_lengths ? whole.key_lengths[b] : whole.key_length;
    if (whole.alignment == attn::Alignment::given)
      position = whole.query_offsets[b] + t;
    else
      position = t + (whole.alignment == attn::Alignment::bottom_right ? keys - whole.query_length : 0);
    const int64_t kv_head = h / (whole.query_heads / whole.kv_heads);
    args.batch = args.query_heads = args.kv_heads = args.query_length = 1;
    args.query = row_of(whole.query, b, h, t);
    // With pages the item's part of the table says where its rows stand.
    const int64_t item = whole.page_table ? 0 : b;
    args.key = row_of(whole.key, item, kv_head, 0);
    args.value = row_of(whole.value, item, kv_head, 0);
    args.key_scales = row_of(whole.key_scales, item, kv_head);
    args.value_scales = row_of(whole.value_scales, item, kv_head);
    if (whole.page_table) args.page_table += b * whole.page_table_stride;
    args.alignment = attn::Alignment::given;
    args.query_offsets = &position;
    const auto offset = [&](const auto& x) { return b * x.batch_stride + h * x.head_stride + t * x.row_stride; };
    if (whole.mask.data) args.mask.data += offset(whole.mask);
    if (whole.bias.data) args.bias.data = static_cast<const float*>(whole.bias.data) + offset(whole.bias);
    if (whole.bias.head_factors) args.bias.head_factors += h;
    if (whole.alibi_slopes) args.alibi_slopes += h;
    if (whole.sinks) args.sinks += h;
    if (whole.key_lengths) args.key_lengths += b;
  }

  static attn::Tensor row_of(attn::Tensor x, int64_t b, int64_t h, int64_t t) {
    x.data = attn::address_of(x, b, h, t);
    return x;
  }
  static attn::Scales row_of(attn::Scales x, int64_t b, int64_t h) {
    if (x.data) x.data += b * x.batch_stride + h * x.head_stride;
    return x;
  }

  attn::AttentionArgs args;
  int64_t position;
};

}  // namespace

Reference::Reference(const attn::AttentionArgs& args) {
  if (args.cu_query_lengths || (args.bias.data && args.bias.dtype != attn::DType::f32))
    throw std::invalid_argument("Reference: no packed batch and no bias of halves");
  const int64_t all = args.batch * args.query_heads * args.query_length;
  const double products = static_cast<double>(args.key_length) * static_cast<double>(args.head_dim + args.value_dim);
  const int64_t wanted = std::clamp(static_cast<int64_t>(most_products / products), least_rows, most_rows);
  const int64_t count = std::min(all, wanted);
  for (int64_t i = 0; i < count; ++i) {
    const int64_t row = count == 1 ? 0 : i * (all - 1) / (count - 1);  // the first and the last are among them
    const int64_t t = row % args.query_length, head = row / args.query_length;
    const int64_t h = head % args.query_heads, b = head / args.query_heads;
    const test::Attended right = test::attend(OneRow(args, b, h, t).args);
    rows_.push_back({b, h, t, right.output});
    largest_value_ = std::max(largest_value_, right.largest_value);
  }
}

double Reference::error_of(const attn::Output& y) const {
  double largest = 0;
  for (const Row& row : rows_)
    for (std::size_t c = 0; c < row.output.size(); ++c) {
      const double difference =
          test::element_of(y, row.batch, row.head, row.query, static_cast<int64_t>(c)) - row.output[c];
      if (std::isnan(difference)) return std::numeric_limits<double>::infinity();
      largest = std::max(largest, std::fabs(difference));
    }
  return largest / largest_value_;
}

}  // namespace bench
