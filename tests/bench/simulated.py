"""Results files of a made-up machine with a made-up noise, for the tests of what reads them."""

import copy
import uuid

import numpy as np

CONTROLS = ["peak/avx2/threads:1", "peak/avx2/threads:2", "peak/scalar/threads:1", "peak/scalar/threads:2"]
CONTROLS += [f"bandwidth/{level}/threads:{n}" for level in ("L1", "L2", "L3", "memory") for n in (1, 2)]
CONTROLS += [f"plain/row{i}" for i in range(8)]
HEAD = {
    "schema": "attn-bench/1",
    "attn": {"version": "0.1.0", "commit": "0123456789" * 4, "modified": False},
    "date": "2026-01-02T03:04:05Z",
    "machine": {
        "cpu": "Made-up CPU",
        "vendor": "AuthenticAMD",
        "family": 25,
        "model": 1,
        "stepping": 1,
        "flags": ["avx2", "fma"],
        "all_flags": ["avx2", "fma"],
        "cores": 2,
        "threads": 2,
        "virtual": None,
        "caches": [
            {"level": 1, "type": "Data", "bytes": 32768, "shared_by": 1},
            {"level": 2, "type": "Unified", "bytes": 524288, "shared_by": 1},
            {"level": 3, "type": "Unified", "bytes": 33554432, "shared_by": 2},
        ],
        "memory_bytes": 1 << 33,
        "os": "Made-up Linux",
        "kernel": "Linux 6.1",
    },
    "build": {
        "compiler": "gcc 12.2.0",
        "build_type": "Release",
        "blas": "OpenBLAS",
        "blas_core": "Zen",
        "blas_threads": 1,
        "benchmark_library": "1.7.1",
    },
    "load": {"before": [0.0, 0.0, 0.0], "after": [1.0, 0.5, 0.1], "stolen": 0.0, "busy_before": 0.0},
    "run": {
        "id": "",
        "paired_with": [],
        "rounds": 8,
        "seconds": 150.0,
        "sample_seconds": 0.01,
        "threads": [1, 2],
        "filter": None,
        "long": False,
        "shapes": [],
    },
    "rates": {"peak_gflops": {}, "exps_per_second": {}, "read_bytes_per_second": {}},
    "rows": [],
}


def row(name, samples):
    kind, first, *rest = name.split("/")
    return {
        "name": name,
        "kind": kind,
        "isa": "avx2" if kind in ("kernel", "attention") else None,
        "path": {"plain": "plain", "attention": "streaming"}.get(kind),
        "row": "/".join([first, *rest]),
        "option": None,
        "threads": 1,
        "shape": None,
        "seconds": float(np.median(samples)),
        "interval": None,
        "samples": [float(x) for x in samples],
        **dict.fromkeys(("flop", "bytes", "exps", "error", "gflops", "bytes_per_second", "share_of_peak")),
        **dict.fromkeys(("attainable_seconds", "share_of_attainable", "plain_seconds")),
    }


def results(rows):
    """rows: {name: samples}"""
    made = copy.deepcopy(HEAD)
    made["run"]["id"] = str(uuid.uuid4())
    made["rows"] = [row(name, samples) for name, samples in rows.items()]
    return made


class Noise:
    """sigma: of a sample; outliers: the share of samples that are up to 1.6 times as slow; drift: how far the machine
    wanders from round to round; run: how far it stands apart in this run; rows: each row by itself. All of logarithms."""

    def __init__(self, sigma, outliers=0.0, drift=0.0, run=0.0, rows=0.0):
        self.sigma, self.outliers, self.drift, self.run, self.rows = sigma, outliers, drift, run, rows

    def machine(self, random, rounds):
        """What all rows share in each round."""
        return random.normal(0, self.run) + np.cumsum(random.normal(0, self.drift, rounds))

    def samples(self, random, shared, seconds, part):
        """part: how much of what the machine does this row feels"""
        log = shared * part + random.normal(0, self.sigma, len(shared)) + random.normal(0, self.rows)
        log += (random.random(len(shared)) < self.outliers) * random.uniform(0.05, 0.47, len(shared))
        return seconds * np.exp(log)


def pair(random, noise, slower=(), by=1.0, rounds=8, rows=400, paired=False):
    """Two files, old and new; the rows named in slower take `by` times as long in the new one."""
    half = range(rows // 2)
    names = [f"kernel/avx2/kernel{i}/64" for i in half] + [f"attention/streaming/avx2/row{i}" for i in half]
    parts = random.lognormal(0, 0.2, len(CONTROLS) + len(names))
    shared = noise.machine(random, rounds)
    files = []
    for which in range(2):
        if not paired:
            shared = noise.machine(random, rounds)
        taken = {}
        for index, name in enumerate([*CONTROLS, *names]):
            factor = by if which == 1 and name in slower else 1.0
            taken[name] = noise.samples(random, shared, factor * 1e-5 * (1 + index), parts[index])
        files.append(results(taken))
    if paired:
        old, new = (one["run"] for one in files)
        old["paired_with"], new["paired_with"] = [new["id"]], [old["id"]]
    return files
