"""A results file as lines for the terminal."""

import math
import statistics

KINDS = {
    "peak": "FMA peak, in registers",
    "exp": "exponentials, in L1",
    "bandwidth": "reading",
    "kernel": "kernels, data in L1 or L2, one thread",
    "softmax": "softmax, one thread",
    "attention": "attention",
    "plain": "attention as plain loops, one thread",
    "options": "attention with an option; times the call without it",
    "layer": "layers",
}
HEAD = f"{'':<52}{'time':>10}{'+-':>6}{'GFLOP/s':>9}{'GB/s':>8}{'peak':>6}{'attainable':>12}{'error':>9}"


def text_of_time(seconds):
    unit, scale = next((u for u in ((" s", 1), ("ms", 1e-3), ("us", 1e-6)) if seconds >= u[1]), ("ns", 1e-9))
    return f"{seconds / scale:.3g} {unit}" if seconds < 1000 else f"{seconds:.0f}  s"


def spread(row):
    """How far the interval reaches from the median, at the most."""
    if not row["interval"]:
        return None
    low, high = row["interval"]
    return max(row["seconds"] - low, high - row["seconds"]) / row["seconds"]


def cell(value, form, width):
    return format("-" if value is None else format(value, form), f">{width}")


def line(row):
    speed = row["bytes_per_second"]
    words = [
        f"  {row['name']:<50}{text_of_time(row['seconds']):>10}",
        cell(spread(row), ".0%", 6),
        cell(row["gflops"], ".1f", 9),
        cell(speed and speed * 1e-9, ".1f", 8),
        cell(row["share_of_peak"], ".0%", 6),
        cell(row["share_of_attainable"], ".0%", 12),
        cell(row["error"], ".0e", 9),
    ]
    if row["plain_seconds"]:
        words.append(f"   x{row['seconds'] / row['plain_seconds']:.2f}")
    return "".join(words)


def grid(rows):
    """The grid in two lines: its cells are a picture, not a table."""
    cells = [row for row in rows if row["kind"] == "grid" and row["path"] != "plain" and row["share_of_attainable"]]
    if not cells:
        return
    shares = [row["share_of_attainable"] for row in cells]
    worst = sorted(cells, key=lambda row: row["share_of_attainable"])[:3]
    yield f"  {len(cells)} cells: share of the attainable {statistics.median(shares):.0%} (median)"
    yield "  least: " + ", ".join(f"{row['row']} {row['share_of_attainable']:.0%}" for row in worst)
    plain = {row["row"]: row["seconds"] for row in rows if row["kind"] == "grid" and row["path"] == "plain"}
    ratios = [plain[row["row"]] / row["seconds"] for row in cells if row["row"] in plain]
    if ratios:
        mean = math.exp(statistics.fmean(map(math.log, ratios)))
        yield f"  the time of plain loops over that of attn: {mean:.2f} (geometric mean)"


def is_main(row):
    """Of some seventy: the rows that say most on one screen or two."""
    if row["isa"] == "scalar" or row["path"] in ("blas", "plain"):
        return False
    return row["kind"] not in ("kernel", "attention") or (row["kind"] == "attention" and "/" not in row["row"])


def lines(results, short=False):
    rows = results["rows"]
    yield f"{results['machine']['cpu']}; medians of up to {results['run']['rounds']} rounds; +-: 95 % interval"
    yield "peak, attainable: shares of what this machine was measured to do; error: against double"
    yield HEAD
    for kind, title in KINDS.items():
        found = [row for row in rows if row["kind"] == kind and (not short or is_main(row))]
        if found:
            yield title
            yield from map(line, found)
    cells = list(grid(rows))
    if cells:
        yield "grid of shapes, one thread"
        yield from cells
    if short:
        yield f"{len(rows)} rows were measured: --all prints them, the report shows them"
