// Makes an instruction set active as long as it lives. For tests and benchmarks.
#pragma once

#include <string>

#include "attn/isa.hpp"

namespace test {

class UseIsa {
 public:
  explicit UseIsa(const std::string& name) { attn::throw_if_error(attn::use_isa(name.c_str())); }
  ~UseIsa() { static_cast<void>(attn::use_isa(nullptr)); }  // back to ATTN_ISA or the best
  UseIsa(const UseIsa&) = delete;
  UseIsa& operator=(const UseIsa&) = delete;
};

}  // namespace test
