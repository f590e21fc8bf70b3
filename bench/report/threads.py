"""Speed-up by threads, beside that of the CPU's own rates."""

from .labels import label_ends
from .style import BLUE, GREEN, INK, MUTED, ORANGE, PURPLE, SKY, VERMILLION, above, figure, finish, isa_name

COLOURS = (BLUE, ORANGE, GREEN, VERMILLION, PURPLE, SKY)
SHOWN = ("bert128", "bert512", "prefill4k", "decode4k", "decode_b8", "seed64")


def speedups(machine):
    """{row: [(threads, speed-up)]} of the nine rows."""
    isa, found = machine.best_isa(), {}
    single = {r["row"]: r["seconds"] for r in machine.nine(isa)}
    for threads in machine.thread_counts():
        for r in machine.nine(isa, threads):
            if r["row"] in single:
                found.setdefault(r["row"], []).append((threads, single[r["row"]] / r["seconds"]))
    return {row: points for row, points in found.items() if len(points) > 1}


def rates(machine):
    """The same of the CPU: its peak, and what it reads from memory."""
    named = (
        ("peak itself", "peak_gflops", machine.best_isa()),
        ("memory itself", "read_bytes_per_second", "memory"),
    )
    for name, what, key in named:
        one = machine.rate(what, key)
        counts = [n for n in machine.thread_counts() if machine.rate(what, key, n)]
        if one and len(counts) > 1:
            yield name, [(n, machine.rate(what, key, n) / one) for n in counts]


def pictures(machine):
    found = speedups(machine)
    if not found:
        return
    most = max(points[-1][0] for points in found.values())
    best = max(found, key=lambda row: found[row][-1][1])
    title = f"{isa_name(machine.best_isa())}: {most} threads make {best} {found[best][-1][1]:.1f} times as fast"
    fig, ax = figure(title, 3.9)
    ends = []
    for name, points in rates(machine):
        ax.plot(*zip(*points), color=MUTED, lw=1.5, ls=(0, (4, 2)))
        ends.append((*points[-1], name, MUTED))
    for colour, row in zip(COLOURS, [row for row in SHOWN if row in found] or list(found)[: len(COLOURS)]):
        ax.plot(*zip(*found[row]), "o-", color=colour, lw=2, ms=4, clip_on=False)
        ends.append((*found[row][-1], row, colour))
    ax.set_xscale("log", base=2)
    ax.set_xticks(sorted({n for points in found.values() for n, _ in points}))
    ax.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
    ax.minorticks_off()
    ax.set_ylim(0, max(most, *(y for points in found.values() for _, y in points)))
    ax.axhline(most, color=INK, lw=2, clip_on=False)
    above(ax, f"as many times as threads: {most}", "left", most)
    ax.plot(ax.get_xticks(), ax.get_xticks(), color=INK, lw=0.8)
    ax.grid(axis="y")
    ax.set_xlabel("threads")
    ax.set_ylabel("times as fast as 1 thread")
    label_ends(ax, ends)
    alt = f"{title}. " + "; ".join(f"{row}: {points[-1][1]:.2f}" for row, points in found.items())
    yield finish(fig, f"{machine.key}_threads", title, alt)


def sentence(machine):
    found = speedups(machine)
    if not found:
        return ""
    most = max(points[-1][0] for points in found.values())
    worst = min(found, key=lambda row: found[row][-1][1])
    good = sum(points[-1][1] >= 0.8 * most for points in found.values())
    return (
        f"{good} of {len(found)} rows get at least {0.8 * most:.3g} times as fast with {most} threads; the least is "
        f"{worst}, {found[worst][-1][1]:.2f} times. Dashed: how much faster the CPU itself gets."
    )
