// attention() on attn's own small pool: for those who have no threads yet. The workspace is the caller's, made once, so
// that the calls in the loop allocate nothing.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "attn/attn.hpp"

namespace {

// Runs args 20 times; the least milliseconds of one call.
double best_time(attn::AttentionArgs args) {
  std::vector<unsigned char> workspace(attn::workspace_size(args));  // depends on args.parallel->threads
  args.workspace = workspace.data();
  args.workspace_bytes = workspace.size();
  double best = 1e9;
  for (int i = 0; i < 20; ++i) {
    const auto start = std::chrono::steady_clock::now();
    attn::throw_if_error(attn::attention(args));
    const std::chrono::duration<double, std::milli> time = std::chrono::steady_clock::now() - start;
    best = std::min(best, time.count());
  }
  return best;
}

}  // namespace

int main() {
  const std::int64_t heads = 12, length = 256, dim = 64;
  const std::int64_t size = heads * length * dim;
  std::mt19937 generator(1);
  std::normal_distribution<float> normal;
  std::vector<float> q(size), k(size), v(size), serial(size), parallel(size);
  for (std::vector<float>* x : {&q, &k, &v})
    for (float& value : *x) value = normal(generator);

  attn::AttentionArgs args;
  args.query_heads = args.kv_heads = heads;
  args.query_length = args.key_length = length;
  args.head_dim = args.value_dim = dim;
  args.query = attn::bhtd(static_cast<const float*>(q.data()), heads, length, dim);
  args.key = attn::bhtd(static_cast<const float*>(k.data()), heads, length, dim);
  args.value = attn::bhtd(static_cast<const float*>(v.data()), heads, length, dim);
  args.output = attn::bhtd(serial.data(), heads, length, dim);
  std::printf("1 thread:  %.3f ms\n", best_time(args));

  const std::int64_t threads = std::max(2u, std::thread::hardware_concurrency());
  attn::ThreadPool pool(threads);  // this thread counts as one of them
  const attn::Parallel pool_for = pool.parallel();
  args.parallel = &pool_for;
  args.output = attn::bhtd(parallel.data(), heads, length, dim);
  std::printf("%lld threads: %.3f ms\n", static_cast<long long>(threads), best_time(args));

  const bool same = std::memcmp(serial.data(), parallel.data(), serial.size() * sizeof(float)) == 0;
  std::printf("%s\n", same ? "same bits" : "DIFFERENT BITS");
  return same ? 0 : 1;
}
