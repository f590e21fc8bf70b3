// A buffer between two pages that cannot be touched: one byte too far is a crash.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <stdexcept>

namespace test {

// Which end of the buffer touches a forbidden page.
enum class Edge { before, after };

class GuardedFloats {
 public:
  GuardedFloats(std::size_t count, Edge edge) : count_(count) {
    const std::size_t page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    const std::size_t inner = (count * sizeof(float) + page - 1) / page * page;
    bytes_ = inner + 2 * page;
    void* memory = mmap(nullptr, bytes_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::runtime_error("mmap failed");
    start_ = static_cast<char*>(memory);
    if (inner > 0 && mprotect(start_ + page, inner, PROT_READ | PROT_WRITE) != 0)
      throw std::runtime_error("mprotect failed");
    char* first = edge == Edge::before ? start_ + page : start_ + page + inner - count * sizeof(float);
    data_ = reinterpret_cast<float*>(first);
  }
  ~GuardedFloats() { munmap(start_, bytes_); }
  GuardedFloats(const GuardedFloats&) = delete;
  GuardedFloats& operator=(const GuardedFloats&) = delete;

  float* data() { return data_; }
  std::size_t size() const { return count_; }
  float* begin() { return data_; }
  float* end() { return data_ + count_; }

 private:
  std::size_t count_, bytes_;
  char* start_;
  float* data_;
};

}  // namespace test
