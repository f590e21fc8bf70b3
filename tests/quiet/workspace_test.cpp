// A workspace that was sized once, for the largest call, serves every smaller one.
#include <algorithm>
#include <string>
#include <vector>

#include "attn/attention.hpp"
#include "call/problem.hpp"
#include "streaming/path.hpp"
#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/isas.hpp"
#include "support/paths.hpp"
#include "support/problem.hpp"
#include "support/random_problem.hpp"

namespace {

using std::int64_t;
using test::Random;
using test::Shape;

// Sizes around what schedules are chosen by: rows of a tile, blocks of keys.
Shape large_shape(Random& random) {
  const std::vector<int64_t> heads{1, 1, 2, 3, 4, 8, 12, 32}, groups{1, 1, 2, 4, 7, 13},
      queries{0, 1, 1, 2, 5, 12, 13, 48, 49, 100, 600}, keys{0, 1, 64, 511, 512, 513, 700, 1025, 5000},
      dims{1, 5, 16, 17, 64, 100, 256};
  Shape s;
  s.batch = random.pick(std::vector<int64_t>{0, 1, 1, 2, 5, 40});
  s.kv_heads = random.pick(heads);
  s.query_heads = s.kv_heads * random.pick(groups);
  s.query_length = random.pick(queries);
  s.key_length = random.pick(keys);
  s.head_dim = random.pick(dims);
  s.value_dim = random.integer(0, 9) == 0 ? 0 : random.pick(dims);
  return s;
}

// Nothing larger; the group may be another.
Shape smaller_shape(Random& random, const Shape& large) {
  const auto up_to = [&](int64_t least, int64_t most) {
    return random.integer(0, 2) == 0 ? most : random.integer(std::min(least, most), most);
  };
  Shape s;
  s.batch = up_to(0, large.batch);
  s.kv_heads = up_to(1, large.kv_heads);
  s.query_heads = s.kv_heads * up_to(1, large.query_heads / s.kv_heads);
  s.query_length = up_to(0, large.query_length);
  s.key_length = up_to(0, large.key_length);
  s.head_dim = up_to(1, large.head_dim);
  s.value_dim = up_to(0, large.value_dim);
  return s;
}

// Options that take memory, the same for both calls.
struct Options {
  explicit Options(Random& random) {
    path = random.integer(0, 3) == 0 ? test::paths().front() : attn::Path::streaming;
    for (bool* x : {&mask, &bias, &gathered, &softcap, &weights, &sums, &halves, &packed, &pages})
      *x = random.integer(0, 3) == 0;
    if (random.integer(0, 3) == 0) int8 = random.flip() ? attn::DType::i8 : attn::DType::q8_0;
  }

  attn::Path path;
  bool mask, bias, gathered, softcap, weights, sums, halves, packed, pages;
  attn::DType int8 = attn::DType::f32;  // of keys and values
};

// What the options read, and one float for results: only sizes are asked, nothing is written.
struct Memory {
  std::uint8_t mask = 1;
  float bias[8192] = {};
  float result = 0;
  int64_t cumulative = 0;
  std::int32_t page = 0;
};

void set_inputs(attn::AttentionArgs& a, const Options& o, const Memory& m) {
  a.path = o.path;
  if (o.mask) a.mask = {&m.mask, 0, 0, 0, 0};
  if (o.bias) a.bias = {m.bias, o.halves ? attn::DType::bf16 : attn::DType::f32, 0, 0, 0, o.gathered ? 0 : 1, nullptr};
  if (o.softcap) a.softcap = 3;
}

attn::AttentionArgs args_of(const Shape& s, const Options& o, Memory& m) {
  attn::AttentionArgs a;
  a.batch = s.batch;
  a.query_heads = s.query_heads;
  a.kv_heads = s.kv_heads;
  a.query_length = s.query_length;
  a.key_length = s.key_length;
  a.head_dim = s.head_dim;
  a.value_dim = s.value_dim;
  set_inputs(a, o, m);
  if (o.halves) a.query.dtype = a.key.dtype = a.value.dtype = a.output.dtype = attn::DType::bf16;
  if (o.int8 != attn::DType::f32) a.key.dtype = a.value.dtype = o.int8;
  if (o.int8 == attn::DType::i8) a.key_scales.data = a.value_scales.data = &m.result;
  if (o.weights) a.weights.data = &m.result;
  if (o.weights && o.halves) a.weights.dtype = attn::DType::f16;
  if (o.sums) a.key_weight_sums = &m.result;
  if (o.pages && !o.packed) {
    a.page_table = &m.page;
    a.page_length = 16;
    a.page_count = 1;
  }
  if (o.packed) a.cu_query_lengths = a.cu_key_lengths = &m.cumulative;
  return a;
}

std::string describe(const attn::AttentionArgs& a) {
  return test::describe(a) + " weights=" + std::to_string(a.weights.data != nullptr) +
      " sums=" + std::to_string(a.key_weight_sums != nullptr) +
      " threads=" + std::to_string(a.parallel ? a.parallel->threads : 0);
}

void one_after_the_other(void*, int64_t count, attn::Parallel::Task task, void* argument) {
  for (int64_t i = 0; i < count; ++i) task(argument, i);
}

// A number of threads, 0 for none, and for the smaller call one that is no larger.
struct Threads {
  explicit Threads(Random& random) {
    large.threads = random.integer(0, 9) == 0 ? random.integer(6, 100) : random.integer(0, 5);
    small.threads = large.threads < 1 ? 0 : random.integer(1, large.threads);
    large.run = small.run = one_after_the_other;
  }
  static const attn::Parallel* or_null(const attn::Parallel& p) { return p.threads < 1 ? nullptr : &p; }

  attn::Parallel large, small;
};

}  // namespace

TEST_CASE("workspace: it never falls when a shape grows", "[quiet][workspace]") {
  Memory memory;
  for (int round = 0; round < test::rounds(40000); ++round) {
    Random random(static_cast<std::uint64_t>(52000 + round));
    const Shape large = large_shape(random), small = smaller_shape(random, large);
    const Options options(random);
    const Threads threads(random);
    attn::AttentionArgs a = args_of(large, options, memory), b = args_of(small, options, memory);
    a.parallel = Threads::or_null(threads.large);
    b.parallel = Threads::or_null(threads.small);
    const std::size_t bytes = attn::workspace_size(a), fewer = attn::workspace_size(b);
    INFO("round " << round << ": " << describe(b) << "\nafter " << describe(a));
    REQUIRE(fewer <= bytes);
    if (options.path == attn::Path::streaming && !options.packed) {
      const attn::Problem problem = attn::make_problem(b);
      REQUIRE(attn::streaming::workspace_bytes(attn::streaming::make_plan(problem, test::active_kernels())) <= fewer);
    }
    b.share_count = 3;
    REQUIRE(attn::workspace_size(b) == fewer);
    b.share_index = 2;
    REQUIRE(attn::workspace_size(b) == fewer);
  }
}

TEST_CASE("workspace: a smaller call runs in that of a larger one", "[quiet][workspace]") {
  Memory memory;
  std::vector<unsigned char> workspace;
  for (int round = 0; round < test::rounds(600); ++round) {
    Random random(static_cast<std::uint64_t>(53000 + round));
    const Shape large = large_shape(random);
    Shape small = smaller_shape(random, large);
    // Work that a test has time for, but enough that threads are used.
    const auto work = [&] {
      return small.batch * small.query_heads * small.query_length * small.key_length *
          (small.head_dim + small.value_dim);
    };
    while (work() > 4000000) (small.query_length > 1 ? small.query_length : small.batch) /= 2;
    Options options(random);
    options.halves = options.packed = options.pages = false;
    const Threads threads(random);
    attn::AttentionArgs a = args_of(large, options, memory);
    a.parallel = Threads::or_null(threads.large);
    test::Problem p(small, random);
    set_inputs(p.args, options, memory);
    if (options.weights) p.want_weights();
    if (options.sums) p.want_key_weight_sums();
    if (options.weights && !p.args.weights.data) p.args.weights.data = &memory.result;  // no elements, but asked for
    if (options.sums && !p.args.key_weight_sums) p.args.key_weight_sums = &memory.result;
    INFO("round " << round << ": " << describe(p.args) << "\nafter " << describe(a));
    REQUIRE(attn::attention(p.args).ok());
    const std::vector<float> want = p.results();
    std::fill(p.output.begin(), p.output.end(), test::canary);

    p.args.parallel = Threads::or_null(threads.small);
    p.args.workspace_bytes = attn::workspace_size(a);
    workspace.assign(p.args.workspace_bytes + 1, 0xff);
    p.args.workspace = workspace.data();
    REQUIRE(std::string(attn::attention(p.args).message()) == "");
    REQUIRE(workspace.back() == 0xff);
    if (options.path == attn::Path::streaming) REQUIRE(test::bits_difference(p.results(), want) == "");
  }
}

TEST_CASE("workspace: more threads than KV heads weigh", "[quiet][workspace]") {
  for (const int64_t threads : {2, 3, 5, 9}) {
    Random random(55);
    const attn::Parallel parallel{one_after_the_other, nullptr, threads};
    test::Problem p({1, 2, 2, 30, 1500, 20, 20}, random);  // two KV heads of one tile each, three blocks
    p.args.path = attn::Path::streaming;
    p.want_weights();
    p.args.parallel = &parallel;
    CAPTURE(threads);
    CHECK(p.check() == "");  // sees what is written behind the workspace
  }
}

TEST_CASE("workspace: one query of one head of each KV head counts no packed keys", "[quiet][workspace]") {
  Memory memory;
  Random random(54);
  const Options options(random);
  attn::Parallel parallel{one_after_the_other, nullptr, 8};
  for (const int64_t heads : {1, 8, 12}) {
    attn::AttentionArgs a = args_of({1, heads, heads, 1, 1000000, 128, 128}, options, memory);
    a.path = attn::Path::streaming;
    a.bias = {};
    a.weights = {};
    a.key_weight_sums = nullptr;
    CHECK(attn::workspace_size(a) < 200000);
    a.parallel = &parallel;
    // A state of each block of 512 keys.
    const std::size_t states = static_cast<std::size_t>(heads * (1000000 / 512 + 1)) * 800;
    CHECK(attn::workspace_size(a) < 8 * 200000 + states);
  }
}

TEST_CASE("workspace: keys in panels are not packed", "[quiet][workspace][panels]") {
  attn::AttentionArgs a;
  a.query_length = 40;
  a.key_length = 5000;
  a.head_dim = 64;
  a.value_dim = 8;
  const std::size_t rows = attn::workspace_size(a);
  a.key_layout = attn::KeyLayout::panels;
  const std::size_t packed = 5000 * 64 * sizeof(float);
  CHECK(attn::workspace_size(a) + packed <= rows);
  CHECK(attn::workspace_size(a) < packed);
}
