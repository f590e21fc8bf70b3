// The caller's parallel_for at its worst: absurd numbers of threads, and a run that throws or leaves tasks out.
#include <algorithm>
#include <cstdint>
#include <iterator>
#include <limits>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "attn/attn.hpp"
#include "simd/kernels.hpp"
#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/problem.hpp"

namespace {

using std::int64_t;

const int64_t absurd[] = {1000000000, int64_t{1} << 31, int64_t{1} << 40, std::numeric_limits<int64_t>::max()};

int64_t blocks(int64_t keys) { return (keys + attn::simd::key_block - 1) / attn::simd::key_block; }

// Each with some microseconds of work for every task, because no more threads are used than have that.
const struct Case {
  const char* spread;
  test::Shape shape;
  // The most of any phase: KV heads, their blocks, or tiles of up to 48 rows. With sums of weights: KV heads, blocks,
  // or groups of 64 queries.
  int64_t tasks, weights_tasks;
} cases[] = {
    {"tiles", {1, 1, 1, 150, 600, 16, 16}, 4, 3},
    {"tiles of several KV heads", {1, 4, 2, 65, 170, 24, 20}, 3, 2},
    {"KV heads of few tiles", {2, 8, 4, 33, 170, 24, 20}, 8, 8},
    {"blocks of one KV head", {1, 4, 1, 1, 9000, 32, 32}, blocks(9000), blocks(9000)},
    {"blocks of several KV heads", {2, 4, 2, 1, 3000, 32, 32}, 4 * blocks(3000), 4 * blocks(3000)},
    {"KV heads", {64, 4, 4, 1, 500, 16, 16}, 256, 256}};

// Everything on the calling thread, and how much was asked for.
struct Serial {
  int64_t calls = 0, most = 0;
  static void run(void* context, int64_t count, attn::Parallel::Task task, void* argument) {
    Serial& self = *static_cast<Serial*>(context);
    ++self.calls;
    self.most = std::max(self.most, count);
    for (int64_t i = 0; i < count; ++i) task(argument, i);
  }
};

}  // namespace

TEST_CASE("parallel: never more workers than tasks, however many threads there are", "[quiet][parallel]") {
  const bool weights = GENERATE(false, true);
  for (std::size_t i = 0; i < std::size(cases); ++i) {
    const int64_t tasks = weights ? cases[i].weights_tasks : cases[i].tasks;
    INFO(cases[i].spread << (weights ? ", with weights" : ""));
    test::Random random(221);
    test::Problem p(cases[i].shape, random);
    p.args.path = attn::Path::streaming;
    if (weights) {
      p.want_weights();
      p.want_key_weight_sums();
    }
    REQUIRE(p.check() == "");
    const std::vector<float> output = p.output, weight = p.weights, sums = p.key_weight_sums;
    Serial serial;
    // Fewer threads may choose another schedule. The size counts smaller calls, too: all rows of one KV head.
    const int64_t pairs = p.args.batch * p.args.kv_heads, tiles = p.args.query_heads * p.args.query_length / 48 + 1;
    attn::Parallel parallel{Serial::run, &serial, std::max({tasks, pairs, tiles})};
    p.args.parallel = &parallel;
    const std::size_t bytes = attn::workspace_size(p.args);
    for (const int64_t threads : absurd) {
      parallel.threads = threads;
      serial = {};
      CAPTURE(threads);
      CHECK(attn::workspace_size(p.args) == bytes);
      REQUIRE(p.run() == "");
      CHECK(serial.calls > 0);
      CHECK(serial.most == tasks);
      CHECK(test::bits_equal(p.output, output));
      CHECK(test::bits_equal(p.weights, weight));
      CHECK(test::bits_equal(p.key_weight_sums, sums));
    }
  }
}

TEST_CASE("parallel: as many threads as have some microseconds of work", "[quiet][parallel]") {
  test::Random random(223);
  Serial serial;
  const attn::Parallel parallel{Serial::run, &serial, 8};
  const auto most_threads = [&](const test::Shape& shape, int64_t key_length) {
    test::Problem p(shape, random);
    const std::vector<int64_t> lengths(static_cast<std::size_t>(shape.batch), key_length);
    p.args.path = attn::Path::streaming;
    p.args.parallel = &parallel;
    p.args.key_lengths = lengths.data();
    serial = {};
    CHECK(p.check() == "");
    return serial.most;
  };
  CHECK(most_threads({1, 1, 1, 1, 16, 16, 16}, 16) == 0);
  CHECK(most_threads({1, 1, 1, 1, 8192, 16, 16}, 8192) == 8);
  CHECK(most_threads({1, 1, 1, 1, 8192, 16, 16}, 4) == 0);  // a cache that has just begun
  // By the keys: 2.5 microseconds of reading a thread.
  const int64_t some = most_threads({1, 1, 1, 1, 8192, 16, 16}, 1024);
  CHECK(some >= 2);
  CHECK(some <= 8);
  CHECK(most_threads({3, 8, 8, 40, 300, 16, 16}, 300) == 8);  // of a tile each
  CHECK(most_threads({1, 8, 8, 130, 130, 32, 32}, 130) == 8);  // of three
}

TEST_CASE("parallel: absurd threads for problems of a few elements, and for the layers", "[quiet][parallel]") {
  test::Random random(222);
  for (const int64_t threads : absurd) {
    CAPTURE(threads);
    Serial serial;
    const attn::Parallel parallel{Serial::run, &serial, threads};
    for (const test::Shape& shape :
         {test::Shape{1, 1, 1, 1, 1, 1, 1}, test::Shape{1, 1, 1, 64, 256, 64, 64}, test::Shape{1, 1, 1, 13, 0, 8, 8},
          test::Shape{1, 2, 1, 0, 7, 8, 8}}) {
      test::Problem p(shape, random);
      p.args.path = attn::Path::streaming;
      p.args.parallel = &parallel;
      CHECK(p.check() == "");
      CHECK(attn::workspace_size(p.args) < std::size_t{1} << 22);
    }
    const std::vector<float> w = random.normals(64 * 64), x = random.normals(300 * 64);
    attn::MultiHeadConfig config;
    config.embed_dim = 64;
    config.num_heads = 2;
    config.w_q = config.w_k = config.w_v = w.data();
    const attn::MultiHeadAttention layer(config);
    attn::ForwardOptions options;
    const std::vector<float> alone = layer.forward(x.data(), 1, 300, options).output;
    options.parallel = &parallel;
    CHECK(test::bits_equal(layer.forward(x.data(), 1, 300, options).output, alone));
    CHECK(serial.calls > 0);
  }
}

TEST_CASE("parallel: the workspace of sizes that no memory holds is counted at once", "[quiet][parallel]") {
  attn::AttentionArgs a;  // nothing is read: only the size is asked
  a.head_dim = a.value_dim = 64;
  a.path = attn::Path::streaming;
  Serial serial;
  for (const int64_t threads : {int64_t{2}, std::numeric_limits<int64_t>::max()})
    for (const int64_t queries : {int64_t{1}, int64_t{13}, int64_t{1} << 50}) {
      const attn::Parallel parallel{Serial::run, &serial, threads};
      a.parallel = &parallel;
      a.query_length = queries;
      for (const int64_t n : {int64_t{1} << 50, int64_t{1} << 60}) {
        a.key_length = n;
        CHECK(attn::workspace_size(a) > std::size_t{1} << 40);
        a.batch = a.query_heads = a.kv_heads = n;
        CHECK(attn::workspace_size(a) > 0);
        a.batch = a.query_heads = a.kv_heads = 1;
      }
    }
}

namespace {

// Does some of the tasks, on other threads or here, and then fails in its own way.
struct Broken {
  enum class How { throws, throws_a_number, returns, wrong_indices } how;
  int64_t done;  // tasks called before that
  bool elsewhere;
  int64_t calls = 0;

  static void run(void* context, int64_t count, attn::Parallel::Task task, void* argument) {
    Broken& self = *static_cast<Broken*>(context);
    ++self.calls;
    for (int64_t i = count - 1; i >= std::max<int64_t>(0, count - self.done); --i)
      self.elsewhere ? std::thread(task, argument, i).join() : task(argument, i);
    if (self.how == How::throws)
      throw std::system_error(std::make_error_code(std::errc::resource_unavailable_try_again));
    if (self.how == How::throws_a_number) throw 5;
    if (self.how == How::wrong_indices) {
      task(argument, count);
      task(argument, -1);
      task(argument, count + 1000);
    }
  }
};

}  // namespace

TEST_CASE("parallel: a run that throws, or leaves tasks out, changes nothing", "[quiet][parallel]") {
  using How = Broken::How;
  for (const Case& c : cases)
    for (const bool weights : {false, true}) {
      test::Random random(223);
      test::Problem p(c.shape, random);
      p.args.path = attn::Path::streaming;
      if (weights) {
        p.want_weights();
        p.want_key_weight_sums();
      }
      REQUIRE(p.check() == "");
      const std::vector<float> output = p.output, weight = p.weights, sums = p.key_weight_sums;
      for (const How how : {How::throws, How::throws_a_number, How::returns, How::wrong_indices})
        for (const int64_t done : {0, 1, 3, 1000}) {
          INFO(c.spread << ", way " << static_cast<int>(how) << " after " << done << " tasks, weights " << weights);
          Broken broken{how, done, done == 1};
          const attn::Parallel parallel{Broken::run, &broken, 4};
          p.args.parallel = &parallel;
          REQUIRE(p.run() == "");
          CHECK(broken.calls > 0);
          CHECK(test::bits_equal(p.output, output));
          CHECK(test::bits_equal(p.weights, weight));
          CHECK(test::bits_equal(p.key_weight_sums, sums));
          p.args.parallel = nullptr;
        }
    }
}

TEST_CASE("parallel: a run that throws under a layer", "[quiet][parallel]") {
  test::Random random(224);
  const std::vector<float> w = random.normals(64 * 64), x = random.normals(300 * 64);
  attn::MultiHeadConfig config;
  config.embed_dim = 64;
  config.num_heads = 2;
  config.w_q = config.w_k = config.w_v = w.data();
  const attn::MultiHeadAttention layer(config);
  attn::ForwardOptions options;
  const std::vector<float> alone = layer.forward(x.data(), 1, 300, options).output;
  Broken broken{Broken::How::throws, 1, false};
  const attn::Parallel parallel{Broken::run, &broken, 3};
  options.parallel = &parallel;
  CHECK(test::bits_equal(layer.forward(x.data(), 1, 300, options).output, alone));
  CHECK(broken.calls > 0);
}
