// The memory of a call.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>

#include "attn/status.hpp"

namespace attn {

// Calls run(memory) with memory of `needed` bytes: the caller's workspace of `bytes`; where that is null, its own.
template <class Run>
Status with_workspace(void* workspace, std::size_t bytes, std::size_t needed, const Run& run) noexcept {
  if (workspace && bytes < needed)
    return Status(StatusCode::invalid_argument, "workspace_bytes must be at least %zu, got %zu", needed, bytes);
  std::unique_ptr<void, decltype(&std::free)> own(nullptr, &std::free);
  if (!workspace && needed > 0) {
    own.reset(std::malloc(needed));
    if (!own) return Status(StatusCode::out_of_memory, "the workspace of %zu bytes could not be allocated", needed);
  }
  run(workspace ? workspace : own.get());
  return {};
}

}  // namespace attn
