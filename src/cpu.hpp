// What the CPU can do and the operating system allows. cpu.cpp is the only file that asks.
#pragma once

#include <cstdint>

namespace attn::cpu {

// Feature sets that an instruction set of simd/ may need. A bit is set only if the CPU has every instruction of the set
// and the operating system saves its registers.
inline constexpr std::uint32_t none = 0, avx2_fma = 1, avx512 = 2, avx512_bf16 = 4, neon_bf16 = 8;

// What CPUID and XGETBV answered (x86). Tests invent these.
struct Raw {
  std::uint32_t max_leaf = 0;  // CPUID(0).eax
  std::uint32_t leaf1_ecx = 0;  // CPUID(1).ecx: FMA 12, OSXSAVE 27, AVX 28, F16C 29
  std::uint32_t leaf7_ebx = 0;  // CPUID(7,0).ebx: AVX2 5, AVX512F 16, AVX512DQ 17, AVX512BW 30, AVX512VL 31
  std::uint64_t xcr0 = 0;  // XGETBV(0), 0 if OSXSAVE is not set: xmm and ymm state 0x6, zmm state 0xe6
  std::uint32_t leaf7_subleaves = 0;  // CPUID(7,0).eax: the last subleaf
  std::uint32_t leaf71_eax = 0;  // CPUID(7,1).eax: AVX512_BF16 5
};

// Pure: the feature sets of x86 that follow from the answers.
std::uint32_t features(const Raw& raw) noexcept;

// The features of this machine. On Arm bf16 products, where Linux or macOS says so.
std::uint32_t detect() noexcept;

}  // namespace attn::cpu
