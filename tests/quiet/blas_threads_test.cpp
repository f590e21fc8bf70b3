// The BLAS path on the caller's threads: how many, what is left to them where the BLAS has its own, and a run that
// throws or leaves tasks out. right/weights_test.cpp compares the bits.
#include "support/blas_threads.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <vector>

#include "attn/attn.hpp"
#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/problem.hpp"

namespace {

using std::int64_t;

// All tasks but the last `left_out` on the calling thread, and how many were asked for. With half of them done it may
// throw.
struct Serial {
  int64_t calls = 0, most = 0, left_out = 0;
  bool throws = false;
  static void run(void* context, int64_t count, attn::Parallel::Task task, void* argument) {
    Serial& self = *static_cast<Serial*>(context);
    ++self.calls;
    self.most = std::max(self.most, count);
    for (int64_t i = 0; i < count - self.left_out; ++i) {
      if (self.throws && i == count / 2) throw std::runtime_error("half way");
      task(argument, i);
    }
  }
};

// One head of four row blocks; twelve heads of one and a part.
const test::Shape few_heads{1, 1, 1, 1000, 200, 16, 24}, many_heads{3, 4, 2, 300, 100, 16, 24};

}  // namespace

TEST_CASE("blas threads: tasks are heads, or row blocks where heads are few", "[quiet][parallel][blas]") {
  const test::BlasThreads one(1);
  const struct {
    const char* name;
    test::Shape shape;
    bool sums;
    int64_t threads, workers;
  } cases[] = {
      {"row blocks", few_heads, false, 3, 3},
      {"no more than row blocks", few_heads, false, 1000, 4},
      {"heads, with sums", few_heads, true, 4, 0},  // one head: the calling thread
      {"heads", many_heads, false, 3, 3},
      {"row blocks of several heads", many_heads, false, 16, 16},
      {"no more than heads, with sums", many_heads, true, std::numeric_limits<int64_t>::max(), 12},
      {"little work", {1, 4, 4, 8, 8, 8, 8}, false, 4, 0},
  };
  for (const auto& c : cases) {
    test::Random random(231);
    test::Problem p(c.shape, random);
    p.args.path = attn::Path::blas;
    p.want_weights();
    if (c.sums) p.want_key_weight_sums();
    Serial serial;
    const attn::Parallel parallel{Serial::run, &serial, c.threads};
    p.args.parallel = &parallel;
    INFO(c.name);
    CHECK(p.check() == "");
    CHECK(serial.most == c.workers);
  }
}

TEST_CASE("blas threads: none of the caller's beside those of the BLAS", "[quiet][parallel][blas]") {
  if (!test::BlasThreads::known()) return;
  const test::BlasThreads two(2);
  test::Random random(232);
  test::Problem p(many_heads, random);
  p.args.path = attn::Path::blas;
  Serial serial;
  const attn::Parallel parallel{Serial::run, &serial, 4};
  p.args.parallel = &parallel;
  CHECK(p.check() == "");
  CHECK(serial.calls == 0);
}

TEST_CASE("blas threads: what the caller's run leaves is done", "[quiet][parallel][blas]") {
  const test::BlasThreads one(1);
  const bool sums = GENERATE(false, true), throws = GENERATE(false, true);
  for (const test::Shape& shape : {few_heads, many_heads}) {
    test::Random random(233);
    test::Problem p(shape, random);
    p.args.path = attn::Path::blas;
    p.want_weights(attn::DType::bf16);
    if (sums) p.want_key_weight_sums();
    REQUIRE(p.check() == "");
    const std::vector<float> want = p.results();
    for (const int64_t left_out : {1, 2, 3}) {
      Serial serial;
      serial.left_out = left_out;
      serial.throws = throws;
      const attn::Parallel parallel{Serial::run, &serial, 3};
      p.args.parallel = &parallel;
      p.output.assign(p.output.size(), test::canary);
      INFO(left_out << " left out, throws: " << throws);
      CHECK(p.check() == "");
      CHECK(test::bits_difference(p.results(), want) == "");
    }
  }
}
