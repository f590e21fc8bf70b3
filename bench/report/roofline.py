"""The roofline: speed over the work for each byte, under what this CPU can do; and every kernel's share of that."""

import numpy as np
from matplotlib.transforms import Bbox

from .data import percent, short
from .labels import place_labels
from .style import BLUE, HALO, INK, MUTED, ORANGE, above, below, figure, finish, isa_name, log_axis, peak_at_right

LEVELS = ("L1", "L2", "L3", "memory")
TYPICAL_DIM = 64  # of the ceiling that softmax's exponentials make: 4 flop for each element of a head, one exponential


def pictures(machine):
    for isa in machine.isas():
        kernels = [r for r in machine.select("kernel", isa=isa, threads=1) if r["flop"] and r["bytes"]]
        calls = [r for r in machine.nine(isa) if r["flop"] and r["bytes"]]
        for name, points, what in (
            ("roofline", calls, "calls of attention"),
            ("kernel_roofline", kernels, "kernels, data in cache"),
        ):
            if machine.peak(isa) and points:
                yield roofline(machine, isa, name, points, what)
        rows = [r for r in machine.select("kernel", isa=isa, threads=1) if r["share_of_attainable"]]
        if rows:
            yield shares(machine, isa, rows)


def sentence(machine):
    rows = [r for isa in machine.isas() if isa != "scalar" for r in machine.select("kernel", isa=isa, threads=1)]
    rows = [r for r in rows if r["share_of_attainable"]]
    if not rows:
        return ""
    least = min(rows, key=lambda r: r["share_of_attainable"])
    near = sum(r["share_of_attainable"] >= 0.8 for r in rows)
    return (
        f"{near} of {len(rows)} kernels (without the scalar ones) reach 80\u00a0% of what this CPU can do; the furthest off is "
        f"{label(least)} with {isa_name(least['isa'])}, at {percent(least['share_of_attainable'])}."
    )


def label(row):
    return row["row"].replace("/", " ")


def name_among(row, rows):
    """Without the size where it is the only one of its kernel."""
    kernel = row["row"].split("/")[0]
    alone = sum(r["row"].split("/")[0] == kernel for r in rows) == 1
    return kernel if alone else label(row)


def roofline(machine, isa, name, rows, what):
    peak = machine.peak(isa)
    points = [(r["flop"] / r["bytes"], r["gflops"], r) for r in rows]
    best = max(points, key=lambda p: p[1])
    title = f"{isa_name(isa)}, 1 thread: {label(best[2])} comes closest to the peak, {percent(best[1] / peak)} of it"
    fig, ax = figure(title, 5.2)
    ax.set_xscale("log")
    ax.set_yscale("log")
    left, right = min(x for x, _, _ in points) / 5, max(x for x, _, _ in points) * 6
    ax.set_xlim(left, right)
    ax.set_ylim(min(y for _, y, _ in points) / 2.5, max(peak, best[1]))
    ax.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
    log_axis(ax.yaxis)
    ax.grid(which="major")
    ax.set_axisbelow(True)
    ax.axhline(peak, color=INK, lw=2, clip_on=False)
    above(ax, f"peak of multiply-adds: {short(peak)} GFLOP/s", at=peak)
    ax.plot([x for x, _, _ in points], [y for _, y, _ in points], "o", color=BLUE, ms=6, zorder=4, label=what)
    levels = ceilings(machine, isa, ax, (left, right), peak)
    ax.set_xlabel("work: flop for each byte of the tensors")
    ax.set_ylabel("speed: GFLOP/s")
    ax.legend(loc="lower right", frameon=False, handletextpad=0.3, borderaxespad=0.1)
    fig.canvas.draw()
    fig.set_layout_engine("none")  # labels change nothing any more
    names = [slope_label(ax, levels[together[0]], level_name(machine, together)) for together in alike(machine, levels)]
    names = [name for name in names if name]
    taken = [ax.get_legend().get_window_extent(), *(box for name in names for box in along(name))]
    place_labels(ax, [(x, y, name_among(r, rows)) for x, y, r in points], taken)
    alt = f"{title}. Points: " + "; ".join(f"{label(r)} {y:.0f} GFLOP/s at {x:.1f} flop a byte" for x, y, r in points)
    return finish(fig, f"{machine.key}_{name}_{isa}", title, alt)


def ceilings(machine, isa, ax, ends, peak):
    """Draws what limits the speed; {level: its line}."""
    lines = {}
    exps = machine.rate("exps_per_second", isa)
    if exps:
        flop = 4 * TYPICAL_DIM
        limit = 1 / (1 / peak + 1e9 / exps / flop)
        ax.axhline(limit, color=MUTED, lw=1, ls=(0, (4, 2)), label=f"most with softmax, head_dim {TYPICAL_DIM}")
    for level in LEVELS:
        rate = machine.rate("read_bytes_per_second", level)
        if not rate:
            continue
        rate *= 1e-9
        x = np.array([ends[0], max(ends[0], min(ends[1], peak / rate))])
        ax.plot(x, x * rate, color=MUTED, lw=1)
        lines[level] = x, x * rate
    return lines


def alike(machine, levels):
    """The levels in groups whose lines stand too near each other for two names."""
    groups, last = [], None
    for level in sorted(levels, key=lambda level: machine.rate("read_bytes_per_second", level), reverse=True):
        rate = machine.rate("read_bytes_per_second", level)
        if last and last < 1.4 * rate:
            groups[-1].append(level)
        else:
            groups.append([level])
        last = rate
    return groups


def level_name(machine, levels):
    rates = [f"{level} {short(machine.rate('read_bytes_per_second', level) * 1e-9)}" for level in levels]
    return f"{', '.join(rates)} GB/s"


def slope_label(ax, line, text):
    """A name along a line, if enough of the line stands inside the picture; else None."""
    scale, inside = ax.figure.dpi / 72, ax.get_window_extent()
    start, end = (ax.transData.transform(at) for at in zip(*line))
    if start[1] < inside.y0:  # where it comes in from below
        start = start + (end - start) * (inside.y0 - start[1]) / (end[1] - start[1])
    length = np.hypot(*(end - start))
    if length < 115 * scale:
        return None
    start = start + (end - start) * 8 * scale / length
    least = inside.x0 + 14 * scale * (end - start)[1] / length  # a steep name stands left of its line
    if start[0] < least:
        start = start + (end - start) * (least - start[0]) / (end - start)[0]
    angle = np.degrees(np.arctan2(*(end - start)[::-1]))
    return ax.annotate(
        text, ax.transData.inverted().transform(start), (0, 0), textcoords="offset points", ha="left", va="bottom",
        rotation=angle, rotation_mode="anchor", color=MUTED, path_effects=HALO,
    )  # fmt: skip


def along(name):
    """Boxes along a sloping text, which its own box is much larger than."""
    box, count = name.get_window_extent(), 8
    steps = [box.p0 + (box.p1 - box.p0) * (i + 0.5) / count for i in range(count)]
    return [Bbox.from_extents(*at - 8, *at + 8) for at in steps]


def shares(machine, isa, rows):
    rows = sorted(rows, key=lambda r: r["share_of_attainable"])
    least = rows[0]
    low = f"{label(least)}, {percent(least['share_of_attainable'])}"
    title = f"{isa_name(isa)}: every kernel's share of what this CPU can do; the least is {low}"
    fig, ax = figure(title, 1.4 + 0.235 * len(rows))
    values = [min(1, r["share_of_attainable"]) for r in rows]
    colours = [BLUE if v >= 0.8 else ORANGE for v in values]
    ax.barh([label(r) for r in rows], values, color=colours, height=0.7)
    for i, r in enumerate(rows):
        inside = values[i] > 0.25
        ax.text(
            values[i] + (-0.02 if inside else 0.02), i, percent(r["share_of_attainable"]), va="center",
            ha="right" if inside else "left", color=("#ffffff" if colours[i] == BLUE else "#000000") if inside else INK,
        )  # fmt: skip
    peak_at_right(ax, 1)
    ax.set_ylim(-0.6, len(rows) - 0.4)
    ax.xaxis.set_major_formatter(lambda x, _: f"{100 * x:.0f}")
    below(ax, "% of the attainable speed (orange: below 80\u00a0%)")
    alt = f"{title}. " + "; ".join(f"{label(r)} {percent(r['share_of_attainable'])}" for r in rows[::-1])
    return finish(fig, f"{machine.key}_kernels_{isa}", title, alt)
