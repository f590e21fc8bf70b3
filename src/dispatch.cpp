#include "dispatch.hpp"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "cpu.hpp"

namespace attn::dispatch {
namespace {

constexpr Candidate built_in[] = {
#ifdef ATTN_HAVE_AVX512BF16
    {&simd::avx512bf16, cpu::avx512 | cpu::avx512_bf16},
#endif
#ifdef ATTN_HAVE_AVX512
    {&simd::avx512, cpu::avx512},
#endif
#ifdef ATTN_HAVE_AVX2
    {&simd::avx2, cpu::avx2_fma},
#endif
#ifdef ATTN_HAVE_NEONBF16
    {&simd::neonbf16, cpu::neon_bf16},
#endif
#ifdef ATTN_HAVE_NEON
    {&simd::neon, cpu::none},  // part of the AArch64 baseline
#endif
    {&simd::scalar, cpu::none},
};

// Of all machines, best first. tests/build/lists.cmake compares the other lists of instruction sets with this one.
constexpr const char* names[] = {"avx512bf16", "avx512", "avx2", "neonbf16", "neon", "scalar"};

Status unknown(const char* wanted) noexcept {
  char list[80] = "";  // "avx512bf16, avx512, avx2, neonbf16, neon, scalar"
  std::size_t length = 0;
  for (const char* name : names) {
    const int added = std::snprintf(list + length, sizeof list - length, "%s%s", length ? ", " : "", name);
    length = std::min(length + static_cast<std::size_t>(added), sizeof list - 1);
  }
  return Status(StatusCode::invalid_argument, "ATTN_ISA or use_isa: \"%.64s\" is not one of %s", wanted, list);
}

bool runs(const Candidate& candidate, std::uint32_t features) {
  return (candidate.needs & features) == candidate.needs;
}

// ATTN_ISA, or null. Empty counts as not set, as shells cannot always unset.
const char* wanted() {
  const char* name = std::getenv("ATTN_ISA");
  return name && *name ? name : nullptr;
}

// Null until the first call. Choosing twice at the same time chooses the same, so no lock is needed.
std::atomic<const simd::Kernels*> active_kernels{nullptr};

}  // namespace

const Candidate* candidates() noexcept { return built_in; }
std::size_t candidate_count() noexcept { return sizeof built_in / sizeof built_in[0]; }

const simd::Kernels* choose(std::uint32_t features, const char* wanted, Status& status) noexcept {
  for (const Candidate& candidate : built_in) {
    if (wanted && std::strcmp(wanted, candidate.kernels->name) != 0) continue;
    if (runs(candidate, features)) return candidate.kernels;
  }
  for (const char* name : names)
    if (std::strcmp(wanted, name) == 0) {
      status = Status(
          StatusCode::unsupported, "ATTN_ISA or use_isa: \"%s\" is not built in or cannot run on this machine", name);
      return nullptr;
    }
  status = unknown(wanted);
  return nullptr;
}

const simd::Kernels* active(Status& status) noexcept {
  const simd::Kernels* kernels = active_kernels.load(std::memory_order_relaxed);
  if (kernels) return kernels;
  kernels = choose(cpu::detect(), wanted(), status);
  if (kernels) active_kernels.store(kernels, std::memory_order_relaxed);
  return kernels;
}

}  // namespace attn::dispatch

namespace attn {

std::size_t isa_count() noexcept { return dispatch::candidate_count(); }

Isa isa(std::size_t index) noexcept {
  const dispatch::Candidate& candidate = dispatch::candidates()[index];
  return {candidate.kernels->name, dispatch::runs(candidate, cpu::detect())};
}

const char* active_isa() noexcept {
  Status status;
  const simd::Kernels* kernels = dispatch::active(status);
  return kernels ? kernels->name : nullptr;
}

Status use_isa(const char* name) noexcept {
  Status status;
  const simd::Kernels* kernels = dispatch::choose(cpu::detect(), name ? name : dispatch::wanted(), status);
  if (kernels) dispatch::active_kernels.store(kernels, std::memory_order_relaxed);
  return status;
}

}  // namespace attn
