// options/<isa>/<row>/<option>: a call with an option and, in turn, the same call without: counter plain_seconds.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "attn/attention.hpp"
#include "attn/kv_cache.hpp"
#include "attn/status.hpp"
#include "bench.hpp"
#include "problem.hpp"
#include "reference.hpp"
#include "rows.hpp"

namespace {

using attn::AttentionArgs;

// Tensors that the options point to.
struct Extras {
  std::vector<std::uint8_t> mask;
  std::vector<float> bias, slopes, sums, weights;
  std::vector<std::uint16_t> key, value;
  std::vector<float> page_keys, page_values;
  std::vector<std::int32_t> page_table;
  std::vector<float> panels;
};

struct Option {
  const char *name, *row;
  void (*set)(AttentionArgs& args, Extras& extras);
};

// The upper halves of floats: bf16 by truncation, and as f16 some numbers or other.
std::vector<std::uint16_t> halves(const void* data, std::int64_t count) {
  std::vector<std::uint16_t> result(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) {
    std::uint32_t bits;
    std::memcpy(&bits, static_cast<const float*>(data) + i, 4);
    result[static_cast<std::size_t>(i)] = static_cast<std::uint16_t>(bits >> 16);
  }
  return result;
}

template <attn::DType Type>
void store_half(AttentionArgs& a, Extras& x) {
  const std::int64_t count = a.batch * a.kv_heads * a.key_length * a.head_dim;
  x.key = halves(a.key.data, count);
  x.value = halves(a.value.data, count);
  if (Type == attn::DType::f16)  // sign and six bits of exponent and fraction: numbers between 2^-7 and 2
    for (auto* tensor : {&x.key, &x.value})
      for (std::uint16_t& h : *tensor) h = static_cast<std::uint16_t>((h & 0x9fff) | 0x2000);
  a.key.data = x.key.data();
  a.value.data = x.value.data();
  a.key.dtype = a.value.dtype = Type;
}

// Pages of so many rows [page, KV head, row], in an order that no prefetcher foresees.
template <std::int64_t Rows>
void lay_in_pages(AttentionArgs& a, Extras& x) {
  const std::int64_t each = a.key_length / Rows, count = a.batch * each;
  for (std::int64_t i = 0; i < count; ++i) x.page_table.push_back(static_cast<std::int32_t>(i * 1000003 % count));
  const auto lay = [&](attn::Tensor& t, std::vector<float>& pages, std::int64_t columns) {
    pages.resize(static_cast<std::size_t>(count * a.kv_heads * Rows * columns));
    for (std::int64_t b = 0; b < a.batch; ++b)
      for (std::int64_t h = 0; h < a.kv_heads; ++h)
        for (std::int64_t j = 0; j < a.key_length; ++j) {
          const std::int64_t page = x.page_table[static_cast<std::size_t>(b * each + j / Rows)];
          const float* const row =
              static_cast<const float*>(t.data) + b * t.batch_stride + h * t.head_stride + j * t.row_stride;
          std::copy_n(row, columns, pages.begin() + ((page * a.kv_heads + h) * Rows + j % Rows) * columns);
        }
    t = attn::bhtd(static_cast<const float*>(pages.data()), a.kv_heads, Rows, columns);
  };
  lay(a.key, x.page_keys, a.head_dim);
  lay(a.value, x.page_values, a.value_dim);
  a.page_table = x.page_table.data();
  a.page_table_stride = each;
  a.page_length = Rows;
  a.page_count = count;
}

// Keys in panels, against the same keys in rows.
void lay_in_panels(AttentionArgs& a, Extras& x) {
  x.panels.resize(static_cast<std::size_t>(a.batch * a.kv_heads * attn::panel_rows(a.key_length) * a.head_dim));
  const attn::Output panels = attn::key_panels(x.panels.data(), a.kv_heads, a.key_length, a.head_dim);
  attn::throw_if_error(attn::keys_to_panels(a.batch, a.kv_heads, a.key_length, a.head_dim, a.key, panels));
  a.key = panels;
  a.key_layout = attn::KeyLayout::panels;
}

const Option options[] = {
    {"mask_padding", "prefill/T512",  // [B, 1, 1, T]: the last tenth of the keys is padding
     [](AttentionArgs& a, Extras& x) {
       x.mask.assign(static_cast<std::size_t>(a.batch * a.key_length), 1);
       for (std::int64_t b = 0; b < a.batch; ++b)
         std::fill_n(x.mask.begin() + b * a.key_length + a.key_length * 9 / 10, a.key_length / 10, 0);
       a.mask = {x.mask.data(), a.key_length, 0, 0, 1};
     }},
    {"mask_scattered", "prefill/T512",  // [B, 1, 1, T]: one key in eight is excluded
     [](AttentionArgs& a, Extras& x) {
       for (std::int64_t i = 0; i < a.batch * a.key_length; ++i) x.mask.push_back(i * 2654435761 % 4096 >= 512);
       a.mask = {x.mask.data(), a.key_length, 0, 0, 1};
     }},
    {"mask_full", "prefill/T512",  // [T, T]: one in eight is excluded
     [](AttentionArgs& a, Extras& x) {
       for (std::int64_t i = 0; i < a.query_length * a.key_length; ++i) x.mask.push_back(i * 2654435761 % 4096 >= 512);
       a.mask = {x.mask.data(), 0, 0, a.key_length, 1};
     }},
    {"bias", "prefill/T512",  // [T, T]
     [](AttentionArgs& a, Extras& x) {
       x.bias = bench::normals(a.query_length * a.key_length, 4);
       a.bias = {x.bias.data(), attn::DType::f32, 0, 0, a.key_length, 1};
     }},
    {"mask_causal", "prefill/T512",  // [T, T]
     [](AttentionArgs& a, Extras& x) {
       for (std::int64_t i = 0; i < a.query_length * a.key_length; ++i)
         x.mask.push_back(i % a.key_length <= i / a.key_length);
       a.mask = {x.mask.data(), 0, 0, a.key_length, 1};
     }},
    {"bias_causal", "prefill/T512",  // [T, T], the same mask as 0 and -inf
     [](AttentionArgs& a, Extras& x) {
       for (std::int64_t i = 0; i < a.query_length * a.key_length; ++i)
         x.bias.push_back(i % a.key_length <= i / a.key_length ? 0 : -std::numeric_limits<float>::infinity());
       a.bias = {x.bias.data(), attn::DType::f32, 0, 0, a.key_length, 1};
     }},
    {"bias_padding", "decode4k",  // [B, 1, 1, T]: 768 keys of the cache are in use, by 0 and -inf
     [](AttentionArgs& a, Extras& x) {
       for (std::int64_t i = 0; i < a.batch * a.key_length; ++i)
         x.bias.push_back(i % a.key_length < 768 ? 0 : -std::numeric_limits<float>::infinity());
       a.bias = {x.bias.data(), attn::DType::f32, a.key_length, 0, 0, 1};
     }},
    {"softcap", "prefill/T512", [](AttentionArgs& a, Extras&) { a.softcap = 50; }},
    {"alibi", "prefill/T512",
     [](AttentionArgs& a, Extras& x) {
       x.slopes.assign(static_cast<std::size_t>(a.query_heads), 0.1f);
       a.alibi_slopes = x.slopes.data();
     }},
    {"key_weight_sums", "prefill/T512",
     [](AttentionArgs& a, Extras& x) {
       x.sums.resize(static_cast<std::size_t>(a.batch * a.query_heads * a.key_length));
       a.key_weight_sums = x.sums.data();
     }},
    {"weights", "prefill/T512",
     [](AttentionArgs& a, Extras& x) {
       x.weights.resize(static_cast<std::size_t>(a.batch * a.query_heads * a.query_length * a.key_length));
       a.weights = attn::bhtd(x.weights.data(), a.query_heads, a.query_length, a.key_length);
     }},
    {"window256", "prefill/T2048",
     [](AttentionArgs& a, Extras&) {
       a.window_left = 128;
       a.window_right = 127;
     }},
    {"window256_mask", "prefill/T2048",  // the same window as a full boolean mask [T, T]
     [](AttentionArgs& a, Extras& x) {
       x.mask.assign(static_cast<std::size_t>(a.query_length * a.key_length), 0);
       for (std::int64_t t = 0; t < a.query_length; ++t)
         for (std::int64_t j = std::max<std::int64_t>(0, t - 128); j < std::min(a.key_length, t + 128); ++j)
           x.mask[static_cast<std::size_t>(t * a.key_length + j)] = 1;
       a.mask = {x.mask.data(), 0, 0, a.key_length, 1};
     }},
    {"tree", "decode/draft8_4096",  // of drafts, in two branches each: node n is a child of (n - 1) / 2
     [](AttentionArgs& a, Extras& x) {
       x.mask.assign(static_cast<std::size_t>(a.query_length * a.query_length), 0);
       for (std::int64_t node = 0; node < a.query_length; ++node)
         for (std::int64_t seen = node; seen >= 0; seen = seen == 0 ? -1 : (seen - 1) / 2)
           x.mask[static_cast<std::size_t>(node * a.query_length + seen)] = 1;
       a.mask = {x.mask.data(), 0, 0, a.query_length, 1};
       a.mask_columns = a.query_length;
     }},
    {"bf16", "decode4k", store_half<attn::DType::bf16>},
    {"f16", "decode4k", store_half<attn::DType::f16>},
    {"bf16", "prefill/T512", store_half<attn::DType::bf16>},
    {"pages16", "decode4k", lay_in_pages<16>},
    {"pages64", "decode4k", lay_in_pages<64>},
    {"pages16", "prefill4k", lay_in_pages<16>},
    {"panels", "decode/h1_1024", lay_in_panels},
    {"panels", "decode/h12_64", lay_in_panels},
    {"panels", "decode/h12_256", lay_in_panels},
    {"panels", "decode/h12_1024", lay_in_panels},
    {"panels", "decode/h8_1500", lay_in_panels},
    {"panels", "decode/T1024", lay_in_panels},  // head_dim 128
    {"panels", "decode4k", lay_in_panels},
    {"panels", "prefill/T512", lay_in_panels},
};

bench::Work work_of(const Option& option, const bench::AttentionRow& row) {
  const std::shared_ptr<bench::Problem> problem = bench::problem_of(row);
  const auto extras = std::make_shared<Extras>();
  AttentionArgs args = problem->args;
  option.set(args, *extras);
  const auto with = std::make_shared<bench::Call>(args, attn::Path::streaming, 1);
  const auto plain = std::make_shared<bench::Call>(problem->args, attn::Path::streaming, 1);
  bench::Work work;
  work.error = [problem, extras, with] { return bench::Reference(with->args).error_of(with->args.output); };
  work.call = [problem, extras, with] { (*with)(); };
  work.plain = [problem, plain] { (*plain)(); };
  work.shape = row.text();
  return work;
}

void add_all() {
  for (const std::string& isa : bench::runnable_isas())
    for (const Option& option : options) {
      if (isa == "scalar") continue;
      bench::add_in_turn("options/" + isa + "/" + option.row + "/" + option.name, isa, [&option] {
        return work_of(option, bench::attention_row(option.row));
      });
    }
}

const bench::Registration registration("options", add_all);

}  // namespace
