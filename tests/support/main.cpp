// The test program runs under one instruction set, and makes sure of it: ATTN_ISA=<isa> ATTN_EXPECT_ISA=<isa>
// attn_tests. Stored hashes that nothing asks for are an error, too; ATTN_WRITE_HASHES=<file> writes those of this run.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>

#if !__has_include(<catch2/catch_all.hpp>)
#define CATCH_CONFIG_RUNNER
#endif
#include "attn/isa.hpp"
#include "support/catch.hpp"
#include "support/hashes.hpp"

namespace {

constexpr int skipped = 77;  // what ctest is told to take for "skipped"

bool is_active(const char* expected) {
  const char* active = attn::active_isa();
  if (active && std::strcmp(active, expected) == 0) return true;
  std::fprintf(
      stderr, "error: expected the instruction set %s, but %s is active\n", expected, active ? active : "none");
  return false;
}

bool runs_here(const char* name) {
  for (std::size_t i = 0; i < attn::isa_count(); ++i)
    if (std::strcmp(attn::isa(i).name, name) == 0) return attn::isa(i).runnable;
  return true;  // not built in: is_active will say so
}

bool write_hashes(const char* path) {
  std::ofstream file(path);
  test::hashes().write(file);
  file.close();
  if (!file) std::fprintf(stderr, "error: cannot write %s\n", path);
  return static_cast<bool>(file);
}

// Every stored hash is looked up, if all tests ran.
bool all_hashes_used(Catch::Session& all) {
  if (!all.configData().testsOrTags.empty() || !test::hashes().used()) return true;
  const std::string names = test::hashes().unused();
  if (!names.empty()) std::fprintf(stderr, "error: no test asks for these of hashes.txt:\n%s", names.c_str());
  return names.empty();
}

}  // namespace

int main(int argc, char** argv) {
  const char* expected = std::getenv("ATTN_EXPECT_ISA");
  if (expected && !runs_here(expected)) {
    std::printf("SKIPPED: this machine has no %s\n", expected);
    return skipped;
  }
  if (expected && !is_active(expected)) return 1;
  // The number of failures would be the return code, and 77 failures must not look like a skip.
  Catch::Session all;
  if (all.run(argc, argv) != 0) return 1;
  if (const char* path = std::getenv("ATTN_WRITE_HASHES")) {
    if (!write_hashes(path)) return 1;
  } else if (!all_hashes_used(all)) {
    return 1;
  }
  return expected && !is_active(expected) ? 1 : 0;
}
