// The instruction sets: which are built in, which run on this machine, which is active. They give the same bits.
#pragma once

#include "attn/macros_off.h"
// No macro has a name that stands below, until macros_on.h.
#include <cstddef>

#include "attn/status.hpp"

namespace attn {

struct Isa {
  const char* name;  // "avx512bf16", "avx512", "avx2", "neonbf16", "neon" or "scalar": the values of ATTN_ISA
  bool runnable;  // by this CPU and this operating system
};

// The instruction sets that this library was built with, best first; scalar ends the list and always runs.
[[nodiscard]] std::size_t isa_count() noexcept;
[[nodiscard]] Isa isa(std::size_t index) noexcept;  // index < isa_count()

// The one that calls use: the environment variable ATTN_ISA if it is set and not empty, else the best that runs.
// Null if ATTN_ISA names none that is built in and runs here; then every call returns the status of use_isa.
[[nodiscard]] const char* active_isa() noexcept;

// Makes `name` active for all threads from their next call on; null: back to ATTN_ISA or the best.
// invalid_argument for an unknown name, unsupported for one that is not built in or cannot run here; then nothing
// changes. For tests and benchmarks; results do not depend on it.
[[nodiscard]] Status use_isa(const char* name) noexcept;

}  // namespace attn

#include "attn/macros_on.h"
