// Weights and scores in every layout and type: packed batches, halves, strides; nothing between their rows is written,
// nothing outside, and threads change no bit.
#include <algorithm>
#include <cstdint>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "attn/attn.hpp"
#include "support/blas_threads.hpp"
#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/guard.hpp"
#include "support/layout.hpp"
#include "support/paths.hpp"
#include "support/problem.hpp"
#include "support/random_problem.hpp"

namespace {

using attn::AttentionArgs;
using attn::DType;
using attn::Path;
using attn::ScoresStage;
using std::int64_t;
using test::Problem;
using test::Random;

const std::vector<Path> paths = test::paths();
const DType types[] = {DType::f32, DType::f16, DType::bf16};
const ScoresStage stages[] = {ScoresStage::scaled, ScoresStage::capped, ScoresStage::biased};

// Six sequences: ordinary ones, one without queries, one without keys, one with more queries than keys.
constexpr int64_t items = 6, query_heads = 4, all_queries = 29, all_keys = 90, most_queries = 13, most_keys = 40;
const int64_t cu_queries[] = {0, 9, 9, 12, 13, 26, 29}, cu_keys[] = {0, 20, 33, 33, 73, 80, 90};
const int64_t lengths[] = {20, 5, 0, 33, 0, 9};

// What the options of these tests read.
struct Memory {
  explicit Memory(Random& random) : bias(random.normals(most_queries * most_keys)) {
    for (std::size_t i = 0; i < bias.size(); ++i) mask.push_back(random.integer(0, 3) > 0);
  }

  std::vector<float> bias, slopes{0.1f, -0.2f, 0.3f, 0}, sinks{0.5f, -1, 2, 0};
  std::vector<std::uint8_t> mask;
};

struct Option {
  const char* name;
  void (*set)(AttentionArgs&, const Memory&);
};
const Option options[] = {
    {"plain", [](AttentionArgs&, const Memory&) {}},
    {"causal", [](AttentionArgs& a, const Memory&) { a.causal = true; }},
    {"key_lengths", [](AttentionArgs& a, const Memory&) { a.key_lengths = lengths; }},
    {"mask, window",
     [](AttentionArgs& a, const Memory& m) {
       a.mask = {m.mask.data(), 0, 0, most_keys, 1};
       a.window_left = 7;
       a.window_right = 12;
     }},
    {"sinks", [](AttentionArgs& a, const Memory& m) { a.sinks = m.sinks.data(); }},
    {"all", [](AttentionArgs& a, const Memory& m) {
       a.causal = true;
       a.alignment = attn::Alignment::top_left;
       a.key_lengths = lengths;
       a.mask = {m.mask.data(), 0, 0, most_keys, 1};
       a.bias = {m.bias.data(), DType::f32, 0, 0, most_keys, 1};
       a.softcap = 2;
       a.alibi_slopes = m.slopes.data();
       a.sinks = m.sinks.data();
     }}};

constexpr test::Shape packed_shape{1, query_heads, 2, all_queries, all_keys, 20, 12};

void pack(Problem& p) {
  p.args.batch = items;
  p.args.query_length = most_queries;
  p.args.key_length = most_keys;
  p.args.cu_query_lengths = cu_queries;
  p.args.cu_key_lengths = cu_keys;
}

// A result of that layout and type, in memory of its own.
struct Matrix {
  test::Strided layout;
  std::vector<std::uint16_t> halves;

  attn::Output output(DType type) {
    attn::Output x = layout.output();
    if (type == DType::f32) return x;
    halves.assign(layout.storage.size(), test::half_canary);
    x.dtype = type;
    x.data = halves.data() + layout.start;
    return x;
  }
  std::string gaps_kept(const test::Dims& dims) const {
    if (halves.empty()) return test::gaps_kept(layout, dims, test::canary);
    test::Strided bits = layout;
    std::copy(halves.begin(), halves.end(), bits.storage.begin());
    return test::gaps_kept(bits, dims, test::half_canary);
  }
};

// [batch, heads, rows, columns] with a gap behind each row, or [batch, rows, heads, columns] with one behind each head.
test::Strided with_gaps(const test::Dims& d, bool heads_inside) {
  test::Strided s;
  const int64_t pitch = d.columns + 5;
  s.row_stride = heads_inside ? d.heads * pitch : pitch;
  s.head_stride = heads_inside ? pitch : d.rows * pitch + 3;
  s.batch_stride = d.heads * d.rows * pitch + (heads_inside ? 0 : 3 * d.heads) + 7;
  s.start = 2;
  s.storage.assign(static_cast<std::size_t>(s.start + d.batch * s.batch_stride), test::canary);
  return s;
}

}  // namespace

TEST_CASE("weights: of packed batches, in every type, at every stage of the scores", "[right][weights]") {
  for (const Path path : paths)
    for (const Option& option : options)
      for (const DType type : types)
        for (const ScoresStage stage : stages) {
          Random random(91);
          const Memory memory(random);
          Problem p(packed_shape, random);
          p.args.path = path;
          pack(p);
          option.set(p.args, memory);
          p.want_weights(type);
          p.want_scores(stage, types[(static_cast<int>(type) + static_cast<int>(stage)) % 3]);
          p.want_logsumexp();
          p.want_key_weight_sums();
          INFO(option.name << ", stage " << static_cast<int>(stage) << ": " << test::describe(p.args));
          CHECK(p.check() == "");
        }
}

TEST_CASE("weights: a packed batch has those of its sequences", "[right][weights]") {
  for (const Path path : paths) {
    Random random(92);
    const Memory memory(random);
    Problem p(packed_shape, random);
    p.args.path = path;
    pack(p);
    options[5].set(p.args, memory);
    p.want_weights();
    REQUIRE(p.run() == "");
    int64_t compared = 0;
    for (int64_t b = 0; b < items; ++b) {
      const int64_t queries = cu_queries[b + 1] - cu_queries[b], keys = cu_keys[b + 1] - cu_keys[b];
      Problem one({1, query_heads, 2, queries, keys, 20, 12});
      AttentionArgs& a = one.args;
      options[5].set(a, memory);
      a.path = path;
      a.query = p.args.query;
      a.key = p.args.key;
      a.value = p.args.value;
      a.query.data = p.q.data() + cu_queries[b] * 20;
      a.key.data = p.k.data() + cu_keys[b] * 20;
      a.value.data = p.v.data() + cu_keys[b] * 12;
      a.key_lengths = lengths + b;
      one.want_weights();
      REQUIRE(one.run() == "");
      for (int64_t h = 0; h < query_heads; ++h)
        for (int64_t t = 0; t < queries; ++t)
          for (int64_t j = 0; j < most_keys; ++j, ++compared) {
            const float got = p.weights[(h * all_queries + cu_queries[b] + t) * most_keys + j];
            const float want = j < keys ? one.weights[(h * queries + t) * keys + j] : 0;
            REQUIRE(test::close(static_cast<double>(got), static_cast<double>(want), 1e-6));
            if (j >= lengths[b]) REQUIRE(test::bits(got) == 0);
          }
    }
    CHECK(compared == query_heads * all_queries * most_keys);
  }
}

TEST_CASE("weights: halves are rounded to nearest", "[right][weights]") {
  for (const Path path : paths)
    for (const int64_t queries : {1, 5}) {
      const auto weight = [&](int64_t keys, DType type) {
        Problem p({1, 1, 1, queries, keys, 4, 4});  // zeros: all keys weigh the same
        p.args.path = path;
        p.want_weights(type);
        REQUIRE(p.check() == "");
        return p.half_weights.back();
      };
      CHECK(weight(3, DType::bf16) == 0x3eab);  // 1/3 = 2^-2 * 1.0101010|1010...
      CHECK(weight(19, DType::f16) == 0x2abd);  // 1/19 = 2^-5 * 1.1010111100|1010...
      CHECK(weight(5, DType::f16) == 0x3266);  // 1/5 = 2^-3 * 1.1001100110|0110...
    }
}

TEST_CASE("weights: any strides, and the gaps are kept", "[right][weights][layout]") {
  for (const Path path : paths)
    for (const bool packed : {false, true})
      for (const bool heads_inside : {false, true})
        for (const DType type : types) {
          Random random(93);
          const Memory memory(random);
          Problem p(packed ? packed_shape : test::Shape{2, query_heads, 2, most_queries, most_keys, 20, 12}, random);
          p.args.path = path;
          if (packed) pack(p);
          options[5].set(p.args, memory);
          const test::Dims dims = test::result_dims(p.args, most_keys);
          Matrix weights{with_gaps(dims, heads_inside), {}}, scores{with_gaps(dims, !heads_inside), {}};
          p.args.weights = weights.output(type);
          p.args.scores = scores.output(type);
          if (packed) p.args.weights.batch_stride = p.args.scores.batch_stride = -1;  // not used
          INFO(test::describe(p.args) << (heads_inside ? ", heads inside" : ""));
          CHECK(p.check() == "");
          CHECK(weights.gaps_kept(dims) == "");
          CHECK(scores.gaps_kept(dims) == "");
        }
}

TEST_CASE("weights: nothing outside is touched, packed and in every type", "[right][weights][layout]") {
  for (const Path path : paths)
    for (const test::Edge edge : {test::Edge::before, test::Edge::after})
      for (const DType type : types) {
        Random random(94);
        Problem p(packed_shape, random);
        p.args.path = path;
        pack(p);
        p.args.causal = true;
        const std::size_t elements = query_heads * all_queries * most_keys,
                          floats = elements / (type == DType::f32 ? 1 : 2);
        static_assert(query_heads * all_queries * most_keys % 2 == 0);
        test::GuardedFloats weights(floats, edge), scores(floats, edge);
        for (const auto& [result, memory] :
             {std::pair(&p.args.weights, &weights), std::pair(&p.args.scores, &scores)}) {
          *result = attn::bhtd(memory->data(), query_heads, all_queries, most_keys);
          result->dtype = type;
        }
        CAPTURE(static_cast<int>(type));
        CHECK(p.check() == "");
      }
}

TEST_CASE("weights: a sequence alone, and none at all", "[right][weights][zero]") {
  for (const Path path : paths)
    for (const DType type : types) {
      const int64_t one_query[] = {0, 1}, one_key[] = {0, 1}, none[] = {0, 0};
      for (const auto& [queries, keys] :
           {std::pair(one_query, one_key), std::pair(one_query, none), std::pair(none, one_key),
            std::pair(none, none)}) {
        Random random(95);
        Problem p({1, 2, 1, 3, 4, 5, 6}, random);  // longer than any sequence
        p.args.path = path;
        p.args.cu_query_lengths = queries;
        p.args.cu_key_lengths = keys;
        p.want_weights(type);
        p.want_scores(ScoresStage::biased, type);
        p.args.weights.row_stride = p.args.scores.row_stride = -3;  // of one row: not used
        if (queries[1] == 0 && !p.args.weights.data) p.args.weights = p.args.scores = {};
        CHECK(p.check() == "");
      }
    }
}

TEST_CASE("weights: threads change no bit", "[right][weights][threads]") {
  const test::BlasThreads one(1);
  // Rows of several row blocks; few heads, many heads, a packed batch.
  const test::Shape shapes[] = {{1, 1, 1, 1030, 70, 24, 20}, {2, 8, 2, 300, 130, 24, 20}, {1, 2, 1, 900, 150, 24, 20}};
  const int64_t queries[] = {0, 600, 600, 900}, keys[] = {0, 90, 100, 150};
  for (const Path path : paths)
    for (std::size_t i = 0; i < std::size(shapes); ++i)
      for (const bool sums : {false, true})
        for (const DType type : types) {
          Random random(96);
          Problem p(shapes[i], random);
          AttentionArgs& a = p.args;
          a.path = path;
          a.causal = true;
          if (i == 2) {
            a.batch = 3;
            a.query_length = 600;
            a.key_length = 90;
            a.cu_query_lengths = queries;
            a.cu_key_lengths = keys;
          }
          std::vector<std::uint16_t> k, v;
          for (const float x : p.k) k.push_back(test::to_half(x, type == DType::f32 ? DType::bf16 : type));
          for (const float x : p.v) v.push_back(test::to_half(x, type == DType::f32 ? DType::bf16 : type));
          if (type != DType::f32) {
            a.key.data = k.data();
            a.value.data = v.data();
            a.key.dtype = a.value.dtype = type;
          }
          p.want_weights(type);
          p.want_scores(ScoresStage::capped, type);
          p.want_logsumexp();
          if (sums) p.want_key_weight_sums();
          INFO(test::describe(a) << (sums ? ", with sums" : ""));
          const bool known = test::quick() && (sums ? type != DType::f32 : type == DType::f32);  // of one type each
          REQUIRE((known ? p.run() : p.check()) == "");
          const std::vector<float> want = p.results();
          for (int64_t threads = 1; threads <= 4; threads += test::quick() ? 2 : 1) {
            attn::ThreadPool pool(threads);
            const attn::Parallel parallel = pool.parallel();
            a.parallel = &parallel;
            for (std::vector<float>* x : {&p.output, &p.logsumexp, &p.weights, &p.scores, &p.key_weight_sums})
              std::fill(x->begin(), x->end(), test::canary);
            for (std::vector<std::uint16_t>* x : {&p.half_weights, &p.half_scores})
              std::fill(x->begin(), x->end(), std::uint16_t{0x7fff});
            CAPTURE(threads);
            REQUIRE(p.run() == "");
            CHECK(test::bits_difference(p.results(), want) == "");
            a.parallel = nullptr;
          }
        }
}
