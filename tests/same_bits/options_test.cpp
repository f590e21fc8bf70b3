// P1 of each option on its own: a stored hash of all results, which every instruction set and number of threads must
// give, for few rows (which read K and V in place) and for many. (streaming_test.cpp has the calls without options,
// mixtures_test.cpp the mixtures: if one of those is off, the one here that is off with it says why.)
#include "support/options.hpp"

#include <cstdint>
#include <string>
#include <vector>

#include "attn/attention.hpp"
#include "support/catch.hpp"
#include "support/hashes.hpp"
#include "support/isas.hpp"

namespace {

using std::int64_t;
using test::OptionMemory;
using test::Problem;

constexpr int64_t keys = 600;  // one block and a part of one

void set_all_together(Problem& p, OptionMemory& m) {
  attn::AttentionArgs& a = p.args;
  a.query.data = a.key.data = a.value.data = m.bf16.data();
  a.query.dtype = a.key.dtype = a.value.dtype = attn::DType::bf16;
  a.mask = {m.mask.data(), 300, 0, 0, 1};
  a.bias = {m.bias.data(), attn::DType::f32, 0, m.rows * keys, keys, 1};
  a.softcap = 3;
  a.alibi_slopes = m.slopes.data();
  a.sinks = m.sinks.data();
  a.key_lengths = m.lengths.data();
  a.causal = true;
  a.window_left = 400;
  a.output.data = m.halves_out.data();
  a.output.dtype = attn::DType::f16;
  p.want_weights();
  p.want_key_weight_sums();
}

std::uint64_t result(Problem& p) {
  if (p.run() != "") return 0;
  return test::Hash().add(p.results()).value();
}

void check_option(const test::Option& option, int64_t rows) {
  const std::string name = std::string("options/") + option.name + ", " + std::to_string(rows) + " rows";
  OptionMemory memory(rows, keys);
  test::Random random(88);
  Problem p(test::option_shape(rows, keys), random);
  option.set(p, memory);
  p.args.path = attn::Path::streaming;
  p.want_logsumexp();
  INFO(name);
  if (!test::quick()) CHECK(p.check() == "");  // the hash stands for results that were right
  CHECK(test::hash_difference(name, result(p)) == "");
  for (int64_t threads = 2; threads <= (test::quick() ? 2 : 4); ++threads) {
    attn::ThreadPool pool(threads);
    const attn::Parallel parallel = pool.parallel();
    p.args.parallel = &parallel;
    INFO(threads << " threads");
    CHECK(test::hash_difference(name, result(p)) == "");
    p.args.parallel = nullptr;
  }
}

}  // namespace

TEST_CASE("option bits: each option has the bits that it had", "[same_bits][options][hashes]") {
  std::vector<test::Option> all = test::options();
  all.push_back({"all together", set_all_together});
  for (const test::Option& option : all) {
    for (const int64_t rows : {5, 60}) check_option(option, rows);
  }
}
