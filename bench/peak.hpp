// The arithmetic limit of this machine, measured: what every share of a peak is a share of.
#pragma once

// GFLOP/s of independent chains of fused multiply-adds in the registers of one core, over about `seconds`: the median
// of short slices. isa: "avx2", "avx512" or "neon"; 0 for any other. The caller knows that the CPU can run it.
extern "C" double attn_peak_gflops(const char* isa, double seconds);
