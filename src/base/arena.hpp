// Cuts the workspace into pieces.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/saturating.hpp"

namespace attn {

// Hands out 64-byte aligned pieces of the workspace. With base 0 it only counts: that is workspace_size().
class Arena {
 public:
  explicit Arena(std::uintptr_t base) noexcept : base_(base), used_(base ? (64 - base % 64) % 64 : 64) {}

  template <class T>
  T* take(std::size_t count) noexcept {
    T* piece = base_ ? reinterpret_cast<T*>(base_ + used_) : nullptr;
    const std::size_t bytes = saturating_sum(saturating_product(count, sizeof(T)), 63);
    used_ = saturating_sum(used_, bytes - bytes % 64);
    return piece;
  }
  // As if take() were called `times` times. It takes the same every time.
  template <class Take>
  void count(std::size_t times, const Take& take) noexcept {
    if (times == 0) return;
    const std::size_t before = used_;
    take();
    used_ = saturating_sum(before, saturating_product(used_ - before, times));
  }
  std::size_t used() const noexcept { return used_; }

 private:
  std::uintptr_t base_;
  std::size_t used_;
};

}  // namespace attn
