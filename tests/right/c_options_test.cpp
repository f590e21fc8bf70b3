// Every option through the C interface gives what the C++ call gives: no member is lost on the way.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "attn/attn.h"
#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/options.hpp"
#include "support/paths.hpp"

namespace {

using std::int64_t;

// Member by member and by name, as a C program sets them.
template <class To, class From>
void copy_tensor(To& to, const From& from) {
  to.data = from.data;
  to.dtype = static_cast<std::int32_t>(from.dtype);
  to.batch_stride = from.batch_stride;
  to.head_stride = from.head_stride;
  to.row_stride = from.row_stride;
}
template <class To, class From>
void copy_scales(To& to, const From& from) {
  to.data = from.data;
  to.batch_stride = from.batch_stride;
  to.head_stride = from.head_stride;
  to.row_stride = from.row_stride;
}
template <class To, class From>
void copy_quad(To& to, const From& from) {
  to.data = from.data;
  to.batch_stride = from.batch_stride;
  to.head_stride = from.head_stride;
  to.row_stride = from.row_stride;
  to.column_stride = from.column_stride;
}

attn_attention_args as_c(const attn::AttentionArgs& a) {
  attn_attention_args c;
  attn_attention_args_init(&c);
  c.batch = a.batch;
  c.query_heads = a.query_heads;
  c.kv_heads = a.kv_heads;
  c.query_length = a.query_length;
  c.key_length = a.key_length;
  c.head_dim = a.head_dim;
  c.value_dim = a.value_dim;
  copy_tensor(c.query, a.query);
  copy_tensor(c.key, a.key);
  copy_tensor(c.value, a.value);
  copy_scales(c.key_scales, a.key_scales);
  copy_scales(c.value_scales, a.value_scales);
  c.page_table = a.page_table;
  c.page_table_stride = a.page_table_stride;
  c.page_length = a.page_length;
  c.page_count = a.page_count;
  c.key_layout = static_cast<std::int32_t>(a.key_layout);
  copy_tensor(c.output, a.output);
  copy_tensor(c.weights, a.weights);
  copy_tensor(c.scores, a.scores);
  c.scores_stage = static_cast<std::int32_t>(a.scores_stage);
  c.logsumexp = a.logsumexp;
  c.key_weight_sums = a.key_weight_sums;
  c.scale = a.scale;
  c.softcap = a.softcap;
  c.causal = a.causal;
  c.window_left = a.window_left;
  c.window_right = a.window_right;
  c.alignment = static_cast<std::int32_t>(a.alignment);
  c.query_offsets = a.query_offsets;
  c.key_lengths = a.key_lengths;
  copy_quad(c.mask, a.mask);
  c.mask_columns = a.mask_columns;
  copy_quad(c.bias, a.bias);
  c.bias.dtype = static_cast<std::int32_t>(a.bias.dtype);
  c.bias.head_factors = a.bias.head_factors;
  c.alibi_slopes = a.alibi_slopes;
  c.sinks = a.sinks;
  c.bf16_weights = a.bf16_weights;
  c.cu_query_lengths = a.cu_query_lengths;
  c.cu_key_lengths = a.cu_key_lengths;
  c.path = static_cast<std::int32_t>(a.path);
  c.share_index = a.share_index;
  c.share_count = a.share_count;
  return c;
}

// The members of c that are not as in args, a line each.
std::string differences(const attn_attention_args& c, const attn::AttentionArgs& args) {
  std::string names;
  for (const test::Member& m : test::members()) {
    const char* const in_c = reinterpret_cast<const char*>(&c) + offsetof(attn_attention_args, batch);
    const char* const in_cpp = reinterpret_cast<const char*>(&args);
    if (std::memcmp(in_c + m.offset, in_cpp + m.offset, m.bytes) != 0) names += m.name + "\n";
  }
  return names;
}

}  // namespace

TEST_CASE("C: the defaults are those of C++", "[right][c][options]") {
  attn_attention_args c;
  attn_attention_args_init(&c);
  CHECK(differences(c, attn::AttentionArgs()) == "");
}

TEST_CASE("C: every option gives what the C++ call gives", "[right][c][options]") {
  const attn::Path path = GENERATE(from_range(test::paths()));
  for (const test::Option& option : test::options()) {
    if (path == attn::Path::blas && option.streaming_only) continue;
    test::OptionMemory memory(20, 40);
    test::Random random(33);
    test::Problem p(test::option_shape(20, 40), random);
    p.args.path = path;
    option.set(p, memory);
    INFO(option.name << ", " << test::name_of(path));
    REQUIRE(attn::attention(p.args).ok());
    const std::vector<float> want = p.results();
    for (std::vector<float>* x : {&p.output, &p.weights, &p.scores, &p.logsumexp, &p.key_weight_sums})
      std::fill(x->begin(), x->end(), test::canary);
    for (std::vector<std::uint16_t>* x : {&p.half_weights, &p.half_scores})
      std::fill(x->begin(), x->end(), test::half_canary);
    std::fill(memory.halves_out.begin(), memory.halves_out.end(), std::uint16_t{0});
    const attn_attention_args c = as_c(p.args);
    CHECK(differences(c, p.args) == "");  // as_c() above copies every member
    char message[256];
    CHECK(attn_attention(&c, message, sizeof message) == ATTN_OK);
    CHECK(std::string(message) == "");
    if (path == attn::Path::streaming) CHECK(test::bits_difference(p.results(), want) == "");
    if (path == attn::Path::blas) CHECK(test::difference(p.results(), want, 1e-6) == "");  // its bits are the BLAS's
  }
}
