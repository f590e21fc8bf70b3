"""Instruction set against instruction set, on the nine rows."""

from .data import attainable_gflops, geometric_mean, percent, short, sizes
from .style import INK, ISA_COLOURS, MUTED, above, below, figure, finish, isa_name, peak_at_right

LOW = 0.8  # of the attainable: a row below it is marked


def pictures(machine):
    isas = [isa for isa in machine.isas() if machine.nine(isa)]
    if isas and machine.peak(isas[0]):
        yield picture(machine, isas)


def sentence(machine):
    rows = [r for r in machine.nine() if r["share_of_attainable"]]
    if not rows:
        return ""
    low = min(rows, key=lambda r: r["share_of_attainable"])
    good = sum(r["share_of_attainable"] >= LOW for r in rows)
    said = (
        f"With {isa_name(machine.best_isa())}, {good} of {len(rows)} rows reach 80\u00a0% of the attainable speed; the worst is "
        f"{low['row']} ({sizes(low)}), at {percent(low['share_of_attainable'])}."
    )
    for isa in machine.isas():
        ratio = against(machine, isa)
        if ratio:
            said += f" {isa_name(isa)} takes {ratio:.3g} times as long (geometric mean of the rows that both have)."
    return said


def against(machine, isa):
    """The time with this instruction set over the time with the best one."""
    best = {r["row"]: r["seconds"] for r in machine.nine()}
    ratios = [r["seconds"] / best[r["row"]] for r in machine.nine(isa) if r["row"] in best]
    return geometric_mean(ratios) if isa != machine.best_isa() else None


def picture(machine, isas):
    rows = list(dict.fromkeys(r["row"] for isa in isas for r in machine.nine(isa)))
    peak = max(machine.peak(isa) or 0 for isa in isas)
    by_isa = {isa: {r["row"]: r for r in machine.nine(isa)} for isa in isas}
    shares = [r["gflops"] / peak for r in by_isa[isas[0]].values() if r["gflops"]]
    title = f"1 thread: {isa_name(isas[0])} gets up to {percent(max(shares))} of the peak"
    fig, ax = figure(title, 1.5 + len(rows) * (0.12 + 0.19 * len(isas)))
    height, names = 0.82 / len(isas), {}
    for i, isa in enumerate(isas):
        for y, name in enumerate(rows):
            r = by_isa[isa].get(name)
            if r and r["gflops"]:
                names[name] = f"{name}\n{sizes(r)}" if len(isas) > 1 else name
                bar(ax, r, y + (i - (len(isas) - 1) / 2) * height, height, ISA_COLOURS.get(isa, MUTED), peak)
    ax.set_yticks(range(len(rows)), [names.get(name, name) for name in rows])
    ax.set_ylim(len(rows) - 0.5, -0.5)
    peak_at_right(ax, peak, max(shares) * peak)
    above(ax, f"peak: {short(peak)}")
    below(ax, f"GFLOP/s (| attainable here; ▼ under {percent(LOW)} of that)")
    key(ax, isas)
    alt = f"{title}. " + "; ".join(
        f"{r['row']} {isa_name(isa)} {r['gflops']:.0f} GFLOP/s"
        for isa in isas
        for r in by_isa[isa].values()
        if r["gflops"]
    )
    return finish(fig, f"{machine.key}_isas", title, alt)


def bar(ax, row, y, height, colour, peak):
    ax.barh(y, row["gflops"], height=height * 0.86, color=colour)
    limit = attainable_gflops(row)
    if limit:
        ax.plot([limit] * 2, [y - height * 0.43, y + height * 0.43], color=INK, lw=2, solid_capstyle="butt")
    low = row["share_of_attainable"] and row["share_of_attainable"] < LOW
    text = short(row["gflops"])
    text = f"{text} ▼" if low else text
    if row["gflops"] > 0.3 * peak:
        ax.text(
            row["gflops"] - 0.012 * peak,
            y,
            text,
            ha="right",
            va="center",
            color="#ffffff" if colour in ("#0072b2", "#009e73") else "#000000",
        )
    else:
        room = not limit or limit - row["gflops"] > 0.17 * peak
        ax.text((row["gflops"] if room else limit) + 0.015 * peak, y, text, ha="left", va="center", color=INK)


def key(ax, isas):
    """The colours' names, in a line above the picture."""
    x = 0.0
    for isa in isas:
        text = ax.annotate(
            f"■ {isa_name(isa)}", (x, 1), (0, 4), xycoords="axes fraction", textcoords="offset points",
            color=ISA_COLOURS.get(isa, MUTED), fontweight="bold",
        )  # fmt: skip
        ax.figure.canvas.draw()
        box = text.get_window_extent()
        x = ax.transAxes.inverted().transform((box.x1, box.y0))[0] + 0.04
