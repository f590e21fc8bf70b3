"""Races attn against PyTorch, ONNX Runtime, OpenVINO, oneDNN, ggml, NumPy and plain loops: same inputs and threads, in
turns.

    sh cmake/dev.sh peers [--quick] [--rows bert,^decode/] [--threads 1] [--isa avx2]
    sh cmake/dev.sh peers --shape 1,12,12,1,256,64 --shape 1,12,12,1,256,64,f16
    sh cmake/dev.sh peers --encoder    # a whole sentence encoder: encoder.py
    sh cmake/dev.sh peers --grid [--grid-queries 1,4] [--rows d64_g4] [--csv build/grid.csv]

Every (instruction set, number of threads) has a process of its own, because libraries read their limits when they
start. There, for each row, every contender has its turn in every round; the figures are medians over the rounds.
Results are checked against float64 NumPy first. The ratio is the best library's time divided by ours: above 1, attn is
faster. Beside it, the same against the plain loops of plain_loops.cpp. With ±: half of the interval that holds the
ratio with 95 %.
"""

import itertools
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

from .. import grid
from ..places import BUILD
from . import encoder, plain_loops, race, table
from .limits import environment
from .options import chosen_isas, chosen_names, chosen_threads, parse
from .peer_rows import SOFTMAX


def run(command, env, names, failed):
    """Yields what the process prints. One that dies is started again behind the row that it died of."""
    while names:
        child = subprocess.Popen([*command, *names], env=env, stdout=subprocess.PIPE, text=True)
        started, done = False, None
        for line in child.stdout:
            if not line.startswith("{"):  # a library's own words
                print(line, end="", file=sys.stderr)
                continue
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
    parser, options = parse(__doc__)
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
    output = options.output or BUILD / f"{'grid' if options.grid else 'peers'}.json"
    seconds = options.seconds or (1.6 if options.grid and not options.quick else 0.5 if options.grid else None)

    about, results, failed = table.about(), [], []
    print(f"{about['machine']['cpu']}: {' '.join(about['machine']['flags'])}; {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as folder:
        common = [sys.executable, "-m", "bench.peers", "--library", options.library]
        common += ["--peak", str(plain_loops.build_shared(folder, "peak", "peak.cpp", ["-O2"]))]
        common += ["--seconds", str(seconds)] if seconds else []
        common += [flag for flag in ("--quick", "--least") if getattr(options, flag[2:])]
        for isa, n in itertools.product(isas, threads):
            loops = plain_loops.build(folder, isa, best_isa)
            command = [*common, *(["--loops", str(loops)] if loops else []), "--worker", isa, str(n)]
            table.head(isa, n, options.least)
            mine = []
            measured = [name for name in names if n == 1 or name not in SOFTMAX]  # softmax() is a call of one thread
            for result in run(command, environment(isa, best_isa, n), measured, failed):
                if "versions" in result:
                    about["versions"] = result["versions"]
                    table.versions(result["versions"])
                    continue
                table.show(result)
                mine.append(result)
                results.append(result)
                table.write(output, options.csv, about, results)
            for line in grid.summary(mine) if options.grid else table.summary(mine):
                print(line)
    print(f"\nwrote {output}{f' and {options.csv}' if options.csv else ''}")
    table.end(results, failed)


if __name__ == "__main__":
    main()
