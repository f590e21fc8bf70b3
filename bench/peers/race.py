"""The process of one instruction set and number of threads: contenders take turns, and a line of JSON is printed for
each row. __main__.py starts it.
"""

import ctypes
import itertools
import json
import math
import statistics
import sys
import time
from typing import NamedTuple

from . import attn_c, interval, rivals_ggml, rivals_onednn
from .peer_rows import make_row

UNLIMITED = {"onnxruntime", "ggml"}  # nothing holds them to an instruction set
LOOPS = "loops"  # the rival that is no library, and so never the best rival
REST = 0.004  # seconds before a contender's turn, in which the threads of the one before fall asleep
HALF_ERRORS = {"f16": 5e-3, "bf16": 4e-2}  # of ways that compute in halves


class Timing(NamedTuple):
    least_rounds: int
    sample_ms: float  # of a contender's turn
    try_ms: float  # of a way's turn while the fastest one is sought
    seconds: float  # for each contender
    row_seconds: float = None  # instead: for a row with all of its preparation


def timing_of(options):
    if options.seconds:
        return Timing(3, 3, 2, 0, options.seconds)
    return Timing(5, 5, 5, 0.1) if options.quick else Timing(7, 10, 5, 1.5)


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
    """As many as fill a sample. The least of three tries, or a moment's pause would make samples of a single cold call."""
    call()
    ms = milliseconds(call, 1)
    if ms < 10 * sample_ms:
        ms = min(ms, milliseconds(call, 1), milliseconds(call, 1))
    return max(1, math.ceil(sample_ms / ms))


def message(error):
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def allowed_error(how):
    return next((error for kind, error in HALF_ERRORS.items() if kind in how.split()), 1e-4)


def fastest(peer, several, check, left_out, try_ms):
    """The fastest of the ways that give the right result: (how, call), or None."""
    best = None
    for ways in several:
        while True:
            how = "?"
            try:
                way = next(ways, None)
                if way is None:
                    break
                how, call, result = way
                call()
                error = check(result())
                if not error <= allowed_error(how):
                    raise RuntimeError(f"wrong result: error {error:.1e}")
                ms = milliseconds(call, 1)
                if ms < 50:
                    ms = statistics.median(milliseconds(call, math.ceil(try_ms / ms)) for _ in range(3))
                if best is None or ms < best[0]:
                    best = ms, how.strip(), call
            except Exception as error:  # a library without this operator, version or shape is no reason to stop
                left_out[peer if how == "?" else f"{peer} {how}".strip()] = message(error)
                if how == "?":  # the generator itself failed and has ended
                    break
    return best and best[1:]


def race(contenders, timing, seconds, left_out):
    """{name: call} -> {name: milliseconds in each round}. Every round gives each its turn; who has had its share of the
    time sits out once the least number of rounds is run. Who fails is left out."""
    repeats, times, spent = {}, {name: [] for name in contenders}, dict.fromkeys(contenders, 0.0)
    start, round_ = time.monotonic(), 0
    while round_ < timing.least_rounds or time.monotonic() - start < seconds:
        for name in list(times):
            if round_ >= timing.least_rounds and spent[name] > seconds / len(times):
                continue
            before = time.monotonic()
            try:
                if name not in repeats:
                    repeats[name] = repeats_for(contenders[name], timing.sample_ms)
                times[name].append(milliseconds(contenders[name], repeats[name]))
            except Exception as error:
                if name == "attn":
                    raise
                left_out[name] = message(error)
                del times[name]
                continue
            spent[name] += time.monotonic() - before
        round_ += 1
        if all(share > seconds / len(times) for share in spent.values()) and round_ >= timing.least_rounds:
            break
    return times


# ---- A row ----


def measure(name, lib, isa, threads, timing, options):
    start = time.monotonic()
    row = make_row(name, lib, threads, options.loops)
    call, results, _keep = row.attn
    error = row.check(results[0])
    best_isa = lib.runnable_isas()[0]
    left_out, how, contenders = {}, {}, {"attn": call}
    for peer, several in row.peers.items():
        if peer in UNLIMITED and isa != best_isa:
            left_out[peer] = f"cannot be limited to {isa}"
            continue
        way = fastest(peer, several, row.check, left_out, timing.try_ms)
        if way:
            how[peer], contenders[peer] = way
    peaks = []
    if not timing.row_seconds:
        contenders["peak"] = lambda: peaks.append(options.peak_gflops(isa.encode(), 0.001))
    seconds = timing.seconds * len(contenders)
    if timing.row_seconds:
        seconds = max(timing.row_seconds / 3, timing.row_seconds - (time.monotonic() - start))
    times = race(contenders, timing, seconds, left_out)
    pick = min if options.least else statistics.median
    ms = {name: pick(t) for name, t in times.items()}
    ours = ms.pop("attn")
    ms.pop("peak", None)
    gflops, peak = row.flop and row.flop / ours * 1e-6, statistics.median(peaks or [0]) * threads
    best = min((peer for peer in ms if peer != LOOPS), key=ms.get, default=None)

    def ratio(peer):
        if peer not in ms:
            return None, None
        return (ms[peer] / ours, None) if options.least else interval.ratio(times[peer], times["attn"])

    (of_best, best_interval), (of_loops, loops_interval) = ratio(best), ratio(LOOPS)
    return {
        "row": name,
        "shape": row.shape,
        "threads": threads,
        "isa": isa,
        "attn_ms": ours,
        "attn_error": float(error),
        "attn_gflops": gflops,
        "peers": ms,
        "how": {peer: way for peer, way in how.items() if peer in ms},
        "left_out": left_out,
        "best_peer": best,
        "ratio": of_best,
        "ratio_interval": best_interval,
        "loops_ratio": of_loops,
        "loops_interval": loops_interval,
        "peak_gflops": peak,
        "peak_fraction": gflops and peak and gflops / peak,
        "least_ms": {name: min(t) for name, t in times.items()},
        "rounds": {name: len(t) for name, t in times.items()},
        "seconds": time.monotonic() - start,
    }


def worker(options, isa, threads, names):
    import onnx
    import onnxruntime
    import openvino
    import torch

    assert onnx and onnxruntime and openvino  # read here, not in the time of the first row
    torch.set_num_threads(threads)
    torch.set_num_interop_threads(1)
    lib = attn_c.Library(options.library, threads)
    assert lib.active_isa() == isa
    options.peak_gflops = ctypes.CDLL(options.peak).attn_peak_gflops
    options.peak_gflops.argtypes, options.peak_gflops.restype = [ctypes.c_char_p, ctypes.c_double], ctypes.c_double
    print(json.dumps({"versions": versions(lib, isa, threads)}), flush=True)
    with torch.inference_mode():
        for name in names:
            progress(f"{name}, {isa}, threads: {threads} ...")
            result = measure(name, lib, isa, threads, timing_of(options), options)
            progress("")
            print(json.dumps(result), flush=True)


def versions(lib, isa, threads):
    import importlib.metadata

    found = {name: importlib.metadata.version(name) for name in ("numpy", "torch", "onnxruntime", "openvino")}
    found |= {"onednn": rivals_onednn.version(), "ggml": rivals_ggml.version()}
    blas = "not OpenBLAS"
    if hasattr(lib.c, "openblas_get_corename"):  # a symbol of what the library is linked to
        lib.c.openblas_get_corename.restype = lib.c.openblas_get_config.restype = ctypes.c_char_p
        blas = f"{lib.c.openblas_get_config().decode().strip()}, core {lib.c.openblas_get_corename().decode()}"
    return {"isa": isa, "threads": threads, "attn": lib.version(), "BLAS of attn": blas, **found}


def progress(text):
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
