"""Predicts, without an Arm machine, how close the NEON tile comes to the fma peak of two Arm server CPUs.

    cmake --build build/release --target mca        or        python3 bench/mca.py [compiler flags]

Compiles simd/neon.cpp for AArch64, takes the innermost loops of the two products (the full tile: rows x 16 columns)
from the assembly, and asks llvm-mca for their cycles. The share is that of a loop of nothing but independent fmla, by
the same model: two 128-bit fmla a cycle on Neoverse N1, four on V1. Fails below 0.8, and where the loop uses the stack:
then accumulators live in memory, and llvm-mca does not see what a load from a store just made costs, nor the caches.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
CPUS = ("neoverse-n1", "neoverse-v1")
ITERATIONS = 500
LEAST_SHARE = 0.8


def newest(tool):
    """The newest of tool-19, tool-18, ...: LLVM before 16 uses the model of the Cortex-A57 for both CPUs."""
    found = {0: tool}
    for folder in os.get_exec_path():
        for path in pathlib.Path(folder).glob(f"{tool}-*"):
            if match := re.fullmatch(rf"{tool}-(\d+)", path.name):
                found[int(match[1])] = str(path)
    path = shutil.which(found[max(found)])
    return path or sys.exit(f"error: {tool} was not found (Debian: apt-get install llvm)")


def assembly(flags):
    compiler = os.environ.get("AARCH64_CXX", "aarch64-linux-gnu-g++")
    if not shutil.which(compiler):
        sys.exit(f"error: {compiler} was not found (Debian: apt-get install g++-aarch64-linux-gnu)")
    command = [compiler, "-std=c++17", "-O3", "-fno-math-errno", "-ffp-contract=off", *flags]
    command += ["-S", str(ROOT / "simd/neon.cpp"), "-o", "-"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def inner_loops(lines):
    """The instructions from each label to a branch back to it, where no other label is between."""
    start = {}
    for i, line in enumerate(lines):
        if match := re.match(r"(\.L\w+):", line):
            start = {match[1]: i}
        elif match := re.match(r"\s+(?:b\.?|cb|tb)\w*\s+(?:.*\s)?(\.L\w+)$", line):
            if match[1] in start:
                yield [x for x in lines[start[match[1]] : i + 1] if re.match(r"\s+\w", x)]


def fmlas(loop):
    return sum(1 for line in loop if re.match(r"\s+fmla\s+v", line))


def tile_fmlas():
    """fmla instructions of one step of the full tile: four q registers for each vector of sixteen lanes."""
    text = (ROOT / "simd/lanes_neon.hpp").read_text()
    rows, vectors = (int(re.search(rf"\btile_{name} = (\d+);", text)[1]) for name in ("rows", "vectors"))
    return rows * vectors * 4


def cycles(mca, cpu, loop):
    """Of one iteration, and the prefix of the model's resources, which says whose model it is."""
    command = [mca, "-mtriple=aarch64", f"-mcpu={cpu}", f"-iterations={ITERATIONS}"]
    text = subprocess.run(command, input="\n".join(loop) + "\n", check=True, capture_output=True, text=True).stdout
    return int(re.search(r"Total Cycles:\s+(\d+)", text)[1]) / ITERATIONS, re.search(r"- (\w+)Unit", text)[1]


def main():
    mca = newest("llvm-mca")
    step = tile_fmlas()
    loops = [loop for loop in inner_loops(assembly(sys.argv[1:])) if fmlas(loop) and fmlas(loop) % step == 0]
    if not loops:
        sys.exit(f"error: no loop of the full tile ({step} fmla) in the assembly")
    chains = [f"\tfmla v{i}.4s, v30.4s, v31.4s" for i in range(24)]  # 24: more than four pipes x four cycles of latency

    version = re.search(r"version (\S+)", subprocess.run([mca, "--version"], capture_output=True, text=True).stdout)
    print(f"llvm-mca {version[1]}; tile: {step} fmla a step")
    worst, all_spills = 1.0, 0
    for cpu in CPUS:
        peak_cycles, model = cycles(mca, cpu, chains)
        print(f"{cpu} (model: {model}): at most {24 / peak_cycles:.1f} fmla a cycle")
        for loop in loops:
            n, spills = fmlas(loop), sum(bool(re.search(r"\sq\d+,.*\[sp", line)) for line in loop)
            took = cycles(mca, cpu, loop)[0]
            share = n / took * peak_cycles / 24
            worst, all_spills = min(worst, share), all_spills + spills
            counts = f"{n} fmla of {len(loop)} instructions, {spills} on the stack"
            print(f"  {counts}: {took:.1f} cycles, {share:.2f} of the fma peak")
    if worst < LEAST_SHARE:
        sys.exit(f"error: {worst:.2f} is below {LEAST_SHARE}")
    if all_spills:
        sys.exit("error: accumulators do not stay in registers")


if __name__ == "__main__":
    main()
