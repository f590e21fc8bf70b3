"""The files as the pictures read them."""

import json
import pathlib
import re
import statistics

from bench import results

NOISE = re.compile(r"\((R|TM|r|tm)\)|\bCPU\b|\bProcessor\b|@.*|\b\d+-Core\b")


class Machine:
    """A results file. `rows` are its rows, `name` says which machine it is in few words."""

    def __init__(self, path):
        self.path = str(path)
        self.file = results.load(path)
        self.rows = self.file["rows"]
        self.name = " ".join(NOISE.sub(" ", self.file["machine"]["cpu"]).split()) or "unnamed CPU"
        self.key = "m1"  # before the names of its pictures; read_all numbers them

    def isas(self):
        """Those that were measured, the best first."""
        found = {row["isa"] for row in self.rows if row["isa"]} | set(self.file["rates"]["peak_gflops"])
        order = ("avx512bf16", "avx512", "avx2", "neonbf16", "neon", "scalar")
        return sorted(found, key=lambda isa: order.index(isa) if isa in order else len(order))

    def best_isa(self):
        """The best one that attention was measured with, or any at all."""
        seen = {row["isa"] for row in self.rows if row["kind"] in ("attention", "grid", "layer", "options")}
        return next((isa for isa in self.isas() if isa in seen), next(iter(self.isas()), None))

    def rate(self, what, key, threads=1):
        """Of rates: peak_gflops, exps_per_second (key: ISA) or read_bytes_per_second (key: level); None if not measured."""
        return self.file["rates"][what].get(key, {}).get(str(threads))

    def peak(self, isa, threads=1):
        return self.rate("peak_gflops", isa, threads)

    def select(self, kind, pattern="", **wanted):
        """The rows of a kind whose row matches; wanted: isa, path, threads, option."""
        return [
            row
            for row in self.rows
            if row["kind"] == kind
            and re.search(pattern, row["row"] or "")
            and all(row[name] == value for name, value in wanted.items())
        ]

    def nine(self, isa=None, threads=1):
        """The rows of attention that have no group, in the order of the file."""
        return self.select("attention", r"^[^/,]+$", isa=isa or self.best_isa(), path="streaming", threads=threads)

    def thread_counts(self):
        return sorted({row["threads"] for row in self.rows if row["kind"] == "attention"}) or [1]


def read_all(paths):
    machines = [Machine(path) for path in paths]
    names = [machine.name for machine in machines]
    for i, machine in enumerate(machines):
        machine.key = f"m{i + 1}"
        if names.count(machine.name) > 1:
            machine.name += f" ({pathlib.Path(machine.path).stem})"
    return machines


def read_json(path):
    """What the race or predict wrote, or None if the file is not there."""
    if path is None or not pathlib.Path(path).exists():
        return None
    return json.loads(pathlib.Path(path).read_text())


# ---- Of rows ----


def attainable_gflops(row):
    return row["flop"] and row["attainable_seconds"] and row["flop"] / row["attainable_seconds"] * 1e-9


def sizes(row):
    """A row's shape in few words, as in "4 x 512 x 512"."""
    shape = row["shape"]
    if not shape:
        return ""
    batch = f"{shape['batch']} × " if shape["batch"] > 1 else ""
    return f"{batch}{shape['queries']} × {shape['keys']}"


def geometric_mean(values):
    return statistics.geometric_mean(values) if values else None


def short(x):
    """Two digits or a whole number: 0.25, 7.9, 58, 1280."""
    return f"{x:.0f}" if x >= 9.95 else f"{x:.2g}"


def percent(share):
    return f"{100 * share:.0f}\u00a0%"  # no line ends between the two


def duration(seconds):
    for unit, name in ((1, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if seconds >= unit:
            return f"{seconds / unit:.3g} {name}"
    return f"{seconds * 1e9:.3g} ns"
