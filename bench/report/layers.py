"""Layers with their projections: by the library's own tiles and by the BLAS."""

from .data import geometric_mean, percent, short
from .style import BLUE, INK, ORANGE, above, below, figure, finish, isa_name, peak_at_right, threads_name

PATHS = {"tiles": BLUE, "blas": ORANGE}


def select(machine, threads):
    """The best instruction set's: {(row, what): {path: row}}."""
    found = {}
    for r in machine.select("layer", isa=machine.best_isa(), threads=threads):
        if r["path"] in PATHS and r["gflops"]:
            found.setdefault((r["row"], r["option"] or ""), {})[r["path"]] = r
    return found


def pictures(machine):
    counts = sorted({r["threads"] for r in machine.select("layer")})
    for threads in dict.fromkeys(counts[:1] + counts[-1:]):
        found, peak = select(machine, threads), machine.peak(machine.best_isa(), threads)
        if found and peak:
            yield picture(machine, threads, found, peak)


def picture(machine, threads, found, peak):
    shares = [r["gflops"] / peak for by_path in found.values() for path, r in by_path.items() if path == "tiles"]
    what = f"by tiles {percent(min(shares))} to {percent(max(shares))} of the peak" if shares else "by the BLAS"
    title = f"{isa_name(machine.best_isa())}, {threads_name(threads)}: layers {what}"
    fig, ax = figure(title, 1.5 + 0.52 * len(found))
    for y, by_path in enumerate(found.values()):
        for (path, colour), at in zip(PATHS.items(), (-0.2, 0.2)):
            r = by_path.get(path)
            if not r:
                continue
            ax.barh(y + at, r["gflops"], height=0.36, color=colour)
            inside = r["gflops"] > 0.4 * peak
            ink = INK if not inside else "#ffffff" if path == "tiles" else "#000000"
            text = f"{path if path == 'tiles' else 'BLAS'} {short(r['gflops'])}"
            ax.text(
                r["gflops"] + (-0.015 if inside else 0.015) * peak, y + at, text, ha="right" if inside else "left",
                va="center", color=ink,
            )  # fmt: skip
    ax.set_yticks(range(len(found)), [f"{name(row)}\n{what.replace('_', ' ')}" for row, what in found])
    ax.set_ylim(len(found) - 0.5, -0.5)
    peak_at_right(ax, peak)
    above(ax, f"peak: {short(peak)} GFLOP/s")
    below(ax, "GFLOP/s")
    alt = f"{title}. " + "; ".join(
        f"{row} {what} {path}: {r['gflops']:.0f} GFLOP/s" for (row, what), by in found.items() for path, r in by.items()
    )
    return finish(fig, f"{machine.key}_layers_{threads}", title, alt)


def name(row):
    """B4_T512_E768_H12 as 4 × 512, 768 wide."""
    parts = {part[:1]: part[1:] for part in row.split("_")}
    return f"{parts['B']} × {parts['T']}, {parts['E']} wide" if {"B", "T", "E"} <= parts.keys() else row


def sentence(machine):
    found = select(machine, 1)
    both = [by["blas"]["seconds"] / by["tiles"]["seconds"] for by in found.values() if len(by) == 2]
    if not both:
        return ""
    faster = sum(x > 1 for x in both)
    return (
        f"On one thread tiles are faster than the BLAS in {faster} of {len(both)} layers; the BLAS takes "
        f"{geometric_mean(both):.2f} times as long (geometric mean)."
    )
