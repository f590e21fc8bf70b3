// What each system's options mean, by cases small enough to work out by hand: one head, head_dim = value_dim = 1. Each
// argument has a section that fails if the argument is ignored.
#include <cmath>
#include <string>
#include <vector>

#include "attn/options.hpp"
#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/paths.hpp"
#include "support/problem.hpp"

namespace {

using attn::Alignment;
using attn::AttentionArgs;
using attn::Path;
using attn::options::OnnxAttributes;
using std::int64_t;

// All queries are 0, so that the output is the mean of the values that a query sees: 1, 2, 4, 8, ...
struct Means : test::Problem {
  Means(Path path, int64_t queries, int64_t keys) : Problem({1, 1, 1, queries, keys, 1, 1}) {
    for (std::size_t j = 0; j < v.size(); ++j) v[j] = std::ldexp(1.0f, static_cast<int>(j));
    args.path = path;
  }
};

// One query, 1, and two keys, 0 and x. A score of ln 3 for the second gives (4 + 3 * 8) / 4 = 7.
struct Pair : test::Problem {
  Pair(Path path, float x) : Problem({1, 1, 1, 1, 2, 1, 1}) {
    q[0] = 1;
    k[1] = x;
    v = {4, 8};
    args.value.data = v.data();
    args.path = path;
  }
};
const float ln2 = std::log(2.0f), ln3 = std::log(3.0f);

void check_output(test::Problem& p, const std::vector<double>& want) {
  REQUIRE(p.run() == "");
  CHECK(test::difference(p.output, want, 4e-6 * 8) == "");
}

// Something in every option, to see what a function replaces and what it keeps.
AttentionArgs full_of_options(const int64_t* integers, const float* floats) {
  static const std::uint8_t mask = 1;
  AttentionArgs a;
  a.query_length = 2;
  a.key_length = 5;
  a.scale = 77;
  a.softcap = 77;
  a.window_left = a.window_right = 77;
  a.causal = true;
  a.alignment = Alignment::given;
  a.query_offsets = a.key_lengths = integers;
  a.mask = {&mask, 1, 2, 3, 4};
  a.bias = {floats, attn::DType::f32, 1, 2, 3, 4};
  a.alibi_slopes = a.sinks = floats;
  a.path = Path::blas;
  return a;
}

}  // namespace

TEST_CASE("options: PyTorch", "[right][options]") {
  const Path path = GENERATE(from_range(test::paths()));
  SECTION("defaults") {
    Means p(path, 2, 4);
    attn::options::pytorch(p.args);
    check_output(p, {3.75, 3.75});
  }
  SECTION("is_causal stands at the top left") {
    Means p(path, 2, 4);
    attn::options::pytorch(p.args, true);
    check_output(p, {1, 1.5});
  }
  SECTION("scale") {
    Pair p(path, ln3 / 2);
    attn::options::pytorch(p.args, false, 2);
    check_output(p, {7});
  }
  SECTION("sets these and no other") {
    const int64_t integers[2] = {};
    const float floats[1] = {};
    AttentionArgs a = full_of_options(integers, floats);
    attn::options::pytorch(a);
    CHECK((!a.causal && a.alignment == Alignment::top_left && !a.query_offsets && a.scale == 0));
    CHECK((a.key_lengths == integers && a.softcap == 77 && a.window_left == 77 && a.window_right == 77));
    CHECK((a.mask.data && a.bias.data == floats && a.alibi_slopes == floats && a.sinks == floats));
    CHECK((a.query_length == 2 && a.key_length == 5 && a.path == Path::blas));
  }
}

TEST_CASE("options: FlashAttention", "[right][options]") {
  const Path path = GENERATE(from_range(test::paths()));
  SECTION("defaults") {
    Means p(path, 2, 4);
    attn::options::flash_attention(p.args);
    check_output(p, {3.75, 3.75});
  }
  SECTION("causal stands at the bottom right") {
    Means p(path, 2, 4);
    attn::options::flash_attention(p.args, true);
    check_output(p, {7.0 / 3, 3.75});
    Means more_queries(path, 4, 2);
    attn::options::flash_attention(more_queries.args, true);
    check_output(more_queries, {0, 0, 1, 1.5});
  }
  SECTION("causal counts from the end of a cache that is not full") {
    Means p(path, 2, 4);
    const int64_t length = 3;
    p.args.key_lengths = &length;
    attn::options::flash_attention(p.args, true);
    check_output(p, {1.5, 7.0 / 3});
  }
  SECTION("window_left") {
    Means p(path, 2, 4);
    attn::options::flash_attention(p.args, false, 1);
    check_output(p, {14.0 / 3, 6});
    attn::options::flash_attention(p.args, true, 1);
    check_output(p, {3, 6});
  }
  SECTION("window_right") {
    Means p(path, 2, 5);
    attn::options::flash_attention(p.args, false, -1, 0);
    check_output(p, {3.75, 6.2});
    attn::options::flash_attention(p.args, false, 0, 1);
    check_output(p, {12, 16});
  }
  SECTION("causal overrules window_right") {
    Means p(path, 2, 4);
    attn::options::flash_attention(p.args, true, -1, 1);
    check_output(p, {7.0 / 3, 3.75});
    CHECK(p.args.window_right == 0);
  }
  SECTION("softcap") {
    Pair p(path, 1000);
    attn::options::flash_attention(p.args, false, -1, -1, ln3);
    check_output(p, {7});
  }
  SECTION("scale") {
    Pair p(path, ln3 / 2);
    attn::options::flash_attention(p.args, false, -1, -1, 0, 2);
    check_output(p, {7});
  }
  SECTION("alibi_slopes count from the bottom right, on both sides") {
    Means p(path, 2, 3);
    attn::options::flash_attention(p.args, false, -1, -1, 0, 0, &ln2);
    check_output(p, {(0.5 * 1 + 2 + 0.5 * 4) / 2, (0.25 * 1 + 0.5 * 2 + 4) / 1.75});
  }
  SECTION("sets these and no other") {
    const int64_t integers[2] = {};
    const float floats[1] = {};
    AttentionArgs a = full_of_options(integers, floats);
    attn::options::flash_attention(a);
    CHECK((!a.causal && a.alignment == Alignment::bottom_right && !a.query_offsets && a.scale == 0 && a.softcap == 0));
    CHECK((a.window_left == -1 && a.window_right == -1 && !a.alibi_slopes));
    CHECK((a.key_lengths == integers && a.mask.data && a.bias.data == floats && a.sinks == floats));
    CHECK((a.query_length == 2 && a.key_length == 5 && a.path == Path::blas));
  }
}

TEST_CASE("options: ONNX", "[right][options]") {
  const Path path = GENERATE(from_range(test::paths()));
  OnnxAttributes attributes;
  SECTION("defaults") {
    Means p(path, 2, 4);
    attn::options::onnx(p.args, attributes, nullptr);
    check_output(p, {3.75, 3.75});
  }
  SECTION("is_causal stands at the top left without a past") {
    Means p(path, 2, 4);
    attributes.is_causal = true;
    attn::options::onnx(p.args, attributes, nullptr);
    check_output(p, {1, 1.5});
  }
  SECTION("past_length, as many new keys as queries") {
    Means p(path, 2, 4);
    attributes.is_causal = true;
    attributes.past_length = 2;
    attn::options::onnx(p.args, attributes, nullptr);
    check_output(p, {7.0 / 3, 3.75});
  }
  SECTION("past_length, more new keys than queries: needs offsets") {
    Means p(path, 2, 4);
    attributes.is_causal = true;
    attributes.past_length = 1;
    int64_t offset = -77;
    attn::options::onnx(p.args, attributes, &offset);
    check_output(p, {1.5, 7.0 / 3});
    attn::options::onnx(p.args, attributes, nullptr);
    CHECK(p.run().find("query_offsets is null") != std::string::npos);
  }
  SECTION("offsets of all batch items") {
    AttentionArgs a;
    a.batch = 3;
    a.query_length = 2;
    a.key_length = 9;
    attributes.past_length = 5;
    std::vector<int64_t> offsets(4, -77);
    attn::options::onnx(a, attributes, offsets.data());
    CHECK(offsets == std::vector<int64_t>{5, 5, 5, -77});
    CHECK((a.alignment == Alignment::given && a.query_offsets == offsets.data()));
  }
  SECTION("nonpad_kv_seqlen") {
    Means p(path, 2, 4);
    int64_t length = 3;
    attributes.nonpad_kv_seqlen = &length;
    attn::options::onnx(p.args, attributes, nullptr);
    check_output(p, {7.0 / 3, 7.0 / 3});
    attributes.is_causal = true;
    attn::options::onnx(p.args, attributes, nullptr);
    check_output(p, {1.5, 7.0 / 3});
    length = 1;  // the first query stands before the first key
    check_output(p, {0, 1});
  }
  SECTION("left_window_size") {
    Means p(path, 2, 4);
    attributes.left_window_size = 0;
    attn::options::onnx(p.args, attributes, nullptr);
    check_output(p, {3.75, 14.0 / 3});
  }
  SECTION("right_window_size") {
    Means p(path, 2, 4);
    attributes.right_window_size = 1;
    attn::options::onnx(p.args, attributes, nullptr);
    check_output(p, {1.5, 7.0 / 3});
  }
  SECTION("softcap") {
    Pair p(path, 1000);
    attributes.softcap = ln3;
    attn::options::onnx(p.args, attributes, nullptr);
    check_output(p, {7});
  }
  SECTION("scale") {
    Pair p(path, ln3 / 2);
    attributes.scale = 2;
    attn::options::onnx(p.args, attributes, nullptr);
    check_output(p, {7});
  }
  SECTION("sets these and no other") {
    const int64_t integers[2] = {};
    const float floats[1] = {};
    AttentionArgs a = full_of_options(integers, floats);
    attn::options::onnx(a, attributes, nullptr);
    CHECK((!a.causal && a.alignment == Alignment::top_left && !a.query_offsets && a.scale == 0 && a.softcap == 0));
    CHECK((a.window_left == -1 && a.window_right == -1 && !a.key_lengths));
    CHECK((a.mask.data && a.bias.data == floats && a.alibi_slopes == floats && a.sinks == floats));
    CHECK((a.query_length == 2 && a.key_length == 5 && a.path == Path::blas));
  }
}
