"""Races attn against PyTorch, ONNX Runtime, OpenVINO, NumPy and plain loops: same inputs and threads, taking turns.

    sh cmake/dev.sh peers [--quick] [--rows bert,^decode/] [--threads 1] [--isa avx2]
    sh cmake/dev.sh peers --shape 1,12,12,1,256,64 --shape 1,12,12,1,256,64,f16
    sh cmake/dev.sh peers --encoder    # a whole sentence encoder: encoder.py
    sh cmake/dev.sh peers --grid [--grid-queries 1,4] [--rows d64_g4] [--csv build/grid.csv]

Every (instruction set, number of threads) has a process of its own, because libraries read their limits when they
start. There, for each row, every contender has its turn in every round; the figures are medians over the rounds.
Results are checked against float64 NumPy first. The ratio is the best library's time divided by ours: above 1, attn is
faster. Beside it, the same against the plain loops of plain_loops.cpp.
"""

import argparse
import itertools
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile

import attn_c
import encoder
import grid
import plain_loops
import race
import report
from peer_rows import ROWS, SOFTMAX, group_of
from shapes import WORDS, shape_of_text

HERE = pathlib.Path(__file__).resolve().parent

# What holds the rivals to an instruction set that is not the best here. ONNX Runtime has no such switch, so it is no
# rival there. OpenVINO obeys in its oneDNN, and perhaps not in kernels of its own, which would only make it the harder
# rival. Against scalar they run as they are. LIMITS of plain_loops.py are those of the loops.
LIMITS = {
    "avx2": {
        "OPENBLAS_CORETYPE": "Haswell",  # the BLAS of attn and of NumPy
        "ATEN_CPU_CAPABILITY": "avx2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
    },
    "scalar": {},
}

# Threads that spin on after a call would disturb the next one's. By default those of OpenBLAS (attn's layers, NumPy)
# spin for 2^26 cycles and those of OpenMP (PyTorch, loops) for 300000 steps, 10 to 25 ms. This leaves them up to 1 ms,
# more than between two products of one call. rivals_onnx.py stops those of ONNX Runtime; attn's own spin for 0.1 ms.
FAIR = {"OPENBLAS_THREAD_TIMEOUT": "20", "GOMP_SPINCOUNT": "20000"}


def environment(isa, best_isa, threads):
    limits = {"ATTN_ISA": isa, **({} if isa == best_isa else LIMITS[isa])}
    count = {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    return {**os.environ, **FAIR, **limits, **count}


# ---- What to race ----


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--library", default="build/shared/libattn.so", help="the shared library (default: %(default)s)")
    add("--output", help="where the figures go, as JSON (default: build/peers.json; of the grid: build/grid.json)")
    add("--csv", help="where they go as CSV, too")
    add("--rows", help="comma-separated regular expressions on names; nine: the rows of the published means")
    add("--shape", action="append", metavar=WORDS, help="this call of attention instead of the rows; several times")
    add("--grid", action="store_true", help="the grid of grid.py instead of the rows; --rows then chooses cells")
    for axis, sizes in grid.SIZES.items():
        name, known = f"--grid-{axis.replace('_', '-')}", ",".join(map(str, sizes))
        add(name, dest=axis, metavar="N,N", help=f"with --grid: others than {known}")
    add("--seconds", type=float, help="for each row, with its preparation, about (default with --grid: 1.6)")
    add("--least", action="store_true", help="the least of the rounds, not medians: where others use the machine")
    add("--threads", default="1,2", help="comma-separated (default: %(default)s)")
    add("--isa", help="comma-separated (default: all that run here but scalar)")
    add("--quick", action="store_true", help="few rounds: a smoke test")
    add("--encoder", nargs="?", const=encoder.INSTALLED, metavar="MODEL.safetensors", help="a whole encoder instead of the rows")
    for name in ("--peak", "--loops"):
        add(name, help=argparse.SUPPRESS)
    add("--worker", nargs="+", metavar="ISA, THREADS, ROWS", help=argparse.SUPPRESS)
    return parser, parser.parse_args()


def numbers(parser, option, text):
    if not re.fullmatch(r"[1-9]\d{0,5}(,[1-9]\d{0,5})*", text):
        parser.error(f"{option} {text}: not numbers from 1 with commas between")
    return [int(n) for n in text.split(",")]


def chosen_names(parser, options):
    """Of the rows, shapes or cells."""
    words = options.rows.split(",") if options.rows else [""]
    for word in words:
        try:
            re.compile(word)
        except re.error as error:
            parser.error(f"--rows {word}: {error}")
    if options.shape and (options.grid or options.rows):
        parser.error("--shape stands for all of the rows: not together with --rows or --grid")
    for text in options.shape or []:
        try:
            shape_of_text(text)
        except ValueError as error:
            parser.error(f"--shape {text}: {error}; a shape is {WORDS}")
    if options.shape:
        return options.shape
    sizes = {}
    for axis, known in grid.SIZES.items():
        given, option = getattr(options, axis), f"--grid-{axis.replace('_', '-')}"
        if given and not options.grid:
            parser.error(f"{option} needs --grid")
        sizes[axis] = numbers(parser, option, given) if given else known
    all_names = grid.cells(sizes) if options.grid else ROWS
    names = [name for name in all_names if any(re.search(w, name) or group_of(name) == w for w in words)]
    if not names:
        shown = ", ".join(all_names if len(all_names) < 50 else [*all_names[:4], "...", all_names[-1]])
        parser.error(f"--rows {options.rows}: none of {shown}")
    return names


def chosen_isas(parser, options):
    runnable = attn_c.Library(options.library).runnable_isas()
    isas = options.isa.split(",") if options.isa else [isa for isa in runnable if isa != "scalar"]
    for isa in isas:
        if isa not in runnable:
            parser.error(f"--isa {isa}: this machine runs {', '.join(runnable)}")
        if isa != runnable[0] and isa not in LIMITS:
            parser.error(f"--isa {isa}: LIMITS does not say what holds the other libraries to it")
    return isas, runnable[0]


def chosen_threads(parser, options):
    threads = [n for n in numbers(parser, "--threads", options.threads) if n <= (os.cpu_count() or 1)]
    if not threads:
        parser.error(f"--threads {options.threads}: this machine has {os.cpu_count()}")
    return threads


# ---- The races ----


def run(command, env, names, failed):
    """Yields what the process prints. One that dies is started again behind the row that it died of."""
    while names:
        child = subprocess.Popen([*command, *names], env=env, stdout=subprocess.PIPE, text=True)
        started, done = False, None
        for line in child.stdout:
            result = json.loads(line)
            started, done = True, result.get("row", done)
            yield result
        if child.wait() == 0:
            return
        if not started:
            sys.exit("error: the process of the races did not start")
        if child.returncode in (-signal.SIGINT, -signal.SIGTERM):
            sys.exit("error: interrupted")
        names = names[names.index(done) + 1 :] if done else names
        failed.append(f"{names[0]}: the process ended with {child.returncode}")
        print(f"{names[0]:<30}FAILED, the process ended with {child.returncode}", flush=True)
        names = names[1:]


def main():
    parser, options = parse()
    if options.worker and options.encoder:
        return encoder.worker(options, options.worker[0], int(options.worker[1]), options.worker[2:])
    if options.worker:
        isa, threads, *names = options.worker
        return race.worker(options, isa, int(threads), names)

    if not pathlib.Path(options.library).exists():
        parser.error(f"--library {options.library}: does not exist (sh cmake/dev.sh peers builds it)")
    options.library = str(pathlib.Path(options.library).resolve())
    if options.encoder:
        isas, best_isa = chosen_isas(parser, options)
        return encoder.main(
            parser, options, isas, chosen_threads(parser, options), lambda isa, n: environment(isa, best_isa, n)
        )
    names = chosen_names(parser, options)
    isas, best_isa = chosen_isas(parser, options)
    threads = chosen_threads(parser, options)
    output = options.output or f"build/{'grid' if options.grid else 'peers'}.json"
    seconds = options.seconds or (1.6 if options.grid and not options.quick else 0.5 if options.grid else None)

    print(f"{report.cpu()}; {os.cpu_count()} cores")
    results, failed = [], []
    with tempfile.TemporaryDirectory() as folder:
        common = [sys.executable, __file__, "--library", options.library]
        common += ["--peak", str(plain_loops.build_shared(folder, "peak", "peak.cpp", ["-O2"]))]
        common += ["--seconds", str(seconds)] if seconds else []
        common += [flag for flag in ("--quick", "--least") if getattr(options, flag[2:])]
        for isa, n in itertools.product(isas, threads):
            loops = plain_loops.build(folder, isa, best_isa)
            command = [*common, *(["--loops", str(loops)] if loops else []), "--worker", isa, str(n)]
            report.head(isa, n, options.least)
            mine = []
            todo = [name for name in names if n == 1 or name not in SOFTMAX]  # softmax() is a call of one thread
            for result in run(command, environment(isa, best_isa, n), todo, failed):
                if "versions" in result:
                    report.versions(result["versions"])
                    continue
                report.show(result)
                mine.append(result)
                results.append(result)
                report.write(output, options.csv, results)
            for line in grid.summary(mine) if options.grid else report.summary(mine):
                print(line)
    print(f"\nwrote {output}{f' and {options.csv}' if options.csv else ''}")
    report.end(results, failed)


if __name__ == "__main__":
    main()
