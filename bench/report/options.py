"""What each option costs: the time with it over the time without."""

from .style import BLUE, INK, ISA_COLOURS, ISA_MARKERS, MUTED, below, figure, finish, isa_name
from .isas import key


def ratios(machine):
    """{(row, option): {isa: ratio}}, the dearest on the best instruction set first."""
    found = {}
    for isa in machine.isas():
        for r in machine.select("options", isa=isa, threads=1):
            if r["plain_seconds"]:
                found.setdefault((r["row"], r["option"]), {})[isa] = r["seconds"] / r["plain_seconds"]
    return dict(sorted(found.items(), key=lambda item: -next(iter(item[1].values()))))


def name(which):
    return which[1].replace("_", " ")


def pictures(machine):
    found = ratios(machine)
    if not found:
        return
    isas = [isa for isa in machine.isas() if any(isa in by_isa for by_isa in found.values())]
    dear = next(iter(found))
    title = f"{name(dear)} is the dearest option: {found[dear].get(isas[0], max(found[dear].values())):.2f} times the time without"
    fig, ax = figure(title, 1.5 + (0.3 if len({row for row, _ in found}) == 1 else 0.37) * len(found))
    top = max(1.3, 1.05 * max(max(by_isa.values()) for by_isa in found.values()))
    for y, by_isa in enumerate(found.values()):
        for i, (isa, value) in enumerate(by_isa.items()):
            at = y + 0.3 * (i - (len(by_isa) - 1) / 2)
            ax.plot([1, value], [at, at], color=MUTED, lw=1.2, zorder=1)
            ax.plot(value, at, ISA_MARKERS.get(isa, "o"), color=ISA_COLOURS.get(isa, BLUE), ms=6, clip_on=False)
        ax.text(
            1.01, y, " / ".join(f"{x:.2f}" for x in by_isa.values()), transform=ax.get_yaxis_transform(), va="center"
        )
    ax.axvline(1, color=INK, lw=1.5)
    ax.set_xlim(0, top)
    ax.set_ylim(len(found) - 0.5, -0.5)
    rows = [row for row, _ in found]
    usual = max(rows, key=rows.count)
    ax.set_yticks(range(len(found)), [name(w) if w[0] == usual else f"{name(w)}\n({w[0]})" for w in found])
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")
    below(ax, f"time with the option / without, on {usual}")
    key(ax, isas)
    alt = f"{title}. " + "; ".join(
        f"{name(w)} on {w[0]}: " + ", ".join(f"{isa_name(isa)} {x:.2f}" for isa, x in by.items())
        for w, by in found.items()
    )
    yield finish(fig, f"{machine.key}_options", title, alt)


def sentence(machine):
    found = ratios(machine)
    if not found:
        return ""
    best = {which: next(iter(by_isa.values())) for which, by_isa in found.items()}
    cheap = sum(0.9 < x <= 1.1 for x in best.values())
    less = sum(x <= 0.9 for x in best.values())
    return (
        f"{cheap} of {len(best)} options change the time by a tenth at most, {less} save more than that (they leave out work), "
        f"{len(best) - cheap - less} cost more."
    )
