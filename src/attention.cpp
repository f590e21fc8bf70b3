// attention(): check, resolve the problem, plan, find memory, run.
#include "attn/attention.hpp"

#include <cstdlib>
#include <memory>

#include "blas/path.hpp"
#include "call/problem.hpp"
#include "check/check.hpp"
#include "dispatch.hpp"
#include "streaming/path.hpp"

namespace attn {
namespace {

Path chosen_path(const AttentionArgs& args) noexcept {
  if (args.path != Path::automatic) return args.path;
  return args.weights.data || args.scores.data ? Path::blas : Path::streaming;
}

// Calls run(workspace) with memory of `needed` bytes: the caller's, or its own.
template <class Run>
Status with_workspace(const AttentionArgs& args, std::size_t needed, const Run& run) noexcept {
  if (args.workspace && args.workspace_bytes < needed)
    return Status(
        StatusCode::invalid_argument, "workspace_bytes must be at least %zu, got %zu", needed, args.workspace_bytes);
  std::unique_ptr<void, decltype(&std::free)> own(nullptr, &std::free);
  if (!args.workspace && needed > 0) {
    own.reset(std::malloc(needed));
    if (!own) return Status(StatusCode::out_of_memory, "the workspace of %zu bytes could not be allocated", needed);
  }
  run(args.workspace ? args.workspace : own.get());
  return {};
}

}  // namespace

std::size_t workspace_size(const AttentionArgs& args) noexcept {
  Status status = check::sizes(args);
  const simd::Kernels* kernels = dispatch::active(status);
  if (!status.ok()) return 0;
  const Problem problem = make_problem(args);
  return chosen_path(args) == Path::blas ? blas_path::workspace_bytes(problem)
                                         : streaming::make_plan(problem, *kernels).workspace_bytes;
}

Status attention(const AttentionArgs& args) noexcept {
  const Path path = chosen_path(args);
  Status status = check::attention(args, path);
  if (!status.ok()) return status;
  const simd::Kernels* kernels = dispatch::active(status);
  if (!kernels) return status;

  const Problem problem = make_problem(args);
  if (path == Path::blas)
    return with_workspace(args, blas_path::workspace_bytes(problem), [&](void* workspace) {
      blas_path::run(problem, *kernels, workspace);
    });
  const streaming::Plan plan = streaming::make_plan(problem, *kernels);
  return with_workspace(args, plan.workspace_bytes, [&](void* workspace) { streaming::run(plan, workspace); });
}

}  // namespace attn
