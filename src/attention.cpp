// attention(): check, resolve the problem, plan, find memory, run.
#include "attn/attention.hpp"

#include "base/memory.hpp"
#include "blas/blas.hpp"
#include "blas/path.hpp"
#include "call/problem.hpp"
#include "check/check.hpp"
#include "dispatch.hpp"
#include "streaming/path.hpp"

namespace attn {
namespace {

// With weights streaming took 0.4 to 1.02 of the BLAS path's time (Zen 3, AVX2). One query without grouped heads, keys
// in the caches, one thread: 1.1 to 1.4. It streams all the same, so that weights change no bit of the output.
Path chosen_path(const AttentionArgs& args) noexcept {
  return args.path == Path::automatic ? Path::streaming : args.path;
}

}  // namespace

std::size_t workspace_size(const AttentionArgs& args) noexcept {
  Status status = check::sizes(args);
  const simd::Kernels* kernels = dispatch::active(status);
  if (!status.ok()) return 0;
  const Problem problem = make_problem(args);
  if (chosen_path(args) != Path::blas) return streaming::workspace_bytes(problem, *kernels);
  if constexpr (blas::built)
    return blas_path::workspace_bytes(problem);
  else
    return 0;
}

Status attention(const AttentionArgs& args) noexcept {
  const Path path = chosen_path(args);
  Status status = check::attention(args, path);
  if (!status.ok()) return status;
  const simd::Kernels* kernels = dispatch::active(status);
  if (!kernels) return status;

  const Problem problem = make_problem(args);
  if constexpr (blas::built)
    if (path == Path::blas)
      return with_workspace(
          args.workspace, args.workspace_bytes, blas_path::workspace_bytes(problem),
          [&](void* workspace) { blas_path::run(problem, *kernels, workspace); });
  const streaming::Plan plan = streaming::make_plan(problem, *kernels);
  // The caller was told a number that serves smaller calls, too; what the call allocates is for itself alone.
  const std::size_t bytes =
      args.workspace ? streaming::workspace_bytes(problem, *kernels) : streaming::workspace_bytes(plan);
  return with_workspace(
      args.workspace, args.workspace_bytes, bytes, [&](void* workspace) { streaming::run(plan, workspace); });
}

}  // namespace attn
