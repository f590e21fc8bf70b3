"""The grid of shapes: a cell for every mixture of these sizes. A name such as q1_k256_d64_g4 is a cell: queries, keys,
head_dim, query heads for each KV head."""

import itertools
import re
import statistics

from .shapes import Shape

SIZES = {
    "queries": (1, 4, 16, 49, 128, 512),
    "keys": (16, 64, 256, 1024, 4096),
    "head_dim": (32, 40, 64, 80, 128),
    "groups": (1, 4),
}
HEADS = {1: (12, 8, 4, 2, 1), 4: (16, 8, 4)}  # query heads; the first for which a call is short enough
LONGEST, SHORTEST = 10e-3, 20e-6  # seconds of a call


def seconds(shape):
    """Of a call, roughly, on one thread of a common machine."""
    return shape.flop() / 40e9 + shape.bytes() / 20e9


def shape_of_cell(name):
    """The shape of a cell, or None if the name is none. Batches grow until a call takes long enough."""
    found = re.fullmatch(r"q(\d+)_k(\d+)_d(\d+)_g(\d+)", name)
    if not found:
        return None
    queries, keys, dim, group = map(int, found.groups())

    def shape(heads, batch=1):
        return Shape(batch, heads, heads // group, queries, keys, dim)

    possible = HEADS.get(group, (8 * group, group))
    heads = next((h for h in possible if seconds(shape(h)) <= LONGEST), possible[-1])
    batch = next(b for b in (1, 2, 4, 8, 16, 32, 64) if b == 64 or seconds(shape(heads, b)) >= SHORTEST)
    return shape(heads, batch)


def cells(sizes, pattern=""):
    """The names of all cells of these sizes that the regular expression finds something in."""
    names = (f"q{q}_k{k}_d{d}_g{g}" for q, k, d, g in itertools.product(*(sizes[axis] for axis in SIZES)))
    return [name for name in names if re.search(pattern, name)]


def summary(results):
    """Lines for the results of one instruction set and number of threads."""
    for what, of, limits in (
        ("the best rival", "ratio", (1.0, 0.9)),
        ("the plain loops", "loops_ratio", (1.0, 0.95)),
    ):
        ratios = [r[of] for r in results if r[of]]
        if ratios:
            below = ", ".join(f"{sum(x < limit for x in ratios)} below {limit:g}" for limit in limits)
            mean = statistics.geometric_mean(ratios)
            yield f"  against {what}: geometric mean {mean:.2f} of {len(ratios)} cells; {below}"
    for axis, letter in zip(SIZES, "qkdg"):
        means = {}
        for r in results:
            if r["ratio"]:
                means.setdefault(re.search(rf"(?:^|_){letter}(\d+)", r["row"]).group(1), []).append(r["ratio"])
        shown = ", ".join(f"{size}: {statistics.geometric_mean(x):.2f}" for size, x in means.items())
        yield f"  by {axis}: {shown}"
    worst = sorted((r for r in results if r["ratio"]), key=least)[:10]
    yield "  the worst cells, by the less of both: ratio, over the loops"
    for r in worst:
        loops = f"{r['loops_ratio']:.2f}" if r["loops_ratio"] else "-"
        yield f"    {r['row']:<24}{r['ratio']:6.2f}{loops:>8}  {r['best_peer']} {r['how'].get(r['best_peer'], '')}".rstrip()


def least(result):
    return min(x for x in (result["ratio"], result["loops_ratio"]) if x)
