// The arithmetic limit of this machine, measured: what every share of a peak is a share of.
#pragma once

// Independent chains of fused multiply-adds in the registers of one core. isa: a name of README.md's table;
// the caller knows that the CPU can run it. Both return 0 for any other name.
extern "C" {

// About 50 microseconds of it; the flop that they were.
double attn_peak_run(const char* isa);

// GFLOP/s over about `seconds`: the median of such runs.
double attn_peak_gflops(const char* isa, double seconds);
}
