"""Results files of machines that do not exist, as plausible as is needed to try what reads such files:
python tests/bench/synthetic.py FOLDER"""

import json
import pathlib
import random
import statistics
import sys

LEVELS = ("L1", "L2", "L3", "memory")
# One thread's FMA peak [GFLOP/s] and exponentials [1/s] by ISA, reading [bytes/s] by level; caches [bytes].
SERVER = {
    "cpu": "Imagined Xenon(R) 9000 CPU @ 2.60GHz", "vendor": "GenuineImagined", "family": 6, "model": 143,
    "flags": ["avx2", "fma", "f16c", "avx512f", "avx512dq"], "threads": 8,
    "peak": {"avx512": 160e9, "avx2": 96e9, "scalar": 6e9}, "exps": {"avx512": 3.6e9, "avx2": 2.4e9, "scalar": 0.12e9},
    "read": (300e9, 110e9, 40e9, 18e9), "most": (8, 8, 6, 3.5), "caches": (48 << 10, 2 << 20, 60 << 20),
    "blas": "OpenBLAS 0.3.21", "virtual": "kvm",
}  # fmt: skip
BOARD = {
    "cpu": "Pretended-N1", "vendor": "0x41", "family": None, "model": 0xD0C,
    "flags": ["asimd", "asimdhp", "fphp"], "threads": 4,
    "peak": {"neon": 48e9, "scalar": 12e9}, "exps": {"neon": 1.1e9, "scalar": 0.2e9},
    "read": (90e9, 45e9, 22e9, 11e9), "most": (4, 4, 3, 1.8), "caches": (64 << 10, 1 << 20, 32 << 20),
    "blas": None, "virtual": None,
}  # fmt: skip
NINE = {
    "bert128": (1, 12, 12, 128, 128, 64), "bert512": (4, 12, 12, 512, 512, 64), "vit197": (4, 12, 12, 197, 197, 64),
    "prefill1k": (1, 16, 4, 1024, 1024, 128, True), "prefill4k": (1, 8, 2, 4096, 4096, 128, True),
    "long8k": (1, 2, 2, 8192, 8192, 64), "decode4k": (1, 32, 8, 1, 4096, 128), "decode_b8": (8, 16, 4, 1, 1024, 128),
    "seed64": (1, 1, 1, 64, 64, 32),
}  # fmt: skip
GRID = ((1, 4, 16, 49, 128, 512), (16, 64, 256, 1024, 4096), (32, 40, 64, 80, 128))
LENGTHS = [64 << i for i in range(12)]
OPTIONS = {
    "mask_padding": 1.02,
    "mask_full": 1.05,
    "bias": 1.03,
    "alibi": 1.03,
    "softcap": 1.22,
    "weights": 1.11,
    "window": 0.05,
}
KERNELS = [  # name, size; flop, bytes, exps; share of what is attainable
    ("exp", "2048", 0, 16384, 2048, 1.0),
    ("softmax", "16x512", 0, 65536, 8192, 0.72),
    ("pack_keys", "64x64", 0, 32768, 0, 0.55),
    ("pack_values", "64x64", 0, 32768, 0, 0.6),
    ("multiply_keys", "d64", 98304, 22000, 0, 0.93),
    ("multiply_keys", "d128", 196608, 44000, 0, 0.95),
    ("attend", "d64", 196608, 44000, 768, 0.9),
    ("attend", "d128", 393216, 88000, 768, 0.92),
    ("merge", "12x64", 1536, 9216, 12, 0.6),
    ("weigh", "2048", 2048, 16384, 0, 0.7),
    ("finish_row", "128", 128, 1024, 0, 0.5),
    ("widen", "bf16_2048", 0, 12288, 0, 0.7),
    ("narrow", "f16_2048", 0, 12288, 0, 0.6),
    ("step_scores", "softcap_512", 512, 4096, 512, 0.65),
    ("project", "6x64x768", 589824, 215000, 0, 0.94),
]


class Maker:
    def __init__(self, machine, seed, rounds, whole_grid):
        self.whole_grid = whole_grid
        self.machine, self.random, self.rounds, self.rows = machine, random.Random(seed), rounds, []
        self.counts = [1 << i for i in range(8) if 1 << i <= machine["threads"]]
        self.best = next(iter(machine["peak"]))

    def bandwidth(self, bytes_, threads):
        sizes = (*self.machine["caches"], float("inf"))
        level = next(i for i, size in enumerate(sizes) if bytes_ <= size * (threads if i < 2 else 1))
        return self.machine["read"][level] * min(threads, self.machine["most"][level])

    def add(self, name, kind, row, share=None, seconds=None, **more):
        """share: of the attainable speed; or seconds. more: members of the row."""
        r = {
            "name": name,
            "kind": kind,
            "isa": None,
            "path": None,
            "row": row,
            "option": None,
            "threads": 1,
            "shape": None,
        }
        r.update(dict.fromkeys(("flop", "bytes", "exps", "error", "attainable_seconds", "share_of_attainable")))
        r.update(dict.fromkeys(("plain_seconds", "gflops", "bytes_per_second", "share_of_peak")))
        r.update(more)
        isa, threads = r["isa"] or self.best, r["threads"]
        peak, exps = self.machine["peak"][isa] * threads, self.machine["exps"][isa] * threads
        if share:
            compute = (r["flop"] or 0) / peak + (r["exps"] or 0) / exps
            r["attainable_seconds"] = max(compute, (r["bytes"] or 0) / self.bandwidth(r["bytes"] or 0, threads))
            seconds = r["attainable_seconds"] / share
        samples = [seconds * self.random.lognormvariate(0, 0.02) for _ in range(self.rounds)]
        middle = statistics.median(samples)
        r.update(seconds=middle, samples=samples, interval=[min(samples), max(samples)] if self.rounds > 5 else None)
        if share:
            r["share_of_attainable"] = r["attainable_seconds"] / middle
        if r["flop"]:
            r["gflops"], r["share_of_peak"] = r["flop"] / middle * 1e-9, r["flop"] / middle / peak
        if r["bytes"]:
            r["bytes_per_second"] = r["bytes"] / middle
        self.rows.append(r)
        return r

    def attention(self, name, kind, row, shape, share, **more):
        B, Hq, Hkv, Tq, Tk, D, causal, cache = (*shape, *(False, "f32")[len(shape) - 6 :])
        half = 2 if causal else 1
        words = dict(
            zip(("batch", "query_heads", "kv_heads", "queries", "keys", "head_dim"), shape), causal=causal, cache=cache
        )
        return self.add(
            name, kind, row, share, shape=words, flop=4 * B * Hq * Tq * Tk * D / half, exps=B * Hq * Tq * Tk / half,
            bytes=2 * B * D * (Hkv * Tk * (4 if cache == "f32" else 2) + 4 * Hq * Tq), error=3e-7, **more,
        )  # fmt: skip

    # ---- The kinds of rows ----

    def rates(self):
        found = {"peak_gflops": {}, "exps_per_second": {}, "read_bytes_per_second": {}}
        for n in self.counts:
            for isa, peak in self.machine["peak"].items():
                self.add(f"peak/{isa}/threads:{n}", "peak", isa, seconds=0.01, isa=isa, threads=n, flop=peak * n * 0.01)
                found["peak_gflops"].setdefault(isa, {})[str(n)] = peak * n * 1e-9
                found["exps_per_second"].setdefault(isa, {})[str(n)] = self.machine["exps"][isa] * n
            for level, rate, most in zip(LEVELS, self.machine["read"], self.machine["most"]):
                rate *= min(n, most)
                self.add(
                    f"bandwidth/{level}/threads:{n}", "bandwidth", level, seconds=0.01, threads=n, bytes=rate * 0.01
                )
                found["read_bytes_per_second"].setdefault(level, {})[str(n)] = rate
        return found

    def kernels(self):
        for isa in self.machine["peak"]:
            for name, size, flop, bytes_, exps, share in KERNELS:
                self.add(
                    f"kernel/{isa}/{name}/{size}",
                    "kernel",
                    f"{name}/{size}",
                    share,
                    isa=isa,
                    flop=flop,
                    bytes=bytes_,
                    exps=exps,
                )
            self.add(
                f"softmax/{isa}/512x512", "softmax", "512x512", 0.8, isa=isa, bytes=2 << 20, exps=262144, error=1e-7
            )

    def calls(self):
        shapes = dict(NINE)
        shapes |= {f"prefill/T{t}": (1, 4, 4, t, t, 64) for t in LENGTHS if t <= 8192}
        shapes |= {f"decode/T{t}": (1, 32, 8, 1, t, 128) for t in LENGTHS}
        shapes |= {f"head_dim/{d}": (1, 8, 8, 512, 512, d) for d in (16, 32, 40, 64, 80, 96, 128, 192, 256)}
        shapes |= {f"half/{c}_32k": (1, 32, 8, 1, 32768, 128, False, c) for c in ("f32", "f16", "bf16")}
        for row, shape in shapes.items():
            work = shape[0] * shape[1] * shape[3] * shape[4] * shape[5]
            for isa in self.machine["peak"]:
                for n in self.counts:
                    if isa == "scalar" and (n > 1 or work > 5e7 or "/" in row):
                        continue
                    share = (0.92 if isa == self.best else 0.85) * work / (work + 2e5 * n**1.5)
                    name = f"attention/streaming/{isa}/{row}{f'/threads:{n}' if n > 1 else ''}"
                    self.attention(name, "attention", row, shape, share, isa=isa, path="streaming", threads=n)
            if work <= 1e8 and row in NINE:
                self.attention(
                    f"attention/blas/{self.best}/{row}", "attention", row, shape, 0.6, isa=self.best, path="blas"
                )
                self.attention(f"plain/{row}", "plain", row, shape, 0.3, path="plain")

    def options(self):
        for isa in self.machine["peak"]:
            for option, ratio in OPTIONS.items() if isa != "scalar" else ():
                row = "long8k" if option == "window" else "bert512"
                self.add(
                    f"options/{isa}/{row}/{option}", "options", row, seconds=0.03 * ratio, isa=isa, path="streaming",
                    option=option, plain_seconds=0.03,
                )  # fmt: skip

    def layers(self):
        for row, (batch, length, wide) in {
            "B1_T128_E768_H12": (1, 128, 768),
            "B4_T512_E768_H12": (4, 512, 768),
        }.items():
            flop = batch * length * (8 * wide * wide + 4 * length * wide)
            for path, share in (("tiles", 0.88), ("blas", 0.75)):
                for what in ("no_weights", "weights"):
                    for n in (1, self.counts[-1]):
                        name = f"layer/{self.best}/{path}/{row}/{what}{f'/threads:{n}' if n > 1 else ''}"
                        less = share * (0.93 if what == "weights" else 1)
                        self.add(
                            name,
                            "layer",
                            row,
                            less,
                            isa=self.best,
                            path=path,
                            option=what,
                            threads=n,
                            flop=flop,
                            bytes=wide * wide * 16,
                        )

    def grid(self):
        queries, keys, dims = GRID if self.whole_grid else (sizes[::2] for sizes in GRID)
        for q in queries:
            for k in keys:
                for d in dims:
                    for g in (1, 4):
                        cell, shape = (
                            f"q{q}_k{k}_d{d}_g{g}",
                            (1, 12 if g == 1 else 16, 12 // g if g == 1 else 4, q, k, d),
                        )
                        work = q * k * d
                        share = (
                            0.93
                            * (work + 500)
                            / (work + 8000)
                            * self.random.uniform(0.85, 1)
                            * (0.75 if d == 40 else 1)
                        )
                        self.attention(
                            f"grid/{self.best}/{cell}", "grid", cell, shape, share, isa=self.best, path="streaming"
                        )
                        self.attention(
                            f"grid/plain/{cell}",
                            "grid",
                            cell,
                            shape,
                            share * self.random.uniform(0.2, 1.1),
                            path="plain",
                        )


def results(machine, seed=1, rounds=7, whole_grid=False):
    make, m = Maker(machine, seed, rounds, whole_grid), machine
    rates = make.rates()
    for part in (make.kernels, make.calls, make.options, make.layers, make.grid):
        part()
    caches = [{"level": i + 1, "type": "Unified" if i else "Data", "bytes": size, "shared_by": m["threads"] if i == 2 else 1} for i, size in enumerate(m["caches"])]  # fmt: skip
    return {
        "schema": "attn-bench/1",
        "attn": {"version": "0.9.0", "commit": f"{seed:040x}", "modified": False},
        "date": "2026-11-26T09:00:00Z",
        "machine": {
            **{name: m[name] for name in ("cpu", "vendor", "family", "model", "flags", "threads", "virtual")},
            "stepping": 1, "all_flags": m["flags"], "cores": m["threads"], "caches": caches, "memory_bytes": 16 << 30,
            "os": "Debian GNU/Linux 12", "kernel": "6.1.0",
        },
        "build": {
            "compiler": "gcc 12.2.0", "build_type": "Release", "blas": m["blas"], "blas_core": m["blas"] and "SkylakeX",
            "blas_threads": m["blas"] and m["threads"], "benchmark_library": "1.7.1",
        },
        "load": {"before": [0.1, 0.2, 0.3], "after": [1.1, 0.8, 0.5], "stolen": 0.01 if m["virtual"] else None, "busy_before": 0.02},
        "run": {
            "id": f"00000000-0000-4000-8000-{seed:012x}", "paired_with": [], "rounds": rounds, "seconds": 148.0,
            "sample_seconds": 0.01, "threads": make.counts, "filter": None, "long": False, "shapes": [],
        },
        "rates": rates,
        "rows": make.rows,
    }  # fmt: skip


def partial(seed=3):
    """As after --filter bert: few rows, no rates, too few rounds for intervals, nothing known of the machine."""
    found = results(SERVER, seed, rounds=3)
    found["rows"] = [
        row for row in found["rows"] if "bert" in row["name"] and row["kind"] == "attention" and row["threads"] == 1
    ]
    for row in found["rows"]:
        row.update(attainable_seconds=None, share_of_attainable=None, share_of_peak=None, error=None)
    found["rates"] = {"peak_gflops": {}, "exps_per_second": {}, "read_bytes_per_second": {}}
    found["run"]["filter"] = "bert"
    found["load"] = {"before": None, "after": None, "stolen": None, "busy_before": None}
    found["attn"]["commit"] = None
    found["machine"].update(cores=None, caches=[], memory_bytes=None, os=None, kernel=None, flags=[], all_flags=[])
    return found


def race(results_, seed=5, grid=False):
    """What the race with other libraries would have written on that machine."""
    chance, found = random.Random(seed), []
    for row in results_["rows"]:
        kinds = row["kind"] == ("grid" if grid else "attention") and row["path"] == "streaming"
        if not kinds or row["isa"] != results_["rows"][0]["isa"] or row["threads"] > 2 or not row["gflops"]:
            continue
        if not grid and row["row"] not in NINE and not row["row"].startswith("half/"):
            continue
        ours = row["seconds"] * 1e3
        peers = {peer: ours * chance.lognormvariate(0.3, 0.25) for peer in ("torch", "onnxruntime", "openvino")}
        peers["loops"] = ours * chance.lognormvariate(1, 0.4)
        best = min(list(peers)[:3], key=peers.get)
        ratio = peers[best] / ours
        found.append({
            "row": row["row"], "shape": [*row["shape"].values()], "threads": row["threads"], "isa": row["isa"], "attn_ms": ours,
            "attn_error": 3e-7, "attn_gflops": row["gflops"], "peers": peers, "how": {}, "left_out": {}, "best_peer": best,
            "ratio": ratio, "ratio_interval": [ratio * 0.96, ratio * 1.05], "loops_ratio": peers["loops"] / ours,
            "peak_gflops": 160.0, "peak_fraction": row["share_of_peak"], "least_ms": {}, "rounds": {}, "seconds": 1.0,
        })  # fmt: skip
    about = {name: results_[name] for name in ("attn", "date", "machine")}
    return {"schema": "attn-race/1", **about, "versions": {"torch": "2.15.0"}, "results": found}


def write(folder, whole_grid=False):
    """{name: path} of all files."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    server = results(SERVER, 1, whole_grid=whole_grid)
    files = {"server": server, "board": results(BOARD, 2, whole_grid=whole_grid), "partial": partial()}
    files |= {"peers": race(server), "grid": race(server, grid=True)}
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")
    return {name: folder / f"{name}.json" for name in files}


if __name__ == "__main__":
    print(*write(sys.argv[1], whole_grid=True).values())
