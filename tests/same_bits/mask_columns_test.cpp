// P1 of masks of the last keys alone: stored hashes, every instruction set against scalar, and the bits of the mask
// that has a column for each key.
#include <cstdint>
#include <string>
#include <vector>

#include "attn/attention.hpp"
#include "support/catch.hpp"
#include "support/hashes.hpp"
#include "support/isas.hpp"
#include "support/random_problem.hpp"

namespace {

using attn::AttentionArgs;
using std::int64_t;

// The mask of all keys, dense, that means the same.
std::vector<std::uint8_t> whole_mask(const AttentionArgs& a) {
  std::vector<std::uint8_t> mask;
  for (int64_t b = 0; b < a.batch; ++b) {
    int64_t keys = a.cu_key_lengths ? a.cu_key_lengths[b + 1] - a.cu_key_lengths[b] : a.key_length;
    if (a.key_lengths) keys = a.key_lengths[b];
    for (int64_t h = 0; h < a.query_heads; ++h)
      for (int64_t t = 0; t < a.query_length; ++t)
        for (int64_t j = 0; j < a.key_length; ++j) {
          const int64_t column = j - (keys - a.mask_columns);
          const bool has = 0 <= column && column < a.mask_columns;
          mask.push_back(
              has ? a.mask.data
                        [b * a.mask.batch_stride + h * a.mask.head_stride + t * a.mask.row_stride +
                         column * a.mask.column_stride]
                  : 1);
        }
  }
  mask.push_back(0);  // an address for a mask without elements
  return mask;
}

}  // namespace

TEST_CASE("mask_columns: mixtures have the bits that they had", "[same_bits][mixtures][hashes]") {
  test::Hash hash;
  for (int round = 0; round < 100; ++round) {
    test::Random random(static_cast<std::uint64_t>(6000 + round));
    test::RandomProblem p(random, attn::Path::streaming);
    p.vary_mask_columns(random);
    const std::vector<std::uint32_t> results = p.results();
    REQUIRE(!results.empty());
    hash.add(results);
  }
  CHECK(test::hash_difference("mask_columns/0 to 99", hash.value()) == "");
}

TEST_CASE("mask_columns: have the bits of scalar, and of a mask of all keys", "[same_bits][mixtures][bits]") {
  for (int round = 0; round < test::rounds(600); ++round) {
    test::Random random(static_cast<std::uint64_t>(27000 + round));
    test::RandomProblem p(random, attn::Path::streaming, round % 10 == 0);
    if (round % 3 == 1) p.vary_bias(random);
    p.vary_mask_columns(random);
    if (round % 4 == 2) p.lay_in_pages(random);
    AttentionArgs& a = p.args();
    INFO("round " << round << ": " << test::describe(a));
    const std::vector<std::uint32_t> got = p.results();
    REQUIRE(!got.empty());
    if (!test::scalar_is_active()) REQUIRE(got == test::on_scalar([&] { return p.results(); }));
    const std::vector<std::uint8_t> whole = whole_mask(a);
    const int64_t plane = a.query_length * a.key_length;
    a.mask = {whole.data(), a.query_heads * plane, plane, a.key_length, 1};
    a.mask_columns = 0;
    REQUIRE(got == p.results());
  }
}
