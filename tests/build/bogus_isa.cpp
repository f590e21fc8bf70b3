// Run with ATTN_ISA=nonsense: every call must say so, and write nothing.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "attn/attn.hpp"
#include "support/paths.hpp"

namespace {

bool ok = true;

void expect(bool condition, const char* what) {
  if (condition) return;
  std::printf("FAILED: %s\n", what);
  ok = false;
}

void expect_refused(const attn::Status& status, const char* call) {
  std::printf("%s: %s\n", call, status.message());
  expect(status.code() == attn::StatusCode::invalid_argument, "the status is invalid_argument");
  expect(
      std::strstr(status.message(), "ATTN_ISA") && std::strstr(status.message(), "nonsense"),
      "the message names ATTN_ISA and its value");
}

}  // namespace

int main() {
  const char* set = std::getenv("ATTN_ISA");
  if (!set || std::strcmp(set, "nonsense") != 0) {
    std::puts("run this with ATTN_ISA=nonsense");
    return 1;
  }

  expect(attn::active_isa() == nullptr, "active_isa() is null");

  const float x[] = {1, 2};
  float y[] = {7, 7};
  expect_refused(attn::softmax(x, y, 1, 2, 2, 2), "softmax");

  attn::AttentionArgs args;
  args.query_length = args.key_length = 1;
  args.head_dim = args.value_dim = 2;
  args.query = args.key = args.value = attn::bhtd(x, 1, 1, 2);
  args.output = attn::bhtd(y, 1, 1, 2);
  for (const attn::Path path : test::paths()) {
    args.path = path;
    expect_refused(attn::attention(args), path == attn::Path::blas ? "attention (blas)" : "attention (streaming)");
  }
  expect(y[0] == 7 && y[1] == 7, "nothing was written");

  // A program may still choose for itself.
  expect(attn::use_isa("scalar").ok(), "use_isa(\"scalar\") works");
  expect(attn::softmax(x, y, 1, 2, 2, 2).ok(), "softmax works after it");
  return ok ? 0 : 1;
}
