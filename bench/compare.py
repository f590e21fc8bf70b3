"""Is anything faster or slower beyond the noise? python -m bench.compare OLD.json NEW.json

A row is called faster or slower if all of this holds:
  * a t-test of the logarithms of its samples says so (Welch's; of many samples Yuen's, which trims, as others slow
    single samples down), with the false discovery rate over all rows at LEVEL. Paired files: of the ratio of each pair.
  * the 95 % interval of the ratio lies beyond SMALLEST.
  * of paired files, all rows of a kind are looked at together, too.
  * files that are not paired: the ratio lies beyond what the controls did. These are rows that do not run attn, so they
    moved because the machine did, which samples of one run cannot show. Their mean is divided out.
"""

import argparse
import math
import sys
import warnings
from typing import NamedTuple

import numpy as np
from scipy import stats

from bench import results
from bench.places import BUILD, previous
from bench.table import text_of_time

LEVEL = 0.01  # of the test, over all rows
ALONE = 0.001  # how often the machine may move some row farther than it did the controls: ten comparisons flag nothing
SMALLEST = math.log(1.02)
TRIM, TRIM_FROM = 0.2, 12  # of the samples at each end, from so many on: of fewer the test would see nothing
FEWEST, FEWEST_OF_CONTROL = 3, 6  # samples: the mean of fewer says more of the noise than of the machine
FEWEST_CONTROLS = 3
FEWEST_TOGETHER = 8


class Change(NamedTuple):
    name: str
    control: bool
    count: int  # of samples, in the file that has fewer
    old: float  # seconds
    new: float
    log: float  # of new / old
    low: float  # its 95 % interval
    high: float
    p: float


def is_control(row):
    return row["kind"] in ("peak", "bandwidth") or row["path"] == "plain"


def logs_of(old, new, paired):
    """What the test compares. Of pairs it is their ratio against as many ones: without variance there, Welch's test is
    that of one sample."""
    a, b = np.log(old["samples"]), np.log(new["samples"])
    if not paired:
        return a, b
    count = min(len(a), len(b))
    return np.zeros(count), b[:count] - a[:count]


def half_width(a, b, trim):
    """Of the 95 % interval of the difference of the trimmed means of rows: Welch's, and with trimming Yuen's (1974). The
    test itself has it only since SciPy 1.11, which Debian 12 has not."""
    squares, freedom = 0.0, 0.0
    for x in (a, b):
        kept = x.shape[1] - 2 * int(trim * x.shape[1])
        sides = stats.mstats.winsorize(x, (trim, trim), axis=1).var(axis=1, ddof=1) * (x.shape[1] - 1)
        of_mean = np.asarray(sides) / (kept * (kept - 1))
        squares, freedom = squares + of_mean, freedom + of_mean**2 / (kept - 1)
    return stats.t.ppf(0.975, squares**2 / freedom) * np.sqrt(squares)


def adjusted(p):
    """By the false discovery rate (Benjamini and Hochberg, 1995): the least rate at which each would be flagged."""
    order = np.argsort(p)
    scaled = np.asarray(p)[order] * len(p) / np.arange(1, len(p) + 1)
    result = np.empty(len(p))
    result[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1)
    return result


def changes_of(both, paired):
    """Of the rows that have enough samples, in any order. both: [(old row, new row)]"""
    alike = {}  # rows of as many samples are tested at once
    for old, new in both:
        a, b = logs_of(old, new, paired)
        if min(len(a), len(b)) >= FEWEST:
            alike.setdefault((len(a), len(b)), []).append((old, new, a, b))
    for group in alike.values():
        a, b = (np.array([one[i] for one in group]) for i in (2, 3))
        trim = TRIM if min(a.shape[1], b.shape[1]) >= TRIM_FROM else 0
        logs = stats.trim_mean(b, trim, axis=1) - stats.trim_mean(a, trim, axis=1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # samples that are all alike have no variance: see below
            test = stats.ttest_ind(b, a, axis=1, equal_var=False, trim=trim)
            half = half_width(a, b, trim)
        for (old, new, *_), log, p, low, high in zip(group, logs, test.pvalue, logs - half, logs + half):
            low, high = (log, log) if math.isnan(low) else (low, high)
            p = float(log == 0) if math.isnan(p) else p
            count = min(a.shape[1], b.shape[1])
            figures = map(float, (log, low, high, p))
            yield Change(old["name"], is_control(old), count, old["seconds"], new["seconds"], *figures)


class Machine(NamedTuple):
    """What the machine itself did between two files."""

    mean: float  # log of new / old of the controls
    bound: float  # how far from that a row may lie by the machine alone
    count: int


def machine_of(changes, paired):
    """Of some normal numbers the bound is where not even the farthest of so many rows is expected (a prediction interval,
    Bonferroni's), and never nearer than the farthest control."""
    logs = np.array([change.log for change in changes if change.control and change.count >= FEWEST_OF_CONTROL])
    rows = max(1, sum(not change.control for change in changes))
    if paired:
        return Machine(0.0, 0.0, len(logs))
    if len(logs) < FEWEST_CONTROLS:
        return Machine(0.0, math.inf, len(logs))
    mean = logs.mean()
    factor = stats.t.ppf(1 - ALONE / (2 * rows), len(logs) - 1) * math.sqrt(1 + 1 / len(logs))
    return Machine(mean, max(factor * logs.std(ddof=1), np.abs(logs - mean).max()), len(logs))


def shifted(change, machine):
    return change._replace(log=change.log - machine.mean, low=change.low - machine.mean, high=change.high - machine.mean)


def decide(old, new):
    """All changes of rows of attn, the machine divided out; those that are beyond the noise; the machine."""
    paired = are_paired(old, new)
    before = {row["name"]: row for row in old["rows"]}
    both = [(before[row["name"]], row) for row in new["rows"] if row["name"] in before]
    changes = list(changes_of(both, paired))
    machine = machine_of(changes, paired)
    attn = [shifted(change, machine) for change in changes if not change.control]
    if not attn:
        raise ValueError("the two files have no row in common that runs attn and has enough samples")
    tested = attn + (list(together(attn)) if paired else [])
    moved = [
        change
        for change, p in zip(tested, adjusted([change.p for change in tested]))
        if p < LEVEL and max(change.low, -change.high) > SMALLEST and abs(change.log) > machine.bound
    ]
    return attn, moved, machine


def together(changes):
    """The rows of each kind as one Change, of paired files: a small change of them all is seen where the noise of a single
    row hides it. A t-test over the rows' ratios, which says nothing about files that are not paired: there the machine
    moves all rows at once."""
    kinds = {}
    for change in changes:
        kinds.setdefault(change.name.partition("/")[0], []).append(change)
    for kind, rows in kinds.items():
        if len(rows) >= FEWEST_TOGETHER:
            test = stats.ttest_1samp([row.log for row in rows], 0)
            log, ends = float(np.mean([row.log for row in rows])), test.confidence_interval(0.95)
            old, new = (math.exp(np.mean([math.log(getattr(row, which)) for row in rows])) for which in ("old", "new"))
            name = f"all {len(rows)} rows of {kind} together"
            yield Change(name, False, len(rows), old, new, log, float(ends.low), float(ends.high), float(test.pvalue))


def are_paired(old, new):
    return new["run"]["id"] in old["run"]["paired_with"] and old["run"]["id"] in new["run"]["paired_with"]


def differences(old, new):
    """What makes a comparison say something else than how attn changed."""
    places = (("machine", "cpu"), ("machine", "threads"), ("build", "compiler"), ("build", "build_type"), ("build", "blas"))
    for part, name in (*places, ("build", "blas_core"), ("run", "sample_seconds")):
        if old[part][name] != new[part][name]:
            yield f"warning: {part}.{name} differs: {old[part][name]} and {new[part][name]}"
    for which, one in (("old", old), ("new", new)):
        if (one["load"]["busy_before"] or 0) > 0.05:
            yield f"warning: others used {one['load']['busy_before']:.0%} of the processors before the {which} run"


def percent(log):
    return f"{math.expm1(log):+.1%}"


def line(change):
    times = f"{text_of_time(change.old):>10} {text_of_time(change.new):>10}"
    return f"  {change.name:<52}{times}{percent(change.log):>9}  [{percent(change.low)}, {percent(change.high)}]"


def title(one):
    commit = (one["attn"]["commit"] or "no commit")[:10] + (" with changes" if one["attn"]["modified"] else "")
    return f"attn {one['attn']['version']}, {commit}, {one['date']}, {one['machine']['cpu']}"


def report(old, new):
    """Prints the comparison; how many rows are slower."""
    attn, moved, machine = decide(old, new)
    paired = are_paired(old, new)
    print(f"old: {title(old)}\nnew: {title(new)}", *differences(old, new), sep="\n")
    print("runs that alternated: pairs of samples are compared" if paired else said_of(machine))
    for what, found in (
        ("slower", sorted((c for c in moved if c.log > 0), key=lambda c: -c.log)),
        ("faster", sorted((c for c in moved if c.log < 0), key=lambda c: c.log)),
    ):
        if found:
            print(f"{what + ': old, new, new / old - 1, its 95 % interval':<54}", *map(line, found), sep="\n")
    slower = sum(c.log > 0 for c in moved)  # of rows, and of all rows of a kind
    mean = math.expm1(np.mean([c.log for c in attn]))
    print(f"{len(attn)} rows: {slower} slower, {len(moved) - slower} faster; geometric mean of new / old - 1: {mean:+.1%}")
    seen = sorted(math.expm1(max(SMALLEST, machine.bound) + (c.high - c.low) / 2) for c in attn)
    half, most = seen[len(seen) // 2], seen[len(seen) * 9 // 10]
    print(f"a change could be seen above {half:.1%} in half of the rows, above {most:.1%} in nine of ten")
    names = [{row["name"] for row in one["rows"]} for one in (old, new)]
    for which, missing in (("old", names[0] - names[1]), ("new", names[1] - names[0])):
        if missing:
            print(f"only in the {which} file: {len(missing)}, such as {min(missing)}")
    return slower


def said_of(machine):
    if math.isinf(machine.bound):
        return f"only {machine.count} rows do not run attn: too few to tell what the machine did, so nothing is flagged"
    return (
        f"the machine itself: {percent(machine.mean)}, by {machine.count} rows that do not run attn; divided out below\n"
        f"rows may differ by {math.expm1(machine.bound):.1%} through the machine alone; runs that alternate "
        "(bench --against) see more"
    )


def main(words=None):
    parser = argparse.ArgumentParser(
        prog="dev.sh compare", description="Exit status: 0 no row is slower, 1 some row is, 2 files that cannot be compared."
    )
    here = BUILD / "bench.json"
    parser.add_argument("old", metavar="OLD.json", nargs="?", help="(the run before the last one)")
    parser.add_argument("new", metavar="NEW.json", nargs="?", help=f"({here})", default=here)
    options = parser.parse_args(words)
    if not options.old and not previous(here).exists():
        print("Nothing to compare yet: the next `bench` keeps the file of this one. Or name two files.")
        return 0 if here.exists() else 2
    options.old = options.old or previous(here)
    try:
        return 1 if report(results.load(options.old), results.load(options.new)) else 0
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
