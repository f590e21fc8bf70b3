// attention() on the threads of OpenMP: an application hands its own parallel_for to the library, which starts none.
#include <omp.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <random>
#include <vector>

#include "attn/attn.hpp"

// All that attn asks of a threading library: task(argument, i) once for every i in [0, count).
void openmp_for(void*, std::int64_t count, attn::Parallel::Task task, void* argument) {
#pragma omp parallel for schedule(static, 1)
  for (std::int64_t i = 0; i < count; ++i) task(argument, i);
}

int main() {
  const std::int64_t batch = 2, heads = 8, length = 200, dim = 64;
  const std::int64_t size = batch * heads * length * dim;
  std::mt19937 generator(1);
  std::normal_distribution<float> normal;
  std::vector<float> q(size), k(size), v(size), serial(size), parallel(size);
  for (std::vector<float>* x : {&q, &k, &v})
    for (float& value : *x) value = normal(generator);

  attn::AttentionArgs args;
  args.batch = batch;
  args.query_heads = args.kv_heads = heads;
  args.query_length = args.key_length = length;
  args.head_dim = args.value_dim = dim;
  args.query = attn::bhtd(static_cast<const float*>(q.data()), heads, length, dim);
  args.key = attn::bhtd(static_cast<const float*>(k.data()), heads, length, dim);
  args.value = attn::bhtd(static_cast<const float*>(v.data()), heads, length, dim);
  args.causal = true;

  args.output = attn::bhtd(serial.data(), heads, length, dim);
  attn::throw_if_error(attn::attention(args));

  const attn::Parallel openmp{openmp_for, nullptr, omp_get_max_threads()};
  args.parallel = &openmp;
  args.output = attn::bhtd(parallel.data(), heads, length, dim);
  attn::throw_if_error(attn::attention(args));

  const bool same = std::memcmp(serial.data(), parallel.data(), serial.size() * sizeof(float)) == 0;
  std::printf(
      "1 thread and %d threads of OpenMP gave %s\n", omp_get_max_threads(), same ? "the same bits" : "DIFFERENT BITS");
  return same ? 0 : 1;
}
