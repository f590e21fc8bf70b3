"""The CPUs that predict.py asks llvm-mca about, and whose models LLVM has."""

from dataclasses import dataclass

LEAST_SHARE = 0.8


@dataclass(frozen=True)
class Cpu:
    name: str  # LLVM's
    words: str
    isas: tuple
    model: str | None  # what the units of its own model begin with; None: no LLVM has one
    note: str = ""  # on AVX-512, if by the model one FMA can start in a cycle
    least: float = LEAST_SHARE  # of AVX-512: lower where the model is known to be wrong


X86, WIDE, ARM = ("avx2",), ("avx512", "avx2"), ("neon",)
ONE_UNIT = "of 512 bits, LLVM gives it one FMA unit; most of these CPUs have two"
CPUS = (
    Cpu("haswell", "Intel Haswell (2013)", X86, "HW"),
    Cpu("skylake-avx512", "Intel Skylake, Cascade Lake servers (2017)", WIDE, "SKX"),
    Cpu("icelake-server", "Intel Ice Lake servers (2021)", WIDE, "ICX", ONE_UNIT),
    Cpu("sapphirerapids", "Intel Sapphire Rapids (2023)", WIDE, "SPR", ONE_UNIT),
    Cpu("znver2", "AMD Zen 2 (2019)", X86, "Zn2"),
    Cpu("znver3", "AMD Zen 3 (2020)", X86, "Zn3"),
    Cpu("znver4", "AMD Zen 4 (2022)", WIDE, "Zn4",
        "LLVM lets each 512-bit broadcast from memory occupy the FMA units, but whole calls measured 0.90 of the peak",
        0.75),
    Cpu("znver5", "AMD Zen 5 (2024)", WIDE, "Zn5"),
    Cpu("neoverse-n1", "Arm Neoverse N1: Graviton 2, Ampere Altra", ARM, "N1"),
    Cpu("neoverse-v1", "Arm Neoverse V1: Graviton 3", ARM, "V1"),
    Cpu("neoverse-n2", "Arm Neoverse N2: Cobalt 100", ARM, "N2"),
    Cpu("neoverse-v2", "Arm Neoverse V2: Graviton 4, Grace, Axion", ARM, "V2"),
    Cpu("apple-m1", "Apple M1 (2020)", ARM, None),
    Cpu("apple-m2", "Apple M2 (2022)", ARM, None),
    Cpu("apple-m3", "Apple M3 (2023)", ARM, None),
    Cpu("apple-m4", "Apple M4 (2024)", ARM, None),
)
MODELS = {
    "SB": "Sandy Bridge", "HW": "Haswell", "BW": "Broadwell", "SKL": "Skylake", "SKX": "Skylake servers",
    "ICX": "Ice Lake",
    "SPR": "Sapphire Rapids", "Zn2": "Zen 2", "Zn3": "Zen 3", "Zn4": "Zen 4", "Zn": "Zen 1", "A57": "Cortex-A57 (2013)",
    "N1": "Neoverse N1", "N2": "Neoverse N2", "V1": "Neoverse V1", "V2": "Neoverse V2", "Cy": "Apple A7 (2013)",
}
