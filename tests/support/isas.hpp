// The suite runs once under each instruction set (tests/CMakeLists.txt), so a test tries the active one only: against a
// stored hash, or against what scalar gives.
#pragma once

#include <cstdlib>
#include <cstring>

#include "attn/isa.hpp"
#include "dispatch.hpp"
#include "support/use_isa.hpp"

namespace test {

// The result of `body` with scalar active.
template <class Body>
auto on_scalar(const Body& body) {
  const UseIsa scalar("scalar");
  return body();
}

inline const attn::simd::Kernels& active_kernels() {
  attn::Status status;
  const attn::simd::Kernels* kernels = attn::dispatch::active(status);
  attn::throw_if_error(status);
  return *kernels;
}

inline bool scalar_is_active() {
  const char* name = attn::active_isa();
  return name && std::strcmp(name, "scalar") == 0;
}

// ATTN_TEST_QUICK=1 thins out the sweeps, for CI and emulators.
inline bool quick() {
  const char* value = std::getenv("ATTN_TEST_QUICK");
  return value && *value && std::strcmp(value, "0") != 0;
}

}  // namespace test
