"""Races attn against PyTorch, ONNX Runtime, OpenVINO and NumPy: same inputs, same threads, same run, taking turns.

    sh cmake/dev.sh peers [--quick] [--rows bert,decode] [--threads 1] [--isa avx2]

Every (instruction set, number of threads) has a process of its own, because libraries read their limits when they
start. There, for each row, every library has its turn in every round; the figures are medians over the rounds. Results
are checked against float64 NumPy first. The ratio is the best rival's time divided by ours: above 1, attn is faster.
"""

import argparse
import ctypes
import itertools
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import attn_c
from peer_rows import ATTENTION, DECODE, MULTI_HEAD, PREFILL, ROWS, SOFTMAX, WITH_WEIGHTS, make_row

HERE = pathlib.Path(__file__).resolve().parent

# What holds the rivals to an instruction set that is not the best here. ONNX Runtime has no such switch, so it is no
# rival there. OpenVINO obeys in its oneDNN, and perhaps not in kernels of its own, which would only make it the harder
# rival. Against scalar they run as they are.
LIMITS = {
    "avx2": {
        "OPENBLAS_CORETYPE": "Haswell",  # the BLAS of attn and of NumPy
        "ATEN_CPU_CAPABILITY": "avx2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
    },
    "scalar": {},
}
UNLIMITED = {"onnxruntime"}

# Threads that spin on after a call would disturb the next one's. By default those of OpenBLAS (attn's layers, NumPy)
# spin for 2^26 cycles and those of OpenMP (PyTorch) for 300000 steps, 10 to 25 ms. This leaves them up to 1 ms, more
# than there is between two products of one call. rivals.py stops those of ONNX Runtime; attn's own spin for 0.1 ms.
FAIR = {"OPENBLAS_THREAD_TIMEOUT": "20", "GOMP_SPINCOUNT": "20000"}
REST = 0.004  # seconds before a contender's turn, in which the threads of the one before fall asleep


# ---- Timing ----


def milliseconds(call, repeats):
    """Of one call: the mean of `repeats`, after a rest and, unless it is long, a call that is not counted."""
    time.sleep(REST)
    if repeats > 1:
        call()
    start = time.perf_counter_ns()
    for _ in itertools.repeat(None, repeats):
        call()
    return (time.perf_counter_ns() - start) / repeats * 1e-6


def repeats_for(call, sample_ms):
    call()
    return max(1, math.ceil(sample_ms / milliseconds(call, 1)))


def fastest(peer, ways, check, left_out):
    """The fastest of the ways that give the right result: (how, call), or None."""
    best = None
    while True:
        how = "?"
        try:
            way = next(ways, None)
            if way is None:
                return best and best[1:]
            how, call, result = way
            call()
            error = check(result())
            if not error <= 1e-4:
                raise RuntimeError(f"wrong result: error {error:.1e}")
            ms = milliseconds(call, 1)
            if ms < 50:
                ms = statistics.median(milliseconds(call, math.ceil(5 / ms)) for _ in range(3))
            if best is None or ms < best[0]:
                best = ms, how.strip(), call
        except Exception as error:  # a library without this operator, version or shape is no reason to stop the race
            left_out[f"{peer} {how}".strip()] = str(error).splitlines()[0][:200]
            if how == "?":  # the generator itself failed and has ended
                return best and best[1:]


def race(contenders, quick):
    """{name: call} -> {name: median milliseconds}. Every round gives each its turn."""
    least_rounds, seconds, sample_ms = (5, 0.1, 5) if quick else (7, 1.5, 10)
    repeats = {name: repeats_for(call, sample_ms) for name, call in contenders.items()}
    times = {name: [] for name in contenders}
    start = time.monotonic()
    while len(next(iter(times.values()))) < least_rounds or time.monotonic() - start < seconds * len(contenders):
        for name, call in contenders.items():
            times[name].append(milliseconds(call, repeats[name]))
    return {name: statistics.median(t) for name, t in times.items()}


# ---- The process of one instruction set and number of threads ----


def worker(options, isa, threads):
    import torch

    torch.set_num_threads(threads)
    torch.set_num_interop_threads(1)
    lib = attn_c.Library(options.library, threads)
    assert lib.active_isa() == isa
    peak = ctypes.CDLL(options.peak).attn_peak_gflops
    peak.argtypes, peak.restype = [ctypes.c_char_p, ctypes.c_double], ctypes.c_double
    best_isa = lib.runnable_isas()[0]
    print(json.dumps({"versions": versions(lib, isa, threads)}), flush=True)

    with torch.inference_mode():
        for name in chosen_rows(options):
            if name in SOFTMAX and threads > 1:
                continue  # softmax() is a call of one thread
            progress(f"{name}, {isa}, threads: {threads} ...")
            row = make_row(name, lib, threads)
            call, results, _keep = row.attn
            error = row.check(results[0])
            left_out, how, contenders = {}, {}, {"attn": call}
            for peer, ways in row.peers.items():
                if peer in UNLIMITED and isa != best_isa:
                    left_out[peer] = f"cannot be limited to {isa}"
                    continue
                way = fastest(peer, ways, row.check, left_out)
                if way:
                    how[peer], contenders[peer] = way
            peaks = []
            contenders["peak"] = lambda: peaks.append(peak(isa.encode(), 0.001))
            ms = race(contenders, options.quick)
            ours = ms.pop("attn")
            ms.pop("peak")
            gflops, peak_gflops = row.flop and row.flop / ours * 1e-6, statistics.median(peaks) * threads
            best = min(ms, key=ms.get, default=None)
            result = {
                "row": name,
                "threads": threads,
                "isa": isa,
                "attn_ms": ours,
                "attn_error": float(error),
                "attn_gflops": gflops,
                "peers": ms,
                "how": how,
                "left_out": left_out,
                "best_peer": best,
                "ratio": best and ms[best] / ours,
                "peak_gflops": peak_gflops,
                "peak_fraction": gflops and peak_gflops and gflops / peak_gflops,
            }
            progress("")
            print(json.dumps(result), flush=True)


def versions(lib, isa, threads):
    import importlib.metadata

    found = {name: importlib.metadata.version(name) for name in ("numpy", "torch", "onnxruntime", "openvino")}
    blas = "not OpenBLAS"
    if hasattr(lib.c, "openblas_get_corename"):  # a symbol of what the library is linked to
        lib.c.openblas_get_corename.restype = lib.c.openblas_get_config.restype = ctypes.c_char_p
        blas = f"{lib.c.openblas_get_config().decode().strip()}, core {lib.c.openblas_get_corename().decode()}"
    return {"isa": isa, "threads": threads, "attn": lib.version(), "BLAS of attn": blas, **found}


def progress(text):
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


# ---- The parent ----


def cpu():
    try:
        info = dict(line.split(":", 1) for line in open("/proc/cpuinfo") if ":" in line)
    except OSError:
        return "unknown CPU"
    info = {name.strip(): value.strip() for name, value in info.items()}
    features = info.get("flags", info.get("Features", "")).split()
    wanted = ("avx2", "fma", "f16c", "avx512f", "avx512dq", "avx512_bf16", "avx512_fp16", "amx_tile", "asimd", "sve")
    return f"{info.get('model name', 'unnamed CPU')}: {' '.join(f for f in wanted if f in features)}"


def build_peak(folder):
    path = pathlib.Path(folder) / "peak.so"
    compiler = os.environ.get("CXX", "c++").split()
    flags = ["-std=c++17", "-O2", "-shared", "-fPIC"]
    subprocess.run([*compiler, *flags, str(HERE / "peak.cpp"), "-o", str(path)], check=True)
    return path


def chosen_rows(options):
    words = options.rows.split(",") if options.rows else [""]
    return [name for name in ROWS if any(word in name for word in words)]


def environment(isa, best_isa, threads):
    limits = {"ATTN_ISA": isa, **({} if isa == best_isa else LIMITS[isa])}
    count = {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    return {**os.environ, **FAIR, **limits, **count}


PEERS = ["torch", "onnxruntime", "openvino", "numpy"]


def show(result):
    def ms(x):
        return f"{x:12.4g}" if x else f"{'-':>12}"

    share = f"{result['peak_fraction']:5.0%}" if result["peak_fraction"] else "    -"
    gflops = f"{result['attn_gflops']:7.1f}" if result["attn_gflops"] else "      -"
    best = result["best_peer"]
    print(
        f"{result['row']:<30}{ms(result['attn_ms'])}{''.join(ms(result['peers'].get(p)) for p in PEERS)}"
        f"{result['ratio'] or math.nan:8.2f}  {gflops} {share}"
        f"  {best or ''} {result['how'].get(best, '')}{'' if good(result) else '  WRONG'}",
        flush=True,
    )


def good(result):
    return result["attn_error"] <= 1e-5


def summary(results):
    def line(title, names, pick):
        ratios = [r["ratio"] for r in results if r["ratio"] and r["row"] in names]
        if ratios:
            print(f"  {title}: {pick(ratios):.2f}")

    line("attention, geometric mean of the ratios", ATTENTION, statistics.geometric_mean)
    line("least of prefill", PREFILL, min)
    line("least of decode", DECODE, min)
    line("least of softmax", SOFTMAX, min)
    line("least of MultiHeadAttention", MULTI_HEAD, min)
    line("least of MultiHeadAttention with weights", WITH_WEIGHTS, min)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", required=True, help="the shared library, libattn.so")
    parser.add_argument("--output", default="build/peers.json", help="where the figures go (default: %(default)s)")
    parser.add_argument("--rows", help=f"comma-separated parts of names; all: {', '.join(ROWS)}")
    parser.add_argument("--threads", default="1,2", help="comma-separated (default: %(default)s)")
    parser.add_argument("--isa", help="comma-separated (default: all that run here but scalar)")
    parser.add_argument("--quick", action="store_true", help="few rounds: a smoke test")
    parser.add_argument("--worker", nargs=2, metavar=("ISA", "THREADS"), help=argparse.SUPPRESS)
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        return worker(options, options.worker[0], int(options.worker[1]))

    options.library = str(pathlib.Path(options.library).resolve())
    runnable = attn_c.Library(options.library).runnable_isas()
    isas = options.isa.split(",") if options.isa else [isa for isa in runnable if isa != "scalar"]
    for isa in isas:
        if isa not in runnable:
            parser.error(f"--isa {isa}: this machine runs {', '.join(runnable)}")
        if isa != runnable[0] and isa not in LIMITS:
            parser.error(f"--isa {isa}: LIMITS does not say what holds the other libraries to it")
    if not chosen_rows(options):
        parser.error(f"--rows {options.rows}: none of {', '.join(ROWS)}")
    threads = [int(n) for n in options.threads.split(",") if int(n) <= (os.cpu_count() or 1)]
    if not threads:
        parser.error(f"--threads {options.threads}: this machine has {os.cpu_count()}")

    print(f"{cpu()}; {os.cpu_count()} cores")
    results = []
    with tempfile.TemporaryDirectory() as folder:
        common = ["--library", options.library, "--peak", str(build_peak(folder))]
        common += ["--rows", options.rows] if options.rows else []
        common += ["--quick"] if options.quick else []
        for isa, n in itertools.product(isas, threads):
            print(f"\n{isa}, threads: {n}. Times in ms; ratio: best rival / attn; GFLOP/s of attn, and of the fma peak")
            command = [sys.executable, __file__, *common, "--worker", isa, str(n)]
            child = subprocess.Popen(command, env=environment(isa, runnable[0], n), stdout=subprocess.PIPE, text=True)
            mine = []
            for line in child.stdout:
                result = json.loads(line)
                if "versions" in result:
                    print("  " + "; ".join(f"{name} {value}" for name, value in result["versions"].items()))
                    names = "".join(f"{name:>12}" for name in ["attn", *PEERS])
                    print(f"{'row':<30}{names}{'ratio':>8}  GFLOP/s share  best rival")
                    continue
                show(result)
                mine.append(result)
                results.append(result)
                write(options.output, results)
            if child.wait() != 0:
                sys.exit(f"error: the process of {isa} with {n} threads failed")
            summary(mine)
    print(f"\nwrote {options.output}")
    if not all(map(good, results)):
        sys.exit("error: attn gave a wrong result")


def write(path, results):
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
