#include "support/options.hpp"

#include <limits>

#include "support/option_parts.hpp"

namespace test {
namespace {

using attn::AttentionArgs;
using attn::DType;
using std::int64_t;

void spoil_bias(OptionMemory& m) { m.bias[m.bias.size() / 2] = std::numeric_limits<float>::quiet_NaN(); }

void store_output(Problem& p, OptionMemory& m, DType type) {
  p.args.output.data = m.halves_out.data();
  p.args.output.dtype = type;
}

void add_scores(std::vector<Option>& list) {
  list.push_back({"scale", [](Problem& p, OptionMemory&) { p.args.scale = 1.5f; }});
  list.push_back({"softcap", [](Problem& p, OptionMemory&) { p.args.softcap = 1.5f; }});
  list.push_back(
      {"alibi", [](Problem& p, OptionMemory& m) { p.args.alibi_slopes = m.slopes.data(); },
       [](const OptionMemory& m) -> std::vector<OptionInput> {
         return {input(
             "alibi_slopes", m.slopes, heads, [](AttentionArgs& a, const void* x) { a.alibi_slopes = as<float>(x); })};
       },
       [](OptionMemory& m) { m.slopes[2] = std::numeric_limits<float>::quiet_NaN(); }});
  list.push_back(
      {"sinks", [](Problem& p, OptionMemory& m) { p.args.sinks = m.sinks.data(); },
       [](const OptionMemory& m) -> std::vector<OptionInput> {
         return {input("sinks", m.sinks, heads, [](AttentionArgs& a, const void* x) { a.sinks = as<float>(x); })};
       },
       [](OptionMemory& m) { m.sinks[2] = std::numeric_limits<float>::quiet_NaN(); }});
  list.push_back(
      {"bias",
       [](Problem& p, OptionMemory& m) {
         p.args.bias = {m.bias.data(), attn::DType::f32, 0, m.rows * m.keys, m.keys, 1};
       },
       [](const OptionMemory& m) { return bias_of(m.bias, heads * matrix(m)); }, spoil_bias});
  list.push_back(
      {"bias, transposed",
       [](Problem& p, OptionMemory& m) { p.args.bias = {m.bias.data(), attn::DType::f32, 0, 0, 1, m.rows}; },
       [](const OptionMemory& m) { return bias_of(m.bias, matrix(m)); },
       [](OptionMemory& m) { m.bias[1] = std::numeric_limits<float>::quiet_NaN(); }});
  list.push_back(
      {"bias of items",
       [](Problem& p, OptionMemory& m) {
         p.args.bias = {m.item_bias.data(), attn::DType::f32, heads * m.rows * m.keys, m.rows * m.keys, m.keys, 1};
       },
       [](const OptionMemory& m) { return bias_of(m.item_bias, items * heads * matrix(m)); },
       [](OptionMemory& m) { m.item_bias.back() = std::numeric_limits<float>::quiet_NaN(); }});
}

void add_biases(std::vector<Option>& list) {
  list.push_back(
      {"bias in f16",
       [](Problem& p, OptionMemory& m) {
         p.args.bias = {m.bias_f16.data(), DType::f16, 0, m.rows * m.keys, m.keys, 1};
       },
       [](const OptionMemory& m) { return bias_of(m.bias_f16, heads * matrix(m)); },
       [](OptionMemory& m) { m.bias_f16[m.bias_f16.size() / 2] = 0x7fff; }});
  list.push_back(
      {"bias in bf16, transposed",
       [](Problem& p, OptionMemory& m) { p.args.bias = {m.bias_bf16.data(), DType::bf16, 0, 0, 1, m.rows}; },
       [](const OptionMemory& m) { return bias_of(m.bias_bf16, matrix(m)); },
       [](OptionMemory& m) { m.bias_bf16[1] = 0x7fff; }});
  list.push_back(
      {"bias with factors",
       [](Problem& p, OptionMemory& m) {
         p.args.bias = {m.bias.data(), DType::f32, 0, 0, m.keys, 1, m.factors.data()};
       },
       [](const OptionMemory& m) -> std::vector<OptionInput> {
         return {
             bias_of(m.bias, matrix(m)).front(),
             input("bias.head_factors", m.factors, heads, [](AttentionArgs& a, const void* x) {
               a.bias.head_factors = as<float>(x);
             })};
       },
       [](OptionMemory& m) { m.factors[1] = std::numeric_limits<float>::quiet_NaN(); }});
  list.push_back(
      {"bias as a mask",
       [](Problem& p, OptionMemory& m) {
         p.args.bias = {m.mask_bias.data(), DType::f32, 0, m.rows * m.keys, m.keys, 1};
       },
       [](const OptionMemory& m) { return bias_of(m.mask_bias, heads * matrix(m)); },
       [](OptionMemory& m) { m.mask_bias[m.mask_bias.size() / 2] = std::numeric_limits<float>::quiet_NaN(); }});
  list.push_back(
      {"bias as a mask, but for some rows",
       [](Problem& p, OptionMemory& m) {
         p.args.bias = {m.some_bias.data(), DType::f32, 0, m.rows * m.keys, m.keys, 1};
         p.want_weights();
         p.want_key_weight_sums();
       },
       [](const OptionMemory& m) { return bias_of(m.some_bias, heads * matrix(m)); },
       [](OptionMemory& m) { m.some_bias[m.some_bias.size() / 2] = std::numeric_limits<float>::quiet_NaN(); }});
}

void add_keys(std::vector<Option>& list) {
  list.push_back({"causal", [](Problem& p, OptionMemory&) { p.args.causal = true; }});
  list.push_back({"window_left", [](Problem& p, OptionMemory&) { p.args.window_left = 3; }});
  list.push_back({"window_right", [](Problem& p, OptionMemory&) { p.args.window_right = 2; }});
  list.push_back({"alignment", [](Problem& p, OptionMemory&) {
                    p.args.window_left = p.args.window_right = 2;
                    p.args.alignment = attn::Alignment::top_left;
                  }});
  list.push_back(
      {"query_offsets",
       [](Problem& p, OptionMemory& m) {
         p.args.window_left = p.args.window_right = 2;
         p.args.alignment = attn::Alignment::given;
         p.args.query_offsets = m.offsets.data();
       },
       [](const OptionMemory& m) -> std::vector<OptionInput> {
         return {input("query_offsets", m.offsets, items, [](AttentionArgs& a, const void* x) {
           a.query_offsets = as<int64_t>(x);
         })};
       }});
  list.push_back(
      {"key_lengths", [](Problem& p, OptionMemory& m) { p.args.key_lengths = m.lengths.data(); },
       [](const OptionMemory& m) -> std::vector<OptionInput> {
         return {input(
             "key_lengths", m.lengths, items, [](AttentionArgs& a, const void* x) { a.key_lengths = as<int64_t>(x); })};
       }});
  list.push_back(
      {"mask",
       [](Problem& p, OptionMemory& m) {
         p.args.mask = {m.mask.data(), 0, m.rows * m.keys, m.keys, 1};
       },
       [](const OptionMemory& m) { return mask_of(m, heads * matrix(m)); }});
  list.push_back(
      {"mask, transposed",
       [](Problem& p, OptionMemory& m) {
         p.args.mask = {m.mask.data(), 0, 0, 1, m.rows};
       },
       [](const OptionMemory& m) { return mask_of(m, matrix(m)); }});
  list.push_back(
      {"mask of keys",
       [](Problem& p, OptionMemory& m) {
         p.args.mask = {m.mask.data(), m.keys / 2, 0, 0, 1};
       },
       [](const OptionMemory& m) { return mask_of(m, static_cast<std::size_t>(m.keys / 2 + m.keys)); }});
  list.push_back(
      {"packed",
       [](Problem& p, OptionMemory& m) {
         p.args.cu_query_lengths = m.cu_queries.data();
         p.args.cu_key_lengths = m.cu_keys.data();
       },
       [](const OptionMemory& m) -> std::vector<OptionInput> {
         return {
             input(
                 "cu_query_lengths", m.cu_queries, items + 1,
                 [](AttentionArgs& a, const void* x) { a.cu_query_lengths = as<int64_t>(x); }),
             input("cu_key_lengths", m.cu_keys, items + 1, [](AttentionArgs& a, const void* x) {
               a.cu_key_lengths = as<int64_t>(x);
             })};
       }});
}

void add_types_and_results(std::vector<Option>& list) {
  list.push_back(
      {"f16", [](Problem& p, OptionMemory& m) { store_inputs(p, m.f16, DType::f16); }, nullptr,
       [](OptionMemory& m) { m.f16[5] = 0x7fff; }});
  list.push_back(
      {"bf16", [](Problem& p, OptionMemory& m) { store_inputs(p, m.bf16, DType::bf16); }, nullptr,
       [](OptionMemory& m) { m.bf16[5] = 0x7fff; }});
  const auto add_result = [&](const char* name, void (*set)(Problem&, OptionMemory&)) {
    Option option{name, set};
    option.changes_output = false;
    list.push_back(option);
  };
  add_result("output in f16", [](Problem& p, OptionMemory& m) { store_output(p, m, DType::f16); });
  add_result("output in bf16", [](Problem& p, OptionMemory& m) { store_output(p, m, DType::bf16); });
  add_result("logsumexp", [](Problem& p, OptionMemory&) { p.want_logsumexp(); });
  add_result("weights and their sums", [](Problem& p, OptionMemory&) {
    p.want_weights();
    p.want_key_weight_sums();
  });
  const auto want_scores = [](Problem& p, OptionMemory&) { p.want_scores(attn::ScoresStage::biased); };
  add_result("scores", want_scores);
  const auto want_halves = [](Problem& p, OptionMemory&) {
    p.want_weights(DType::f16);
    p.want_scores(attn::ScoresStage::capped, DType::bf16);
  };
  add_result("weights and scores in halves", want_halves);
  const auto want_packed = [](Problem& p, OptionMemory& m) {
    p.args.cu_query_lengths = m.cu_queries.data();
    p.args.cu_key_lengths = m.cu_keys.data();
    p.want_weights();
    p.want_scores(attn::ScoresStage::biased);
  };
  add_result("packed, with weights and scores", want_packed);
}

}  // namespace

OptionMemory::OptionMemory(int64_t rows, int64_t keys) : rows(rows), keys(keys) {
  const Shape shape = option_shape(rows, keys);
  Random random(87);
  for (int64_t i = 0; i < heads * rows * keys; ++i) mask.push_back(random.integer(0, 2) != 0);
  bias = random.normals(mask.size());
  for (std::size_t i = 0; i < bias.size(); i += 17) bias[i] = -std::numeric_limits<float>::infinity();
  slopes = {0.5f, 0.25f, 0.125f, 0.0625f};
  sinks = {1.0f, -2.0f, 0.25f, -std::numeric_limits<float>::infinity()};
  for (int64_t i = 0; i < items * heads * keys * shape.value_dim; ++i) {
    const int sign = random.flip() ? 0x8000 : 0;
    f16.push_back(static_cast<std::uint16_t>(sign | random.integer(0x3000, 0x3fff)));
    bf16.push_back(static_cast<std::uint16_t>(sign | random.integer(0x3e80, 0x3fff)));
  }
  cu_queries = {0, rows / 3, rows};
  cu_keys = {0, keys * 53 / 60, keys};
  lengths = {keys - (29 * keys + 599) / 600, keys / 15};
  offsets = {4, 11};
  item_bias = random.normals(items * bias.size());
  factors = {0.5f, -2.0f, 0.0f, 1.0f};
  constexpr float none = -std::numeric_limits<float>::infinity();
  for (std::size_t i = 0; i < bias.size(); ++i) {
    const int64_t row = static_cast<int64_t>(i) / keys;
    mask_bias.push_back(mask[i] ? 0 : none);
    some_bias.push_back(mask[i] && row % 7 == 3 ? bias[i] : mask_bias[i]);
    bias_f16.push_back(i % 17 == 0 ? 0xfc00 : f16[i]);
    bias_bf16.push_back(i % 17 == 0 ? 0xff80 : bf16[i]);
  }
  halves_out.resize(items * heads * rows * shape.value_dim);
  const auto integer = [&] { return static_cast<std::int8_t>(random.integer(-128, 127)); };
  for (int64_t i = 0; i < items * kv_heads * keys; ++i) {
    for (int64_t d = 0; d < shape.value_dim; ++d) i8.push_back(integer());
    key_scales.push_back(static_cast<float>(random.integer(1, 200)) * 0x1p-13f);
    value_scales.push_back(static_cast<float>(random.integer(-200, 200)) * 0x1p-13f);
    for (int64_t b = 0; b < block_columns / 32; ++b) {
      attn::q8_0 block{{static_cast<std::uint16_t>(random.integer(0x1800, 0x2400))}, {}};
      for (std::int8_t& x : block.values) x = integer();
      q8_0.push_back(block);
    }
  }
  wide_queries = random.normals(items * heads * rows * block_columns);
  const int64_t pages = items * ((keys + 15) / 16) + 1;  // one that no item has
  page_keys = random.normals(static_cast<std::size_t>(pages * shape.kv_heads * 16 * shape.head_dim));
  page_values = random.normals(static_cast<std::size_t>(pages * shape.kv_heads * 16 * shape.value_dim));
  for (int64_t i = 0; i < pages; ++i) page_table.push_back(static_cast<std::int32_t>(i));
  for (std::size_t i = page_table.size(); i-- > 1;)
    std::swap(page_table[i], page_table[random.integer(0, static_cast<int64_t>(i))]);
  page_table.pop_back();
  key_panels = Random(89).normals(items * shape.kv_heads * attn::panel_rows(keys) * shape.head_dim);
  for (std::size_t i = 0; i < key_panels.size(); ++i) {
    const int64_t panels = attn::panel_rows(keys) / 16,
                  panel = static_cast<int64_t>(i) / (16 * shape.head_dim) % panels;
    if (16 * panel + static_cast<int64_t>(i) % 16 >= keys) key_panels[i] = std::numeric_limits<float>::quiet_NaN();
  }
}

const std::vector<Option>& options() {
  static const std::vector<Option> list = [] {
    std::vector<Option> all;
    add_scores(all);
    add_biases(all);
    add_keys(all);
    add_types_and_results(all);
    add_options_of_caches(all);
    return all;
  }();
  return list;
}

}  // namespace test
