#include "cpu.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#elif defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>

#include <cstddef>
#endif

namespace attn::cpu {
namespace {

constexpr bool has(std::uint64_t word, int bit) { return (word >> bit & 1) != 0; }

}  // namespace

std::uint32_t features(const Raw& raw) noexcept {
  const bool os_saves_registers = has(raw.leaf1_ecx, 27);
  if (!os_saves_registers || raw.max_leaf < 7) return none;
  const bool ymm = (raw.xcr0 & 0x6) == 0x6;
  const bool zmm = (raw.xcr0 & 0xe6) == 0xe6;

  std::uint32_t found = none;
  const bool f16c = has(raw.leaf1_ecx, 29);
  if (ymm && f16c && has(raw.leaf1_ecx, 28) && has(raw.leaf1_ecx, 12) && has(raw.leaf7_ebx, 5)) found |= avx2_fma;
  if (zmm && (found & avx2_fma) && has(raw.leaf7_ebx, 16) && has(raw.leaf7_ebx, 17)) found |= avx512;
  const bool bw_and_vl = has(raw.leaf7_ebx, 30) && has(raw.leaf7_ebx, 31);
  if ((found & avx512) && bw_and_vl && raw.leaf7_subleaves >= 1 && has(raw.leaf71_eax, 5)) found |= avx512_bf16;
  return found;
}

#if defined(__x86_64__)
std::uint32_t detect() noexcept {
  Raw raw;
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  __cpuid(0, raw.max_leaf, ebx, ecx, edx);
  __cpuid(1, eax, ebx, raw.leaf1_ecx, edx);
  if (raw.max_leaf >= 7) __cpuid_count(7, 0, raw.leaf7_subleaves, raw.leaf7_ebx, ecx, edx);
  if (raw.leaf7_subleaves >= 1) __cpuid_count(7, 1, raw.leaf71_eax, ebx, ecx, edx);
  if (has(raw.leaf1_ecx, 27)) {  // XGETBV exists only then; the mnemonic needs no -mxsave
    __asm__ volatile("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
    raw.xcr0 = static_cast<std::uint64_t>(edx) << 32 | eax;
  }
  return features(raw);
}
#elif defined(__aarch64__) && defined(__linux__)
std::uint32_t detect() noexcept {
  constexpr int hwcap2_bf16 = 14;  // HWCAP2_BF16, which older headers lack
  return has(getauxval(AT_HWCAP2), hwcap2_bf16) ? neon_bf16 : none;
}
#elif defined(__aarch64__) && defined(__APPLE__)
std::uint32_t detect() noexcept {
  int found = 0;
  std::size_t bytes = sizeof found;
  const bool known = sysctlbyname("hw.optional.arm.FEAT_BF16", &found, &bytes, nullptr, 0) == 0;
  return known && found != 0 ? neon_bf16 : none;
}
#else
std::uint32_t detect() noexcept { return none; }
#endif

}  // namespace attn::cpu
