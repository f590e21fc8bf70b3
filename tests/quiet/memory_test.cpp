// The streaming path's memory grows with the keys, not with queries x keys: at 16384 x 16384 it takes under 64 MiB,
// where one head's weights would take 1 GiB; and no more for more heads or a larger batch.
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include "attn/attention.hpp"
#include "support/catch.hpp"
#include "support/isas.hpp"
#include "support/problem.hpp"

namespace {

constexpr std::size_t limit = std::size_t{64} << 20;

attn::AttentionArgs shape(std::int64_t batch, std::int64_t heads, std::int64_t length, std::int64_t dim) {
  attn::AttentionArgs args;
  args.batch = batch;
  args.query_heads = args.kv_heads = heads;
  args.query_length = args.key_length = length;
  args.head_dim = args.value_dim = dim;
  args.path = attn::Path::streaming;
  return args;
}

// A line of /proc/self/status in bytes; 0 where there is none.
std::size_t status_bytes(const std::string& name) {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;)
    if (word == name + ":") {
      std::size_t kib = 0;
      status >> kib;
      return kib * 1024;
    }
  return 0;
}

// Starts the high-water mark of resident memory anew; whether this system can.
bool reset_peak() {
  std::ofstream file("/proc/self/clear_refs");
  file << "5" << std::flush;
  return static_cast<bool>(file) && status_bytes("VmHWM") > 0;
}

}  // namespace

TEST_CASE("memory: the workspace at 16384 x 16384, and its independence of heads, batch and queries", "[quiet]") {
  for (const std::int64_t threads : {1, 2, 4}) {
    attn::ThreadPool pool(threads);
    const attn::Parallel parallel = pool.parallel();
    for (const std::int64_t dim : {16, 64, 128}) {
      CAPTURE(threads, dim);
      const auto bytes = [&](std::int64_t batch, std::int64_t heads, std::int64_t queries) {
        attn::AttentionArgs args = shape(batch, heads, 16384, dim);
        args.query_length = queries;
        args.parallel = &parallel;
        return attn::workspace_size(args);
      };
      CHECK(bytes(1, 1, 16384) > 0);
      CHECK(bytes(1, 1, 16384) < limit);
      CHECK(bytes(16, 64, 16384) < limit * static_cast<std::size_t>(threads) / (threads > 1 ? 2 : 1));
      CHECK(bytes(16, 64, 8 * 16384) == bytes(16, 64, 16384));  // queries cost nothing
      CHECK(bytes(32, 128, 16384) == bytes(16, 64, 16384));  // nor do heads or the batch
      CHECK(bytes(1, 1, 1) < limit / 8);
    }
  }
}

TEST_CASE("memory: weights and their sums hold no matrix", "[quiet]") {
  float result = 0;  // nothing is written: only the size is asked
  attn::AttentionArgs args = shape(1, 4, 16384, 64);
  const std::size_t plain = attn::workspace_size(args);
  args.weights = attn::bhtd(&result, 4, 16384, 16384);
  args.key_weight_sums = &result;
  const std::size_t with = attn::workspace_size(args);
  CHECK(with > plain);
  // The exponentials of a tile of 64 rows, some more bytes for each of its rows and blocks, sums of the four heads.
  CHECK(with < plain + (64 + 4 + 1) * 16384 * sizeof(float) * 33 / 32 + (std::size_t{1} << 18));
  args.query_length *= 8;
  args.weights = attn::bhtd(&result, 4, 8 * 16384, 16384);
  CHECK(attn::workspace_size(args) == with);  // queries cost nothing
}

TEST_CASE("memory: the peak of a call at 16384 x 16384", "[quiet]") {
  test::Random random(3);
  const bool slow = test::quick() || test::scalar_is_active();
  test::Problem p({1, 1, 1, slow ? 64 : 16384, 16384, 16, 16}, random);
  p.args.path = attn::Path::streaming;
  if (!reset_peak()) {
    WARN("SKIPPED: this system does not tell the peak of resident memory");
    return;
  }
  const std::size_t before = status_bytes("VmRSS");
  REQUIRE(attn::attention(p.args).ok());
  const std::size_t peak = status_bytes("VmHWM");
  CAPTURE(before, peak);
  CHECK(peak - before < limit);
  CHECK(p.output[p.output.size() - 1] != test::canary);
}
