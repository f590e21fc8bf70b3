"""How the cost grows with the length, with the slope fitted on logarithmic axes."""

import numpy as np

from .lengths import ends, lengths
from .style import BLUE, GREEN, MUTED, figure, finish, isa_name, lengths_axis, threads_name


def slope(rows):
    """Of log time over log length, by least squares over the upper half of the lengths: what a long sequence costs."""
    rows = rows[len(rows) // 2 :] if len(rows) >= 4 else rows
    x, y = [np.log([r["shape"]["keys"] for r in rows]), np.log([r["seconds"] for r in rows])]
    return float(np.polyfit(x, y, 1)[0])


def groups(machine, threads):
    isa = machine.best_isa()
    found = {group: lengths(machine, group, isa, threads) for group in ("prefill", "decode")}
    return {group: rows for group, rows in found.items() if len(rows) > 1}


def pictures(machine):
    for threads in ends(machine):
        found = groups(machine, threads)
        if found:
            yield picture(machine, threads, found)


def picture(machine, threads, found):
    slopes = {group: slope(rows) for group, rows in found.items()}
    said = " and ".join(f"{2**s:.1f} times the time in {group}" for group, s in slopes.items())
    title = f"{isa_name(machine.best_isa())}, {threads_name(threads)}: twice the length costs {said}"
    fig, ax = figure(title, 3.9)
    for (group, rows), colour, marker in zip(found.items(), (BLUE, GREEN), "os"):
        x, y = np.array([r["shape"]["keys"] for r in rows]), np.array([r["seconds"] * 1e3 for r in rows])
        ax.plot(x, y, marker + "-", color=colour, lw=2, ms=4)
        half = len(x) // 2 if len(x) >= 4 else 0
        fit = np.exp(np.mean(np.log(y[half:])) + slopes[group] * (np.log(x) - np.mean(np.log(x[half:]))))
        ax.plot(x, fit, color=MUTED, lw=1, ls=(0, (4, 2)), zorder=1)
        text = f"{group}: slope {slopes[group]:.2f}"
        corner = (
            (0.03, 0.96, "left", "top") if group == "prefill" else (0.98, 0.04, "right", "bottom")
        )  # no line goes there
        ax.text(*corner[:2], text, ha=corner[2], va=corner[3], transform=ax.transAxes, color=colour, fontweight="bold")
    lengths_axis(
        ax, [r["shape"]["keys"] for rows in found.values() for r in rows], "tokens (decode: keys in the cache)"
    )
    ax.set_yscale("log")
    ax.yaxis.set_major_formatter(lambda y, _: f"{y:g}")
    ax.set_ylabel("time of a call: ms")
    ax.grid(which="major")
    alt = f"{title}. Slopes: " + "; ".join(f"{group} {s:.2f}" for group, s in slopes.items())
    return finish(fig, f"{machine.key}_growth_{threads}", title, alt)


def sentence(machine):
    found = groups(machine, 1)
    if not found:
        return ""
    words = {"prefill": "2 would be the square of the length", "decode": "1 would be in step with the length"}
    said = "; ".join(f"{group} {slope(rows):.2f} ({words[group]})" for group, rows in found.items())
    return f"Slopes on one thread, over the longer half of the lengths: {said}."
