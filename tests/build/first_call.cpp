// The process's first calls into the library, from 16 threads at the same moment: dispatch must be ready for all of
// them.
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "attn/attention.hpp"

namespace {

constexpr int threads = 16;
constexpr std::int64_t heads = 2, length = 20, dim = 24;

}  // namespace

int main() {
  std::vector<float> x(heads * length * dim);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i * 37 % 101) / 50 - 1;
  std::vector<std::vector<float>> outputs(threads, std::vector<float>(x.size()));
  std::vector<std::string> messages(threads);

  std::atomic<int> waiting{threads};
  std::vector<std::thread> pool;
  for (int t = 0; t < threads; ++t)
    pool.emplace_back([&, t] {
      attn::AttentionArgs args;
      args.query_heads = args.kv_heads = heads;
      args.query_length = args.key_length = length;
      args.head_dim = args.value_dim = dim;
      args.query = args.key = args.value = attn::bhtd(static_cast<const float*>(x.data()), heads, length, dim);
      args.output = attn::bhtd(outputs[t].data(), heads, length, dim);
      waiting.fetch_sub(1);
      while (waiting.load() > 0) std::this_thread::yield();
      messages[t] = attn::attention(args).message();
    });
  for (std::thread& thread : pool) thread.join();

  int failures = 0;
  for (int t = 0; t < threads; ++t) {
    const bool same = std::memcmp(outputs[t].data(), outputs[0].data(), x.size() * sizeof(float)) == 0;
    if (messages[t].empty() && same && outputs[t][0] != 0) continue;
    std::fprintf(stderr, "thread %d: %s\n", t, same ? messages[t].c_str() : "another result than thread 0");
    ++failures;
  }
  return failures ? 1 : 0;
}
