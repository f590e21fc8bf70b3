// attention(): check, choose the path, run it.
#include "attn/attention.hpp"

#include <cstdlib>
#include <memory>

#include "blas_path.hpp"
#include "check.hpp"
#include "dispatch.hpp"
#include "streaming_path.hpp"

namespace attn {
namespace {

Path chosen_path(const AttentionArgs& args) noexcept {
  if (args.path != Path::automatic) return args.path;
  return args.weights.data || args.scores.data ? Path::blas : Path::streaming;
}

std::size_t needed_workspace(const AttentionArgs& args, Path path, const simd::Kernels& kernels) noexcept {
  return path == Path::blas ? blas_path::workspace_size(args) : streaming_path::workspace_size(args, kernels);
}

}  // namespace

std::size_t workspace_size(const AttentionArgs& args) noexcept {
  Status status = check::sizes(args);
  const simd::Kernels* kernels = dispatch::active(status);
  return status.ok() ? needed_workspace(args, chosen_path(args), *kernels) : 0;
}

Status attention(const AttentionArgs& args) noexcept {
  const Path path = chosen_path(args);
  Status status = check::attention(args, path);
  if (!status.ok()) return status;
  const simd::Kernels* kernels = dispatch::active(status);
  if (!kernels) return status;

  const std::size_t needed = needed_workspace(args, path, *kernels);
  void* workspace = args.workspace;
  std::unique_ptr<void, decltype(&std::free)> own(nullptr, &std::free);
  if (workspace && args.workspace_bytes < needed)
    return Status(StatusCode::invalid_argument, "workspace_bytes must be at least %zu, got %zu", needed,
                  args.workspace_bytes);
  if (!workspace && needed > 0) {
    own.reset(workspace = std::malloc(needed));
    if (!workspace)
      return Status(StatusCode::out_of_memory, "the workspace of %zu bytes could not be allocated", needed);
  }
  path == Path::blas ? blas_path::run(args, *kernels, workspace) : streaming_path::run(args, *kernels, workspace);
  return status;
}

}  // namespace attn
