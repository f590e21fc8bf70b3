#include "cpu.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
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
  return found;
}

#if defined(__x86_64__)
std::uint32_t detect() noexcept {
  Raw raw;
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  __cpuid(0, raw.max_leaf, ebx, ecx, edx);
  __cpuid(1, eax, ebx, raw.leaf1_ecx, edx);
  if (raw.max_leaf >= 7) __cpuid_count(7, 0, eax, raw.leaf7_ebx, ecx, edx);
  if (has(raw.leaf1_ecx, 27)) {  // XGETBV exists only then; the mnemonic needs no -mxsave
    __asm__ volatile("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
    raw.xcr0 = static_cast<std::uint64_t>(edx) << 32 | eax;
  }
  return features(raw);
}
#else
std::uint32_t detect() noexcept { return none; }
#endif

}  // namespace attn::cpu
