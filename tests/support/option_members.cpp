// Every member of AttentionArgs, once.
#include <cstring>
#include <string>
#include <vector>

#include "support/options.hpp"

namespace test {
namespace {

using attn::AttentionArgs;

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
