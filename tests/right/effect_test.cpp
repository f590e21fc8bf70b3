// Each option on its own changes the result by far more than the tolerance, and the change is the right one: a call
// that ignores it cannot pass. Both paths. And no member of AttentionArgs is left out.
#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/options.hpp"
#include "support/paths.hpp"
#include "support/random_problem.hpp"

namespace {

using attn::Path;
using test::OptionMemory;
using test::Problem;

double largest_change(const std::vector<double>& x, const std::vector<double>& y) {
  double change = 0;
  for (std::size_t i = 0; i < std::min(x.size(), y.size()); ++i)
    if (std::isfinite(x[i]) && std::isfinite(y[i])) change = std::fmax(change, std::fabs(x[i] - y[i]));
  return change;
}

void add(std::set<std::string>& to, const attn::AttentionArgs& args) {
  for (const std::string& name : test::changed_members(args)) to.insert(name);
}

// The members that neither `covered` nor this list has, a line each.
std::string uncovered(const std::set<std::string>& covered) {
  static const std::set<std::string> elsewhere = {
      "path",        "parallel",    "workspace", "workspace_bytes",  // quiet/: change nothing
      "share_index", "share_count",  // same_bits/shares_test.cpp
  };
  std::string names;
  for (const test::Member& member : test::members())
    if (covered.count(member.name) + elsewhere.count(member.name) == 0) names += member.name + "\n";
  return names;
}

}  // namespace

TEST_CASE("effect: every option changes the result, and rightly", "[right][options]") {
  const Path path = GENERATE(from_range(test::paths()));
  for (const test::Option& option : test::options()) {
    if (path == Path::blas && option.streaming_only) continue;
    OptionMemory memory(20, 40);
    test::Random random(31);
    Problem p(test::option_shape(20, 40), random);
    p.args.path = path;
    const std::vector<double> plain = test::attend(p.args).output;
    option.set(p, memory);
    INFO(option.name << ", " << test::name_of(path));
    CHECK(!test::changed_members(p.args).empty());
    if (option.changes_output) CHECK(largest_change(test::attend(p.args).output, plain) > 0.02);
    p.want_logsumexp();
    CHECK(p.check() == "");
  }
}

TEST_CASE("effect: every member of AttentionArgs is an option of the list", "[right][options]") {
  std::set<std::string> covered;
  for (const test::Option& option : test::options()) {
    OptionMemory memory(20, 40);
    Problem p(test::option_shape(20, 40));
    option.set(p, memory);
    add(covered, p.args);
  }
  CHECK(uncovered(covered) == "");
}

TEST_CASE("effect: every member of AttentionArgs is in the mixtures", "[right][options][mixtures]") {
  std::set<std::string> covered;
  for (const Path path : test::paths())
    for (int round = 0; round < 300; ++round) {
      test::Random random(static_cast<std::uint64_t>(7000 + round));
      test::RandomProblem p(random, path);
      if (round % 10 == 0) p.vary_bias(random);
      if (round % 10 == 1) p.vary_mask_columns(random);
      if (round % 10 == 2) p.weigh_in_bf16();
      if (round % 10 == 4) p.lay_in_panels(random);
      if (round % 10 == 3) p.lay_in_pages(random);
      if (round % 10 == 5) p.quantise(random);
      add(covered, p.args());
    }
  CHECK(uncovered(covered) == "");
}

TEST_CASE("effect: every stage of the scores is another", "[right][attention][effect]") {
  for (const attn::ScoresStage stage :
       {attn::ScoresStage::scaled, attn::ScoresStage::capped, attn::ScoresStage::biased})
    for (const bool with_weights : {false, true}) {
      OptionMemory m(20, 40);
      test::Random random(32);
      Problem p(test::option_shape(20, 40), random);
      p.args.softcap = 0.7f;
      p.args.bias = {m.item_bias.data(), attn::DType::f32, 0, 800, 40, 1};
      p.args.alibi_slopes = m.slopes.data();
      p.args.causal = true;
      p.args.key_lengths = m.lengths.data();
      p.args.mask = {m.mask.data(), 0, 0, 40, 1};
      p.want_scores(stage);
      if (with_weights) p.want_weights();
      INFO("stage " << static_cast<int>(stage));
      CHECK(p.check() == "");
      const std::vector<double> here = test::attend(p.args).scores;
      p.args.scores_stage = static_cast<attn::ScoresStage>((static_cast<int>(stage) + 1) % 3);
      CHECK(largest_change(here, test::attend(p.args).scores) > 0.05);
    }
}
