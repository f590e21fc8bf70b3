// P6: with a workspace given, a call makes no system call. A child process forbids them all (seccomp's strict mode) and
// calls; one system call, or a page of memory asked from the kernel, would kill it. That no allocation and no lock is
// reached either is shown on the object files: tests/build/quiet_objects.cmake.
#include "support/catch.hpp"

#if defined(__linux__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <vector>

#include "attn/softmax.hpp"
#include "support/isas.hpp"
#include "support/problem.hpp"
#include "support/random_problem.hpp"

namespace {

enum class Outcome { fine, failed, killed, not_here };

// Runs f in a child that may not call the system.
template <class Function>
Outcome without_system_calls(const Function& f) {
  const pid_t child = fork();
  if (child == 0) {
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0) syscall(SYS_exit, 2);
    syscall(SYS_exit, f() ? 0 : 1);  // strict mode allows this one, and not the C library's exit_group
  }
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child) return Outcome::not_here;
  if (WIFSIGNALED(status)) return WTERMSIG(status) == SIGKILL ? Outcome::killed : Outcome::failed;
  return WEXITSTATUS(status) == 0 ? Outcome::fine : WEXITSTATUS(status) == 2 ? Outcome::not_here : Outcome::failed;
}

}  // namespace

TEST_CASE("machinery: no system call with a workspace", "[quiet]") {
  if (without_system_calls([] { return getpid() > 0; }) != Outcome::killed) {
    WARN("SKIPPED: this system has no seccomp, or an emulator ignores it");
    return;
  }
  test::Random random(5);
  for (const test::Shape& shape :
       {test::Shape{2, 4, 2, 70, 600, 40, 24}, test::Shape{1, 2, 2, 200, 700, 64, 64},
        test::Shape{2, 8, 2, 1, 1100, 64, 80}}) {
    test::Problem p(shape, random);
    p.want_logsumexp();
    p.args.path = attn::Path::streaming;
    p.args.causal = true;
    std::vector<char> workspace(attn::workspace_size(p.args));
    p.args.workspace = workspace.data();
    p.args.workspace_bytes = workspace.size();
    REQUIRE(attn::attention(p.args).ok());  // the first call of a process reads ATTN_ISA
    CHECK(without_system_calls([&] { return attn::attention(p.args).ok(); }) == Outcome::fine);
    // Neither does a refusal.
    p.args.workspace_bytes -= 1;
    CHECK(without_system_calls([&] {
            return attn::attention(p.args).code() == attn::StatusCode::invalid_argument;
          }) == Outcome::fine);
  }
  for (int round = 0; round < 40; ++round) {  // any mixture of options
    test::RandomProblem p(random, attn::Path::streaming, round % 4 == 0);
    std::vector<char> workspace(attn::workspace_size(p.args()) + 1);
    p.args().workspace = workspace.data();
    p.args().workspace_bytes = workspace.size();
    INFO(test::describe(p.args()));
    CHECK(without_system_calls([&] { return attn::attention(p.args()).ok(); }) == Outcome::fine);
  }
  std::vector<float> x(64 * 100, 0.5f);
  CHECK(
      without_system_calls([&] { return attn::softmax(x.data(), x.data(), 64, 100, 100, 100).ok(); }) == Outcome::fine);
}
#endif
