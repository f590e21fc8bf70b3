// The options of caches, and of masks of the last keys.
#include <cstdint>
#include <limits>
#include <vector>

#include "support/option_parts.hpp"

namespace test {
namespace {

using attn::AttentionArgs;
using attn::DType;
using std::int64_t;

// Columns of a mask of the last keys: a tenth, so that of many keys whole blocks stand before them.
int64_t few_columns(const OptionMemory& m) { return (m.keys + 9) / 10; }

// ---- Int8 ----

void set_i8(Problem& p, OptionMemory& m) {
  attn::AttentionArgs& a = p.args;
  a.key = attn::bhtd(m.i8.data(), kv_heads, m.keys, a.head_dim);
  a.value = attn::bhtd(m.i8.data(), kv_heads, m.keys, a.value_dim);
  a.key_scales = {m.key_scales.data(), kv_heads * m.keys, m.keys, 1};
  a.value_scales = {m.value_scales.data(), kv_heads * m.keys, m.keys, 1};
}

// Blocks want sizes of their own: the queries are others, the output is the Problem's.
void set_q8_0(Problem& p, OptionMemory& m) {
  attn::AttentionArgs& a = p.args;
  a.head_dim = block_columns;
  a.value_dim = 32;
  const float* const queries = m.wide_queries.data();
  const attn::q8_0* const blocks = m.q8_0.data();
  a.query = attn::bhtd(queries, heads, m.rows, block_columns);
  a.key = attn::bhtd(blocks, kv_heads, m.keys, block_columns);
  a.value = attn::bhtd(blocks + 1, kv_heads, m.keys, block_columns);  // the second block of each row
}

void add_int8(std::vector<Option>& list) {
  const auto reads_i8 = [](const OptionMemory& m) -> std::vector<OptionInput> {
    const std::size_t rows = m.key_scales.size();
    return {
        input("key", m.i8, rows * 20, [](AttentionArgs& a, const void* x) { a.key.data = x; }),
        input(
            "key_scales", m.key_scales, rows,
            [](AttentionArgs& a, const void* x) { a.key_scales.data = as<float>(x); }),
        input("value_scales", m.value_scales, rows, [](AttentionArgs& a, const void* x) {
          a.value_scales.data = as<float>(x);
        })};
  };
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  list.push_back({"i8", set_i8, reads_i8, [](OptionMemory& m) { m.key_scales[2] = nan; }});
  const auto set_i8_values = [](Problem& p, OptionMemory& m) {
    const attn::Tensor key = p.args.key;
    set_i8(p, m);
    p.args.key = key;
    p.args.key_scales = {};
  };
  list.push_back({"i8 values", set_i8_values, nullptr, [](OptionMemory& m) { m.value_scales[2] = nan; }});
  // What it reads has sizes of its own: overlap in int8_test.cpp.
  list.push_back({"q8_0", set_q8_0, nullptr, [](OptionMemory& m) { m.q8_0[4].scale.bits = 0x7fff; }});
}

void add_mask_columns(std::vector<Option>& list) {
  list.push_back(
      {"mask_columns",
       [](Problem& p, OptionMemory& m) {
         p.args.mask_columns = few_columns(m);
         p.args.mask = {m.mask.data(), 0, m.rows * few_columns(m), few_columns(m), 1};
       },
       [](const OptionMemory& m) { return mask_of(m, static_cast<std::size_t>(heads * m.rows * few_columns(m))); }});
  list.push_back(
      {"mask_columns, transposed, of fewer keys",
       [](Problem& p, OptionMemory& m) {
         p.args.mask_columns = m.keys / 2;
         p.args.mask = {m.mask.data(), 0, 0, 1, m.rows};
         p.args.key_lengths = m.lengths.data();
       },
       [](const OptionMemory& m) { return mask_of(m, static_cast<std::size_t>(m.rows * (m.keys / 2))); }});
  list.push_back(
      {"mask_columns, packed",
       [](Problem& p, OptionMemory& m) {
         p.args.mask_columns = few_columns(m);
         p.args.mask = {m.mask.data(), m.rows * few_columns(m), 0, few_columns(m), 1};
         p.args.cu_query_lengths = m.cu_queries.data();
         p.args.cu_key_lengths = m.cu_keys.data();
         p.want_weights();
       },
       [](const OptionMemory& m) { return mask_of(m, static_cast<std::size_t>(items * m.rows * few_columns(m))); }});
}

void add_bf16_weights(std::vector<Option>& list) {
  Option option{"bf16 weights", [](Problem& p, OptionMemory& m) {
                  store_inputs(p, m.bf16, DType::bf16);
                  p.args.bf16_weights = true;
                }};
  option.spoil = [](OptionMemory& m) { m.bf16[5] = 0x7fff; };
  option.streaming_only = true;
  list.push_back(option);
}

// Pages of 16, in an order that is not theirs.
void add_pages(std::vector<Option>& list) {
  list.push_back(
      {"pages",
       [](Problem& p, OptionMemory& m) {
         AttentionArgs& a = p.args;
         a.key = attn::bhtd(as<float>(m.page_keys.data()), a.kv_heads, 16, a.head_dim);
         a.value = attn::bhtd(as<float>(m.page_values.data()), a.kv_heads, 16, a.value_dim);
         a.page_table = m.page_table.data();
         a.page_table_stride = static_cast<int64_t>(m.page_table.size()) / items;
         a.page_length = 16;
         a.page_count = static_cast<int64_t>(m.page_keys.size()) / (a.kv_heads * 16 * a.head_dim);
       },
       [](const OptionMemory& m) -> std::vector<OptionInput> {
         return {
             input(
                 "page_table", m.page_table, m.page_table.size(),
                 [](AttentionArgs& a, const void* x) { a.page_table = as<std::int32_t>(x); }),
             input("key", m.page_keys, m.page_keys.size(), [](AttentionArgs& a, const void* x) { a.key.data = x; }),
             input("value", m.page_values, m.page_values.size(), [](AttentionArgs& a, const void* x) {
               a.value.data = x;
             })};
       },
       [](OptionMemory& m) {  // the first head of a page that the first item reads
         const std::size_t page = m.page_keys.size() / (m.page_table.size() + 1);
         m.page_keys[static_cast<std::size_t>(m.page_table.front()) * page + 5] =
             std::numeric_limits<float>::quiet_NaN();
       }});
}

void add_panels(std::vector<Option>& list) {
  list.push_back(
      {"panels",
       [](Problem& p, OptionMemory& m) {
         p.args.key =
             attn::key_panels(static_cast<const float*>(m.key_panels.data()), p.args.kv_heads, m.keys, p.args.head_dim);
         p.args.key_layout = attn::KeyLayout::panels;
       },
       [](const OptionMemory& m) -> std::vector<OptionInput> {
         return {
             input("key", m.key_panels, m.key_panels.size(), [](AttentionArgs& a, const void* x) { a.key.data = x; })};
       },
       [](OptionMemory& m) { m.key_panels[5] = std::numeric_limits<float>::quiet_NaN(); }});
  list.push_back(
      {"panels in bf16",
       [](Problem& p, OptionMemory& m) {
         store_inputs(p, m.bf16, DType::bf16);
         p.args.key = attn::key_panels(
             reinterpret_cast<const attn::bf16*>(m.bf16.data()), p.args.kv_heads, m.keys, p.args.head_dim);
         p.args.key_layout = attn::KeyLayout::panels;
       },
       nullptr, [](OptionMemory& m) { m.bf16[5] = 0x7fff; }});
  list.push_back(
      {"panels in i8",
       [](Problem& p, OptionMemory& m) {
         set_i8(p, m);
         p.args.key =
             attn::key_panels(static_cast<const std::int8_t*>(m.i8.data()), p.args.kv_heads, m.keys, p.args.head_dim);
         p.args.key_layout = attn::KeyLayout::panels;
       },
       nullptr, [](OptionMemory& m) { m.key_scales[2] = std::numeric_limits<float>::quiet_NaN(); }});
}

}  // namespace

void add_options_of_caches(std::vector<Option>& list) {
  add_int8(list);
  add_mask_columns(list);
  add_bf16_weights(list);
  add_pages(list);
  add_panels(list);
}

}  // namespace test
