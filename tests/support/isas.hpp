// The instruction sets that run here, and how to switch between them in a test.
#pragma once

#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "attn/isa.hpp"

namespace test {

inline std::vector<std::string> runnable_isas() {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < attn::isa_count(); ++i)
    if (attn::isa(i).runnable) names.push_back(attn::isa(i).name);
  return names;
}

// Makes an instruction set active as long as it lives, then goes back to the one that ATTN_ISA or the machine chose.
class UseIsa {
 public:
  explicit UseIsa(const std::string& name) { attn::throw_if_error(attn::use_isa(name.c_str())); }
  ~UseIsa() { static_cast<void>(attn::use_isa(nullptr)); }
  UseIsa(const UseIsa&) = delete;
  UseIsa& operator=(const UseIsa&) = delete;
};

inline bool scalar_is_active() {
  const char* name = attn::active_isa();
  return name && std::strcmp(name, "scalar") == 0;
}

// ATTN_TEST_QUICK=1 thins out the sweeps, for emulators.
inline bool quick() {
  const char* value = std::getenv("ATTN_TEST_QUICK");
  return value && *value && std::strcmp(value, "0") != 0;
}

}  // namespace test
