"""Predicts how close the inner loops come to the FMA peak of CPUs that are not here.

    python3 -m bench.predict [--cpu znver4]... [--isa avx512]... [--compiler g++-14]

Compiles simd/<isa>.cpp with the build's flags, takes the innermost loops of the full tile (of scores, values,
projections) from the assembly, and asks llvm-mca for their cycles. The share of the peak is that of a loop of nothing
but independent FMAs by the same model. Beside this machine's CPU stands what attn_bench measured, if build/bench.json
is there. Fails below 0.8 by a CPU's own model, and where accumulators do not stay in registers.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

from bench import mca
from bench.predict_cpus import CPUS, LEAST_SHARE, MODELS


# ---- Words ----


def model_prefix(unit):
    """Of a unit's name: SPR of SPRPort00. The longest that fits."""
    return max((x for x in MODELS if unit.startswith(x)), key=len, default=unit)


def limit(answer, isa, share):
    """What holds up a loop, in words."""
    if share >= 0.98:
        return "the FMA units: always busy"
    if answer.uops / answer.width >= 0.95 * answer.cycles:
        return f"starting instructions: {answer.uops:.0f} a turn, {answer.width} a cycle"
    fma_units, others = set(), {}
    for text, busy in answer.by_instruction:
        if re.match(isa.fma, "\t" + text):
            fma_units |= set(busy)
    for text, busy in answer.by_instruction:
        if set(busy) & fma_units and not re.match(isa.fma, "\t" + text):
            others[text.split()[0]] = others.get(text.split()[0], 0) + 1
    unit, busiest = max(answer.unit_cycles.items(), key=lambda x: x[1])
    if unit in fma_units and busiest >= 0.9 * answer.cycles:
        shared = ", ".join(f"{n} {name}" for name, n in sorted(others.items()))
        return f"the FMA units, which also do {shared}" if shared else "the FMA units; they wait a little at each turn"
    if busiest >= 0.9 * answer.cycles:
        return f"another unit: {unit}"
    if answer.causes["registers"] > answer.causes["resources"]:
        return "waiting for earlier results"
    return "how instructions fall onto the units"


# ---- What was measured here ----


def measured_shares(bench, isa):
    """[least, most] share of the measured peak of kernel/<isa>/multiply_keys/..., of one thread; None if not there."""
    shares = []
    for row in bench.get("rows", []):
        if not row["name"].startswith(f"kernel/{isa}/multiply_keys/"):
            continue
        share = row.get("share_of_peak")
        peak = bench.get("rates", {}).get("peak_gflops", {}).get(isa, {}).get("1")
        if share is None and peak and row.get("gflops"):
            share = row["gflops"] / peak
        if share:
            shares.append(share)
    return [min(shares), max(shares)] if shares else None


def read_bench(path):
    try:
        return json.loads(pathlib.Path(path).read_text())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        sys.exit(f"error: {path} is not a results file: {error}")


# ---- The prediction ----


def compiler_for(isa, wanted):
    """The compiler asked for, if it makes code for this architecture, else the system's or a cross compiler."""
    cross = {"x86_64": "x86_64-linux-gnu-g++", "aarch64": "aarch64-linux-gnu-g++"}[isa.triple]
    for name in filter(None, (wanted, os.environ.get("CXX"), "g++", "c++", cross)):
        if not shutil.which(name):
            if name == wanted:
                sys.exit(f"error: --compiler {wanted} was not found")
            continue
        machine = subprocess.run([name, "-dumpmachine"], capture_output=True, text=True).stdout
        if machine.startswith(isa.triple) or machine.startswith("arm64") and isa.triple == "aarch64":
            return name
    return None


def predict(tool, isa, loops, cpu):
    """One record for each role, the slowest loop of it; [] if this LLVM does not know the CPU."""
    # By the units alone: run as a loop, FMAs would wait for their own sums, or for the small buffers of a model.
    # 24 of them, as llvm-mca prints one decimal; of the form that the model takes for the fastest.
    peaks = [mca.ask(tool, isa, cpu.name, [form] * 24) for form in isa.forms]
    if None in peaks:
        return []
    peak = min(peaks, key=lambda x: x.least)
    rate = 24 / peak.least
    prefix = model_prefix(peak.first_unit)
    own = cpu.model is not None and peak.first_unit.startswith(cpu.model) and prefix == cpu.model
    slowest = {}
    for loop in loops:
        answer = mca.ask(tool, isa, cpu.name, loop.lines)
        share = loop.fmas / answer.cycles / rate
        record = {
            "cpu": cpu.name, "isa": isa.name, "loop": loop.role, "fmas": loop.fmas, "instructions": len(loop.lines),
            "cycles": round(answer.cycles, 2), "fmas_a_cycle": round(rate, 2), "share_of_peak": round(share, 3),
            "limit": limit(answer, isa, share), "spills": loop.spills, "model": MODELS.get(prefix, prefix),
            "own_model": own, "measured_share": None,
        }
        if loop.role not in slowest or share < slowest[loop.role]["share_of_peak"]:
            slowest[loop.role] = record
    return [slowest[x] for x in sorted(slowest)]


def faults(records):
    """What is wrong, in words. Models of another CPU are not judged."""
    cpus = {cpu.name: cpu for cpu in CPUS}
    for r in records:
        least = cpus[r["cpu"]].least if r["isa"] == "avx512" else LEAST_SHARE
        if r["own_model"] and r["share_of_peak"] < least:
            yield f"{r['cpu']}, {r['isa']}, {r['loop']}: {r['share_of_peak']:.2f} of the peak is below {least}"
        if r["spills"]:
            yield f"{r['isa']}, {r['loop']}: {r['spills']} accumulators do not stay in registers"


def show(records, here):
    """The table, and what a reader should know of its CPUs."""
    line = "{:<17}{:<8}{:<16}{:>6}{:>9}{:>8}{:>10}  {}"
    print("\n" + line.format("CPU", "set", "loop", "FMAs", "cycles", "share", "measured", "what limits it"))
    for before, r in zip([None, *records], records):
        if before and before["cpu"] != r["cpu"]:
            print()
        measured = r["measured_share"]
        text = "" if not measured else "-".join(dict.fromkeys(f"{x:.2f}" for x in measured))
        name = r["cpu"] + ("" if r["own_model"] else " *")
        print(line.format(name, r["isa"], r["loop"], r["fmas"], f"{r['cycles']:.1f}", f"{r['share_of_peak']:.2f}",
                          text, r["limit"]))
    print("\ncycles: of one turn of the loop, in which its FMAs run. share: of the FMA peak, at most 1.")
    print("measured: on this machine, of its measured peak: kernel/<set>/multiply_keys of `sh cmake/dev.sh bench`.")
    print(f"This machine's CPU: {here or 'unknown to LLVM'}.")
    rates = {}
    for r in records:
        rates.setdefault(r["cpu"], {})[r["isa"]] = r
    for cpu in (x for x in CPUS if x.name in rates):
        of = rates[cpu.name]
        peaks = ", ".join(f"{r['fmas_a_cycle']:g} ({isa})" for isa, r in of.items())
        some = next(iter(of.values()))
        foreign = f" *: this LLVM has no model of its own for it and takes that of {some['model']}."
        own = "" if some["own_model"] else foreign
        wide = of.get("avx512")
        note = f" Note: {cpu.note}." if cpu.note and wide and wide["own_model"] and wide["fmas_a_cycle"] == 1 else ""
        print(f"  {cpu.name}: {cpu.words}. FMAs a cycle: {peaks}.{own}{note}")


def loops_of(isa, compiler):
    loops = list(mca.tile_loops(mca.assembly(isa, compiler), isa))
    missing = {"scores", "values", "projection"} - {x for loop in loops for x in loop.role.split(", ")}
    if missing:
        sys.exit(f"error: {compiler} has no loop of the full tile of {isa.name} for: {', '.join(sorted(missing))}")
    return loops


def compile_all(names, wanted):
    """The loops of each instruction set that can be compiled here, and by which compiler."""
    compilers = {name: compiler for name in names if (compiler := compiler_for(mca.ISAS[name], wanted))}
    for triple in sorted({mca.ISAS[name].triple for name in names if name not in compilers}):
        package = f"g++-{triple.replace('_', '-')}-linux-gnu"
        print(f"left out: {triple}, as no compiler for it was found (Debian: {package})")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        found = list(pool.map(lambda name: loops_of(mca.ISAS[name], compilers[name]), compilers))
    return dict(zip(compilers, found)), {name: mca.first_line(compiler) for name, compiler in compilers.items()}


def arguments(argv):
    parser = argparse.ArgumentParser(prog="sh cmake/dev.sh predict", description=__doc__.split("\n\n")[0])
    names = [cpu.name for cpu in CPUS]
    parser.add_argument("--cpu", action="append", choices=names, metavar="CPU", help=", ".join(names))
    parser.add_argument("--isa", action="append", choices=list(mca.ISAS), help="several times for several")
    parser.add_argument("--compiler", help="default: g++, and Debian's cross compiler for the other architecture")
    parser.add_argument("--bench", default="build/bench.json", help="a results file of this machine")
    parser.add_argument("--output", default="build/predict.json")
    return parser.parse_args(argv)


def main(argv=None):
    options = arguments(argv)
    tool = mca.newest("llvm-mca")
    if not tool:
        sys.exit("error: llvm-mca was not found (Debian: apt-get install llvm-19, or llvm)")
    version, here = mca.version(tool)
    bench = read_bench(options.bench)
    cpus = [cpu for cpu in CPUS if cpu.name in (options.cpu or [cpu.name])]
    used = {isa for cpu in cpus for isa in cpu.isas} & set(options.isa or mca.ISAS)
    loops, compilers = compile_all([name for name in mca.ISAS if name in used], options.compiler)
    print(f"llvm-mca {version}, {', '.join(dict.fromkeys(compilers.values()))}")
    wanted = [(cpu, isa) for cpu in cpus for isa in cpu.isas if isa in loops]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        found = list(pool.map(lambda x: predict(tool, mca.ISAS[x[1]], loops[x[1]], x[0]), wanted))
    for unknown in dict.fromkeys(cpu.name for (cpu, _), records in zip(wanted, found) if not records):
        print(f"left out: {unknown}, which llvm-mca {version} does not know (Debian: llvm-19)")
    records = [record for records in found for record in records]
    if not records:
        sys.exit("error: none of the CPUs has an instruction set that was asked for and can be compiled here")
    for record in records:
        if record["cpu"] == here and "scores" in record["loop"]:
            record["measured_share"] = measured_shares(bench, record["isa"])
    show(records, here)
    output = pathlib.Path(options.output)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps({"schema": "attn-predict/1", "llvm": version, "compilers": compilers, "this_cpu": here,
                                  "loops": records}, indent=1) + "\n")
    print(f"Written: {output}")
    if wrong := list(dict.fromkeys(faults(records))):
        sys.exit("\n".join(f"error: {x}" for x in wrong))


if __name__ == "__main__":
    main()
