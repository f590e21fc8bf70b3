// Each option on its own changes the result by far more than the tolerance, and the change is the right one: a call
// that ignores it cannot pass. Both paths.
#include <cmath>
#include <functional>
#include <vector>

#include "support/catch.hpp"
#include "support/problem.hpp"

namespace {

using attn::AttentionArgs;
using attn::Path;
using test::Problem;

struct Option {
  const char* name;
  std::function<void(AttentionArgs&)> set;
};

// For two items, four heads over two, 20 queries and 40 keys.
const std::uint8_t* scattered_mask() {
  static std::vector<std::uint8_t> mask;
  for (std::size_t i = mask.size(); i < 20 * 40; ++i) mask.push_back(i * i % 7 < 3);
  return mask.data();
}
const float* some_bias() {
  static std::vector<float> bias;
  for (std::size_t i = bias.size(); i < 2 * 4 * 20 * 40; ++i) bias.push_back(static_cast<float>(i * i % 13) / 4);
  return bias.data();
}
const float numbers[] = {0.5f, 0.1f, 1.5f, 0.9f};
const std::int64_t lengths[] = {33, 9}, offsets[] = {4, 11}, cu_queries[] = {0, 13, 20}, cu_keys[] = {0, 15, 40};

const Option options[] = {
    {"scale", [](AttentionArgs& a) { a.scale = 1.5f; }},
    {"softcap", [](AttentionArgs& a) { a.softcap = 0.4f; }},
    {"causal", [](AttentionArgs& a) { a.causal = true; }},
    {"window_left", [](AttentionArgs& a) { a.window_left = 3; }},
    {"window_right", [](AttentionArgs& a) { a.window_right = 2; }},
    {"key_lengths", [](AttentionArgs& a) { a.key_lengths = lengths; }},
    {"mask",
     [](AttentionArgs& a) {
       a.mask = {scattered_mask(), 0, 0, 40, 1};
     }},
    {"mask, transposed",
     [](AttentionArgs& a) {
       a.mask = {scattered_mask(), 0, 0, 1, 20};
     }},
    {"bias",
     [](AttentionArgs& a) {
       a.bias = {some_bias(), 0, 0, 40, 1};
     }},
    {"bias of heads",
     [](AttentionArgs& a) {
       a.bias = {some_bias(), 0, 800, 40, 1};
     }},
    {"bias of items",
     [](AttentionArgs& a) {
       a.bias = {some_bias(), 3200, 0, 40, 1};
     }},
    {"bias, the same for all keys but one head after the other",
     [](AttentionArgs& a) {
       a.bias = {some_bias(), 0, 3, 0, 7};
     }},
    {"alibi_slopes", [](AttentionArgs& a) { a.alibi_slopes = numbers; }},
    {"sinks", [](AttentionArgs& a) { a.sinks = numbers; }},
    {"alignment",
     [](AttentionArgs& a) { a.window_left = a.window_right = 2, a.alignment = attn::Alignment::top_left; }},
    {"query_offsets",
     [](AttentionArgs& a) {
       a.window_left = a.window_right = 2, a.alignment = attn::Alignment::given, a.query_offsets = offsets;
     }},
    {"cu_query_lengths and cu_key_lengths",
     [](AttentionArgs& a) { a.cu_query_lengths = cu_queries, a.cu_key_lengths = cu_keys; }},
};

}  // namespace

TEST_CASE("effect: every option changes the result, and rightly", "[right][attention][effect]") {
  const Path path = GENERATE(Path::blas, Path::streaming);
  for (const Option& option : options) {
    test::Random random(31);
    Problem p({2, 4, 2, 20, 40, 16, 16}, random);
    p.args.path = path;
    p.want_logsumexp();
    const std::vector<double> plain = test::attend(p.args).output;
    option.set(p.args);
    const std::vector<double> with = test::attend(p.args).output;
    double change = 0;
    for (std::size_t i = 0; i < with.size(); ++i) change = std::fmax(change, std::fabs(with[i] - plain[i]));
    INFO(option.name << ", " << test::name_of(path));
    CHECK(change > 0.05);
    CHECK(p.check() == "");
  }
}

TEST_CASE("effect: every stage of the scores is another", "[right][attention][effect]") {
  for (const attn::ScoresStage stage :
       {attn::ScoresStage::scaled, attn::ScoresStage::capped, attn::ScoresStage::biased})
    for (const bool with_weights : {false, true}) {
      test::Random random(32);
      Problem p({2, 4, 2, 20, 40, 16, 16}, random);
      p.args.softcap = 0.7f;
      p.args.bias = {some_bias(), 0, 800, 40, 1};
      p.args.alibi_slopes = numbers;
      p.args.causal = true;
      p.args.key_lengths = lengths;
      p.args.mask = {scattered_mask(), 0, 0, 40, 1};
      p.want_scores(stage);
      if (with_weights) p.want_weights();
      INFO("stage " << static_cast<int>(stage));
      CHECK(p.check() == "");
      const std::vector<double> here = test::attend(p.args).scores;
      p.args.scores_stage = static_cast<attn::ScoresStage>((static_cast<int>(stage) + 1) % 3);
      const std::vector<double> elsewhere = test::attend(p.args).scores;
      double change = 0;
      for (std::size_t i = 0; i < here.size(); ++i)
        if (std::isfinite(here[i]) && std::isfinite(elsewhere[i]))
          change = std::fmax(change, std::fabs(here[i] - elsewhere[i]));
      CHECK(change > 0.05);
    }
}
