"""What the race prints and writes."""

import csv
import datetime
import json
import pathlib
import statistics
import sys

from .. import machine
from ..places import ROOT
from ..program import commit_of
from ..shapes import NUMBERS
from .interval import plus_minus
from .peer_rows import ATTENTION, MULTI_HEAD, SOFTMAX, WITH_WEIGHTS, group_of

PEERS = ["torch", "onnxruntime", "openvino", "onednn", "ggml", "numpy", "loops"]


def head(isa, threads, least):
    print(
        f"\n{isa}, threads: {threads}. Times in ms, {'least' if least else 'medians'}; ratio: best library / attn; /loops: loops / attn;"
        " ±: half of the 95 % interval; GFLOP/s of attn, and of the fma peak",
        flush=True,
    )


def versions(found):
    print("  " + "; ".join(f"{name} {value}" for name, value in found.items()))
    names = "".join(f"{name:>12}" for name in ["attn", *PEERS])
    print(f"{'row':<30}{names}{'ratio':>8}{'':7}{'/loops':>8}{'':7}  GFLOP/s share  best library")


def show(result):
    def ms(x):
        return f"{x:12.4g}" if x else f"{'-':>12}"

    def ratio(x):
        return f"{x:8.2f}" if x else f"{'-':>8}"

    share = f"{result['peak_fraction']:5.0%}" if result["peak_fraction"] else "    -"
    gflops = f"{result['attn_gflops']:7.1f}" if result["attn_gflops"] else "      -"
    best = result["best_peer"]
    print(
        f"{result['row']:<30}{ms(result['attn_ms'])}{''.join(ms(result['peers'].get(p)) for p in PEERS)}"
        f"{ratio(result['ratio'])}{plus_minus(result['ratio_interval'])}"
        f"{ratio(result['loops_ratio'])}{plus_minus(result['loops_interval'])}  {gflops} {share}"
        f"  {best or ''} {result['how'].get(best, '')}{'' if good(result) else '  WRONG'}{missing(result)}",
        flush=True,
    )


def missing(result):
    """Rivals that take part in no way, although they are expected to."""
    names = [p for p in PEERS if p not in result["peers"] and any(x.split()[0] == p for x in result["left_out"])]
    return f"  (without {', '.join(names)})" if names else ""


def good(result):
    return result["attn_error"] <= 1e-5


def summary(results):
    """Lines for the results of one instruction set and number of threads."""

    def line(title, names, pick, of="ratio"):
        ratios = [r[of] for r in results if r[of] and r["row"] in names]
        if ratios:
            yield f"  {title}: {pick(ratios):.2f}"

    mean = statistics.geometric_mean
    for group in dict.fromkeys(map(group_of, ATTENTION)):
        names = [name for name in ATTENTION if group_of(name) == group]
        title = "the nine rows of attention" if group == "nine" else f"{group}/"
        yield from line(f"{title}, geometric mean of the ratios", names, mean)
        yield from line(f"{title}, least ratio", names, min)
        yield from line(f"{title}, geometric mean over the loops", names, mean, "loops_ratio")
    yield from line("least of softmax", SOFTMAX, min)
    yield from line("least of MultiHeadAttention", MULTI_HEAD, min)
    yield from line("least of MultiHeadAttention with weights", WITH_WEIGHTS, min)


def about():
    """Of what and where the race is: the commit of the sources, which dev.sh has just built."""
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"schema": "attn-race/1", "attn": commit_of(ROOT), "date": now, "machine": machine.describe(), "versions": {}}


def write(path, csv_path, about, results):
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = ",\n".join("  " + json.dumps(row) for row in results)
    path.write_text(json.dumps({**about, "results": []}).removesuffix("[]}") + "[\n" + rows + "\n]}\n")
    if csv_path:
        write_csv(pathlib.Path(csv_path), results)


def write_csv(path, results):
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = [*(name.replace(" ", "_") for name in NUMBERS), "causal", "cache"]
    plain = ["row", "isa", "threads", "attn_ms", "ratio", "loops_ratio", "best_peer", "attn_gflops", "attn_error"]
    intervals = ["ratio_interval", "loops_interval"]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        ends = [f"{name}_{end}" for name in intervals for end in ("low", "high")]
        writer.writerow([*plain, *ends, *shape, *(f"{p}_ms" for p in PEERS), *(f"{p}_how" for p in PEERS)])
        for r in results:
            sizes = r["shape"] or [None] * len(shape)
            times = [r["peers"].get(p) for p in PEERS]
            found = [x for name in intervals for x in r[name] or (None, None)]
            writer.writerow([*(r[name] for name in plain), *found, *sizes, *times, *(r["how"].get(p) for p in PEERS)])


def end(results, failed):
    """Says who was left out and what failed, which is the end of the program."""
    reasons = {}
    for r in results:
        for who, why in r["left_out"].items():
            reasons.setdefault((who, why), []).append(r["row"])
    if reasons:
        print("left out:")
    for (who, why), rows in reasons.items():
        print(f"  {who}: {why} ({len(rows)}: {', '.join(rows[:3])}{', ...' if len(rows) > 3 else ''})")
    for line in failed:
        print(f"FAILED: {line}")
    if not all(map(good, results)):
        sys.exit("error: attn gave a wrong result")
    if failed:
        sys.exit("error: some rows failed")
