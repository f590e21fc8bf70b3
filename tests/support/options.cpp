#include "support/options.hpp"

#include <cstring>
#include <limits>

namespace test {
namespace {

using attn::AttentionArgs;
using attn::DType;
using std::int64_t;

constexpr int64_t items = 2, heads = 4;

template <class T>
const T* as(const void* x) {
  return static_cast<const T*>(x);
}

template <class T>
OptionInput input(
    const char* argument, const std::vector<T>& x, std::size_t count, void (*place)(AttentionArgs&, const void*)) {
  return {argument, x.data(), count * sizeof(T), place};
}

std::vector<OptionInput> mask_of(const OptionMemory& m, std::size_t count) {
  return {input("mask", m.mask, count, [](AttentionArgs& a, const void* x) { a.mask.data = as<std::uint8_t>(x); })};
}
template <class T>
std::vector<OptionInput> bias_of(const std::vector<T>& bias, std::size_t count) {
  return {input("bias", bias, count, [](AttentionArgs& a, const void* x) { a.bias.data = x; })};
}
// Columns of a mask of the last keys: a tenth, so that of many keys whole blocks stand before them.
int64_t few_columns(const OptionMemory& m) { return (m.keys + 9) / 10; }
std::size_t matrix(const OptionMemory& m) { return static_cast<std::size_t>(m.rows * m.keys); }

void spoil_bias(OptionMemory& m) { m.bias[m.bias.size() / 2] = std::numeric_limits<float>::quiet_NaN(); }

void store_inputs(Problem& p, const std::vector<std::uint16_t>& halves, DType type) {
  for (attn::Tensor* x : {&p.args.query, &p.args.key, &p.args.value}) {
    x->data = halves.data();
    x->dtype = type;
  }
}

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

// ---- Int8 ----

constexpr int64_t kv_heads = heads / 2, block_columns = 64;

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

// ---- Members ----

// A new one does not compile here until it has a name, and then the coverage tests ask for its option.

class Lister {
 public:
  explicit Lister(AttentionArgs& args) : start_(reinterpret_cast<const char*>(&args)) {}

  template <class T>
  void add(const std::string& name, T& x) {
    list.push_back({name, static_cast<std::size_t>(reinterpret_cast<const char*>(&x) - start_), sizeof x});
  }
  void add(const std::string& name, attn::Tensor& x) {
    [[maybe_unused]] auto& [a, b, c, d, e] = x;
    add_tensor(name, x);
  }
  void add(const std::string& name, attn::Output& x) {
    [[maybe_unused]] auto& [a, b, c, d, e] = x;
    add_tensor(name, x);
  }
  void add(const std::string& name, attn::Scales& x) {
    [[maybe_unused]] auto& [a, b, c, d] = x;
    add(name + ".data", x.data);
    add(name + ".batch_stride", x.batch_stride);
    add(name + ".head_stride", x.head_stride);
    add(name + ".row_stride", x.row_stride);
  }
  void add(const std::string& name, attn::Mask& x) {
    [[maybe_unused]] auto& [a, b, c, d, e] = x;
    add_quad(name, x);
  }
  void add(const std::string& name, attn::Bias& x) {
    [[maybe_unused]] auto& [a, b, c, d, e, f, g] = x;
    add_quad(name, x);
    add(name + ".dtype", x.dtype);
    add(name + ".head_factors", x.head_factors);
  }

  std::vector<Member> list;

 private:
  template <class T>
  void add_tensor(const std::string& name, T& x) {
    add(name + ".data", x.data);
    add(name + ".dtype", x.dtype);
    add(name + ".batch_stride", x.batch_stride);
    add(name + ".head_stride", x.head_stride);
    add(name + ".row_stride", x.row_stride);
  }
  template <class T>
  void add_quad(const std::string& name, T& x) {
    add(name + ".data", x.data);
    add(name + ".batch_stride", x.batch_stride);
    add(name + ".head_stride", x.head_stride);
    add(name + ".row_stride", x.row_stride);
    add(name + ".column_stride", x.column_stride);
  }

  const char* start_;
};

std::vector<Member> list_members(AttentionArgs& args) {
  // A name for each member: one too few does not compile.
  // clang-format off
  [[maybe_unused]] auto& [batch, query_heads, kv_heads, query_length, key_length, head_dim, value_dim, query, key,
                          value, key_scales, value_scales, key_layout, page_table, page_table_stride, page_length,
                          page_count, output, weights, scores, scores_stage, logsumexp, key_weight_sums, scale, softcap,
                          causal, window_left, window_right, alignment, query_offsets, key_lengths, mask,
                          mask_columns, bias, alibi_slopes, sinks, bf16_weights, cu_query_lengths, cu_key_lengths, path, parallel, share_index,
                          share_count, workspace, workspace_bytes] = args;
  // clang-format on
  Lister members(args);
  members.add("batch", args.batch);
  members.add("query_heads", args.query_heads);
  members.add("kv_heads", args.kv_heads);
  members.add("query_length", args.query_length);
  members.add("key_length", args.key_length);
  members.add("head_dim", args.head_dim);
  members.add("value_dim", args.value_dim);
  members.add("query", args.query);
  members.add("key", args.key);
  members.add("value", args.value);
  members.add("key_scales", args.key_scales);
  members.add("value_scales", args.value_scales);
  members.add("key_layout", args.key_layout);
  members.add("page_table", args.page_table);
  members.add("page_table_stride", args.page_table_stride);
  members.add("page_length", args.page_length);
  members.add("page_count", args.page_count);
  members.add("output", args.output);
  members.add("weights", args.weights);
  members.add("scores", args.scores);
  members.add("scores_stage", args.scores_stage);
  members.add("logsumexp", args.logsumexp);
  members.add("key_weight_sums", args.key_weight_sums);
  members.add("scale", args.scale);
  members.add("softcap", args.softcap);
  members.add("causal", args.causal);
  members.add("window_left", args.window_left);
  members.add("window_right", args.window_right);
  members.add("alignment", args.alignment);
  members.add("query_offsets", args.query_offsets);
  members.add("key_lengths", args.key_lengths);
  members.add("mask", args.mask);
  members.add("mask_columns", args.mask_columns);
  members.add("bias", args.bias);
  members.add("alibi_slopes", args.alibi_slopes);
  members.add("sinks", args.sinks);
  members.add("bf16_weights", args.bf16_weights);
  members.add("cu_query_lengths", args.cu_query_lengths);
  members.add("cu_key_lengths", args.cu_key_lengths);
  members.add("path", args.path);
  members.add("parallel", args.parallel);
  members.add("share_index", args.share_index);
  members.add("share_count", args.share_count);
  members.add("workspace", args.workspace);
  members.add("workspace_bytes", args.workspace_bytes);
  return members.list;
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
    add_int8(all);
    add_mask_columns(all);
    add_bf16_weights(all);
    add_pages(all);
    add_panels(all);
    return all;
  }();
  return list;
}

const std::vector<Member>& members() {
  static const std::vector<Member> list = [] {
    AttentionArgs args;
    return list_members(args);
  }();
  return list;
}

std::vector<std::string> changed_members(const AttentionArgs& args) {
  const AttentionArgs defaults;
  std::vector<std::string> names;
  for (const Member& m : members())
    if (std::memcmp(
            reinterpret_cast<const char*>(&args) + m.offset, reinterpret_cast<const char*>(&defaults) + m.offset,
            m.bytes) != 0)
      names.push_back(m.name);
  return names;
}

}  // namespace test
