// Which instruction set a call uses. dispatch.cpp is the only file that knows which are built in.
#pragma once

#include <cstddef>
#include <cstdint>

#include "attn/isa.hpp"
#include "attn/status.hpp"
#include "simd/kernels.hpp"

namespace attn::dispatch {

struct Candidate {
  const simd::Kernels* kernels;
  std::uint32_t needs;  // cpu:: feature sets
};

// Built in, best first; scalar needs nothing and ends the list.
const Candidate* candidates() noexcept;
std::size_t candidate_count() noexcept;

// Pure: the best candidate that `features` allow, or the one named `wanted` if it is not null.
// Null, with the reason in `status`, if there is no such name or the features do not allow it.
const simd::Kernels* choose(std::uint32_t features, const char* wanted, Status& status) noexcept;

// The active kernels; null, with the reason in `status`, if ATTN_ISA names none that runs here.
const simd::Kernels* active(Status& status) noexcept;

}  // namespace attn::dispatch
