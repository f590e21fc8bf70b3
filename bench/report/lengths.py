"""Speed over the length of a sequence: prefill against what is attainable, decode against the speed of reading."""

import numpy as np

from .data import attainable_gflops, percent, short
from .labels import label_ends
from .style import (
    BLUE,
    GREEN,
    HALO,
    INK,
    MUTED,
    above,
    figure,
    finish,
    isa_name,
    lengths_axis,
    log_axis,
    speed_axis,
    threads_name,
)

LEVELS = ("L1", "L2", "L3", "memory")


def pictures(machine):
    isa = machine.best_isa()
    for threads in ends(machine):
        rows = lengths(machine, "prefill", isa, threads)
        if len(rows) > 1 and machine.peak(isa, threads):
            yield over(machine, rows, lambda r: r["shape"]["queries"], "prefill", "tokens (queries and keys)")
    for threads in ends(machine):
        rows = lengths(machine, "decode", isa, threads)
        if len(rows) > 1:
            yield decode(machine, rows)


def ends(machine):
    """One thread and all of them."""
    counts = machine.thread_counts()
    return sorted({counts[0], counts[-1]})


def lengths(machine, group, isa, threads):
    rows = machine.select("attention", rf"^{group}/T\d+$", isa=isa, path="streaming", threads=threads)
    return sorted((r for r in rows if r["shape"]), key=lambda r: r["shape"]["keys"])


def sentence(machine):
    isa, said = machine.best_isa(), []
    rows = [r for r in lengths(machine, "prefill", isa, 1) if r["share_of_attainable"]]
    if rows:
        last = rows[-1]
        enough = next((r["shape"]["queries"] for r in rows if r["share_of_attainable"] >= 0.8), None)
        said.append(
            f"Prefill on one thread reaches {percent(last['share_of_attainable'])} of the attainable speed at "
            f"{last['shape']['queries']} tokens"
            + (f", and 80\u00a0% from {enough} tokens on." if enough else "; it never reaches 80\u00a0%.")
        )
    rows = [r for r in lengths(machine, "decode", isa, 1) if r["bytes_per_second"]]
    memory = machine.rate("read_bytes_per_second", "memory")
    if rows and memory:
        last = rows[-1]
        said.append(
            f"Decode over {last['shape']['keys']} keys reads {last['bytes_per_second'] * 1e-9:.1f} GB/s on one thread; "
            f"memory gives {memory * 1e-9:.1f}."
        )
    return " ".join(said)


def over(machine, rows, x_of, group, x_label):
    """GFLOP/s up to the peak, measured and attainable."""
    isa, threads = rows[0]["isa"], rows[0]["threads"]
    peak = machine.peak(isa, threads)
    best = max(rows, key=lambda r: r["gflops"])
    what = "prefill gets" if group == "prefill" else f"heads of {x_of(best)} get"
    title = f"{isa_name(isa)}, {threads_name(threads)}: {what} up to {percent(best['gflops'] / peak)} of the peak"
    fig, ax = figure(title, 3.3)
    x = [x_of(r) for r in rows]
    lengths_axis(ax, x, x_label)
    speed_axis(ax, peak, best["gflops"])
    above(ax, f"peak: {short(peak)} GFLOP/s", at=peak)
    limits = [(a, attainable_gflops(r)) for a, r in zip(x, rows) if r["attainable_seconds"]]
    named = []
    if limits:
        ax.plot(*zip(*limits), color=MUTED, lw=1.5, ls=(0, (4, 2)))
        named.append((*limits[-1], "attainable", MUTED))
    ax.plot(x, [r["gflops"] for r in rows], "o-", color=BLUE, lw=2, ms=5, clip_on=False, zorder=6)
    named.append((x[-1], rows[-1]["gflops"], "attn", BLUE))
    mark_losing(ax, x, rows)
    label_ends(ax, named)
    alt = f"{title}. " + "; ".join(f"{a}: {r['gflops']:.0f} GFLOP/s" for a, r in zip(x, rows))
    return finish(fig, f"{machine.key}_{group}_{threads}", title, alt)


def mark_losing(ax, x, rows):
    """What the point reaches of the attainable that is furthest from it, if that is under 80 %."""
    known = [(r["share_of_attainable"], a, r["gflops"]) for a, r in zip(x, rows) if r["share_of_attainable"]]
    share, a, speed = min(known, default=(1, 0, 0))
    if share < 0.8:
        text = f"the least: {percent(share)}"
        ha = "left" if a == x[0] else "right" if a == x[-1] else "center"
        up = speed < 0.12 * ax.get_ylim()[1]
        place = {"textcoords": "offset points", "ha": ha, "va": "bottom" if up else "top", "path_effects": HALO}
        ax.annotate(text, (a, speed), (0, 8 if up else -8), zorder=7, **place)


def decode(machine, rows):
    isa, threads = rows[0]["isa"], rows[0]["threads"]
    x = [r["shape"]["keys"] for r in rows]
    speed = [r["bytes_per_second"] * 1e-9 for r in rows]
    rates = {level: machine.rate("read_bytes_per_second", level, threads) for level in LEVELS}
    rates = {level: rate * 1e-9 for level, rate in rates.items() if rate}
    title = f"{isa_name(isa)}, {threads_name(threads)}: one query over {x[-1]} keys reads {short(speed[-1])} GB/s"
    if "memory" in rates:
        title += f", memory gives {short(rates['memory'])}"
    fig, ax = figure(title, 3.6)
    lengths_axis(ax, x, "keys in the cache")
    ax.set_yscale("log")
    ax.set_ylabel("cache read: GB/s")
    top = max([*rates.values(), *speed])
    ax.set_ylim(min([*speed, *rates.values()]) / 1.6, top)
    log_axis(ax.yaxis)
    named = [(x[-1], rate, f"{level} {short(rate)}", INK if rate == top else MUTED) for level, rate in rates.items()]
    for level, rate in rates.items():
        ax.axhline(rate, color=INK if rate == top else MUTED, lw=2 if rate == top else 0.8, clip_on=False)
    limits = [(a, r["bytes"] / r["attainable_seconds"] * 1e-9) for a, r in zip(x, rows) if r["attainable_seconds"]]
    if limits:
        ax.plot(*zip(*limits), color=MUTED, lw=1.5, ls=(0, (4, 2)))
        far = max(limits, key=lambda at: abs(np.log(at[1] / speed[x.index(at[0])])) + (at[0] == x[0]) * 0.2)
        ha = "left" if far[0] == x[0] else "right" if far[0] == x[-1] else "center"
        style = {"textcoords": "offset points", "color": MUTED, "ha": ha, "path_effects": HALO}
        ax.annotate("attainable", far, (0, 4), zorder=7, **style)
    ax.plot(x, speed, "o-", color=GREEN, lw=2, ms=5, zorder=6)
    label_ends(ax, [*named, (x[-1], speed[-1], f"attn {short(speed[-1])}", GREEN)])
    alt = f"{title}. " + "; ".join(f"{a} keys: {s:.1f} GB/s" for a, s in zip(x, speed))
    return finish(fig, f"{machine.key}_decode_{threads}", title, alt)
