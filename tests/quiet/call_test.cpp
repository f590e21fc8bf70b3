// What surrounds the arithmetic of a call: workspace, threads, the floating-point environment, repetition.
#include <atomic>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include "attn/softmax.hpp"
#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/guard.hpp"
#include "support/isas.hpp"
#include "support/paths.hpp"
#include "support/problem.hpp"

namespace {

using attn::Path;
using test::Problem;
using test::Random;

#if defined(__x86_64__)
constexpr unsigned flush = 0x8040, upward = 0x4000;  // FTZ | DAZ; round up
unsigned mode() { return _mm_getcsr() & 0xffc0u; }  // without the six exception flags, which arithmetic sets
void set_mode(unsigned m) { _mm_setcsr((_mm_getcsr() & ~0xffc0u) | m); }
#elif defined(__aarch64__)
constexpr unsigned flush = 1u << 24, upward = 1u << 22;  // FZ; RMode = towards plus infinity
unsigned mode() {
  std::uint64_t fpcr;
  __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
  return static_cast<unsigned>(fpcr);
}
void set_mode(unsigned m) {
  const std::uint64_t fpcr = m;
  __asm__ volatile("msr fpcr, %0" : : "r"(fpcr));
}
#endif

class Mode {
 public:
  explicit Mode(unsigned bits) : before_(mode()) { set_mode(before_ | bits); }
  ~Mode() { set_mode(before_); }
  Mode(const Mode&) = delete;
  Mode& operator=(const Mode&) = delete;

 private:
  unsigned before_;
};

// Both regimes: few rows read K and V in place, many are tiled.
test::Shape shape(std::int64_t queries) { return {2, 4, 2, queries, 700, 40, 24}; }

}  // namespace

TEST_CASE("call: a workspace that is too small is an error that says how much", "[quiet][attention][call]") {
  Random random(91);
  for (const Path path : test::paths())
    for (const std::int64_t queries : {1, 60}) {
      Problem p(shape(queries), random);
      p.args.path = path;
      const std::size_t needed = attn::workspace_size(p.args);
      REQUIRE(needed > 0);
      std::vector<char> memory(needed);
      for (const std::size_t given : {needed - 1, needed / 2, std::size_t{0}}) {
        p.args.workspace = memory.data();
        p.args.workspace_bytes = given;
        const attn::Status status = attn::attention(p.args);
        INFO(status.message());
        CHECK(status.code() == attn::StatusCode::invalid_argument);
        CHECK(std::string(status.message()).find("workspace") != std::string::npos);
        CHECK(std::string(status.message()).find(std::to_string(needed)) != std::string::npos);
        CHECK(std::string(status.message()).find(std::to_string(given)) != std::string::npos);
        CHECK(test::bits_equal(p.output, std::vector<float>(p.output.size(), test::canary)));
      }
    }
}

TEST_CASE("call: the result does not depend on the workspace", "[quiet][attention][call]") {
  Random random(92);
  const Path path = GENERATE(from_range(test::paths()));
  for (const std::int64_t queries : {1, 60}) {
    Problem p(shape(queries), random);
    p.args.path = path;
    REQUIRE(p.check() == "");
    const std::vector<float> want = p.output;
    REQUIRE(attn::attention(p.args).ok());  // its own
    CHECK(test::bits_equal(p.output, want));
    // Exactly the bytes that were asked for, before a page that cannot be touched, and at odd addresses (p.run does
    // both from the other side).
    const std::size_t needed = attn::workspace_size(p.args);
    test::GuardedFloats memory((needed + 3) / 4, test::Edge::after);
    p.args.workspace = reinterpret_cast<char*>(memory.end()) - needed;
    p.args.workspace_bytes = needed;
    REQUIRE(attn::attention(p.args).ok());
    CHECK(test::bits_equal(p.output, want));
  }
}

TEST_CASE(
    "call: workspace_size depends on shapes, not on data, and is 0 for bad arguments", "[quiet][attention][call]") {
  Random random(93);
  Problem p(shape(60), random), other(shape(60));
  CHECK(attn::workspace_size(p.args) == attn::workspace_size(other.args));
  CHECK(attn::workspace_size(p.args) > 0);
  p.args.head_dim = -1;
  CHECK(attn::workspace_size(p.args) == 0);
}

TEST_CASE(
    "call: the streaming path's memory grows with the keys, not with queries times keys", "[quiet][attention][call]") {
  Problem small({1, 2, 2, 64, 64, 16, 16});
  small.args.path = Path::streaming;
  attn::AttentionArgs args = small.args;
  args.query_length = args.key_length = 4096;
  const std::size_t once = attn::workspace_size(args);
  args.query_length *= 16;
  CHECK(attn::workspace_size(args) <= once + once / 8);
  args.key_length *= 16;
  CHECK(attn::workspace_size(args) <= 17 * once);
  args.query_heads = args.kv_heads = 64;
  CHECK(attn::workspace_size(args) <= 17 * once);
}

namespace {

// Runs the tasks on the calling thread, last first, and counts.
struct Backwards {
  int calls = 0;
  std::int64_t most = 0;
  static void run(void* context, std::int64_t count, attn::Parallel::Task task, void* argument) {
    Backwards& self = *static_cast<Backwards*>(context);
    ++self.calls;
    self.most = std::max(self.most, count);
    for (std::int64_t i = count; i-- > 0;) task(argument, i);
  }
};

}  // namespace

TEST_CASE("call: the caller's parallel_for is used, and changes no bit", "[quiet][attention][call]") {
  Random random(94);
  for (const test::Shape s :
       {test::Shape{1, 2, 1, 1, 9000, 80, 80}, test::Shape{7, 8, 2, 130, 517, 24, 24},
        test::Shape{1, 2, 1, 130, 1100, 32, 40}, test::Shape{24, 4, 2, 2, 517, 64, 64}}) {
    Problem p(s, random);
    p.args.path = Path::streaming;
    p.args.causal = true;
    p.want_logsumexp();
    REQUIRE(p.run() == "");
    const std::vector<float> output = p.output, lse = p.logsumexp;
    for (const std::int64_t threads : {1, 2, 3, 4, 9}) {
      Backwards backwards;
      const attn::Parallel parallel{Backwards::run, &backwards, threads};
      p.args.parallel = &parallel;
      INFO(test::describe(p.args) << ", threads " << threads);
      REQUIRE(p.run() == "");
      CHECK(test::bits_difference(p.output, output) == "");
      CHECK(test::bits_difference(p.logsumexp, lse) == "");
      CHECK(backwards.most <= threads);
      if (threads > 1) CHECK(backwards.calls > 0);
    }
  }
}

TEST_CASE("call: repeats, single batch items and changed neighbours give the same bits", "[quiet][attention][call]") {
  Random random(95);
  const std::int64_t queries = GENERATE(1, 50);
  const test::Shape s{5, 4, 2, queries, 517, 40, 24};
  Problem p(s, random);
  p.args.path = Path::streaming;
  REQUIRE(p.run() == "");
  const std::vector<float> want = p.output;
  for (int i = 0; i < 3; ++i) {
    REQUIRE(p.run() == "");
    CHECK(test::bits_difference(p.output, want) == "");
  }
  const std::int64_t size = s.query_heads * queries * s.value_dim;
  for (std::int64_t b = 0; b < s.batch; ++b) {
    Problem one({1, 4, 2, queries, 517, 40, 24});
    one.args.query = p.args.query;
    one.args.key = p.args.key;
    one.args.value = p.args.value;
    one.args.query.data = p.q.data() + b * p.args.query.batch_stride;
    one.args.key.data = p.k.data() + b * p.args.key.batch_stride;
    one.args.value.data = p.v.data() + b * p.args.value.batch_stride;
    one.args.path = Path::streaming;
    REQUIRE(one.run() == "");
    INFO("batch item " << b);
    CHECK(
        test::bits_difference(one.output, std::vector<float>(want.begin() + b * size, want.begin() + (b + 1) * size)) ==
        "");
  }
  // Another first row changes the first row only.
  for (std::int64_t d = 0; d < s.head_dim; ++d) p.q[d] += 1;
  REQUIRE(p.run() == "");
  CHECK_FALSE(std::equal(want.begin(), want.begin() + s.value_dim, p.output.begin()));
  CHECK(std::equal(want.begin() + s.value_dim, want.end(), p.output.begin() + s.value_dim));
}

#if defined(__x86_64__) || defined(__aarch64__)
TEST_CASE("call: the floating-point environment is the caller's", "[quiet][attention][call]") {
  Random random(96);
  const Path path = GENERATE(from_range(test::paths()));
  for (const std::int64_t queries : {1, 60}) {
    Problem p(shape(queries), random);
    p.args.path = path;
    const unsigned usual = mode();
    REQUIRE(p.check() == "");
    CHECK(mode() == usual);
    const std::vector<float> want = p.output;

    unsigned after = 0, after_error = 0;
    attn::AttentionArgs bad = p.args;
    bad.head_dim = 0;
    {
      const Mode flushing(flush);
      const attn::Status status = attn::attention(p.args);
      after = mode();
      const attn::Status error = attn::attention(bad);
      after_error = mode();
      CHECK(status.ok());
      CHECK_FALSE(error.ok());
    }
    CHECK(after == (usual | flush));
    CHECK(after_error == (usual | flush));
    CHECK(test::bits_difference(p.output, want) == "");  // ordinary data: no subnormals on the way
    {
      const Mode up(upward);
      const attn::Status status = attn::attention(p.args);
      after = mode();
      CHECK(status.ok());
    }
    CHECK(after == (usual | upward));
    CHECK(test::difference(p.output, want, 1e-5 * 4) == "");
    CHECK(mode() == usual);
  }
}

TEST_CASE("call: softmax leaves the floating-point environment alone", "[quiet][softmax][call]") {
  Random random(97);
  const std::vector<float> x = random.normals(77);
  std::vector<float> y(77), flushed(77);
  const unsigned usual = mode();
  REQUIRE(attn::softmax(x.data(), y.data(), 1, 77, 77, 77).ok());
  CHECK(mode() == usual);
  unsigned after;
  {
    const Mode flushing(flush);
    CHECK(attn::softmax(x.data(), flushed.data(), 1, 77, 77, 77).ok());
    after = mode();
  }
  CHECK(after == (usual | flush));
  CHECK(test::bits_difference(flushed, y) == "");
}
#endif
