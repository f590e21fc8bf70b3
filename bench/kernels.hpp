// What the benchmarks of single kernels share.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "attn/status.hpp"
#include "bench.hpp"
#include "dispatch.hpp"
#include "simd/kernels.hpp"

namespace bench {

using attn::simd::Kernels;

inline const Kernels& active_kernels() {
  attn::Status status;
  const Kernels* const kernels = attn::dispatch::active(status);
  attn::throw_if_error(status);
  return *kernels;
}

// Floats on 64 bytes, which is what the library's scratch stands on.
class Floats {
 public:
  explicit Floats(std::ptrdiff_t count) : lines_(static_cast<std::size_t>(count + 15) / 16) {}
  explicit Floats(const std::vector<float>& x) : Floats(static_cast<std::ptrdiff_t>(x.size())) {
    for (std::size_t i = 0; i < x.size(); ++i) data()[i] = x[i];
  }
  float* data() { return lines_.data()->floats; }

 private:
  struct alignas(64) Line {
    float floats[16] = {};
  };
  std::vector<Line> lines_;
};

inline std::shared_ptr<Floats> zeros(std::ptrdiff_t count) { return std::make_shared<Floats>(count); }
inline std::shared_ptr<Floats> numbers(std::ptrdiff_t count, std::uint64_t seed) {
  return std::make_shared<Floats>(normals(count, seed));
}

// Work of a call without results in double.
inline Work kernel_work(std::function<void()> call, double flop, double bytes, double exps = 0) {
  Work work;
  work.call = std::move(call);
  work.flop = flop;
  work.bytes = bytes;
  work.exps = exps;
  return work;
}

// kernel/<isa>/<name> for every instruction set.
inline void add_kernel(const std::string& name, Work (*prepare)(const Kernels& kernels)) {
  for (const std::string& isa : runnable_isas())
    add("kernel/" + isa + "/" + name, isa, [prepare] { return prepare(active_kernels()); });
}

}  // namespace bench
