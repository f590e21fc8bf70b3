// What the CPU can do and the operating system allows. cpu.cpp is the only file that asks.
#pragma once

#include <cstdint>

namespace attn::cpu {

// Feature sets that an instruction set of simd/ may need. A bit is set only if the CPU has every instruction of the set
// and the operating system saves its registers.
inline constexpr std::uint32_t none = 0, avx2_fma = 1, avx512 = 2;

// What CPUID and XGETBV answered (x86). Tests invent these.
struct Raw {
  std::uint32_t max_leaf = 0;  // CPUID(0).eax
  std::uint32_t leaf1_ecx = 0;  // CPUID(1).ecx: FMA 12, OSXSAVE 27, AVX 28, F16C 29
  std::uint32_t leaf7_ebx = 0;  // CPUID(7,0).ebx: AVX2 5, AVX512F 16, AVX512DQ 17
  std::uint64_t xcr0 = 0;  // XGETBV(0), 0 if OSXSAVE is not set: xmm and ymm state 0x6, zmm state 0xe6
};

// Pure: the feature sets that follow from the answers.
std::uint32_t features(const Raw& raw) noexcept;

// The features of this machine (none where this is not x86).
std::uint32_t detect() noexcept;

}  // namespace attn::cpu
