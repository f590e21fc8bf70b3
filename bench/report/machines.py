"""Several machines side by side, and the picture and table of them for the front page."""

import numpy as np

from .data import attainable_gflops, duration, geometric_mean, percent, short, sizes
from .style import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    above,
    figure,
    finish,
    isa_name,
    length_name,
    peak_at_right,
)

COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILLION)
MARKERS = "oDs^vP"


def pictures(machines):
    machines = [machine for machine in machines if any(r["share_of_attainable"] for r in machine.nine())]
    if len(machines) > 1:
        yield picture(machines)


def shares(machine):
    return {r["row"]: r["share_of_attainable"] for r in machine.nine() if r["share_of_attainable"]}


def picture(machines):
    """The nine rows' shares of what each machine can do: what compares a library on unequal machines."""
    rows = list(dict.fromkeys(row for machine in machines for row in shares(machine)))
    means = [geometric_mean(list(shares(machine).values())) for machine in machines]
    title = f"Nine rows, 1 thread: on average {percent(min(means))} to {percent(max(means))} of what each CPU can do"
    fig, ax = figure(title, 1.5 + 0.3 * len(rows) + 0.2 * len(machines))
    for i, machine in enumerate(machines):
        values, off = shares(machine), 0.36 * (i - (len(machines) - 1) / 2) / len(machines)
        ax.plot(
            [values.get(row, np.nan) for row in rows], np.arange(len(rows)) + off, MARKERS[i % 6], color=COLOURS[i % 6], ms=8,
            label=f"{machine.name}, {isa_name(machine.best_isa())}", clip_on=False,
        )  # fmt: skip
    for y in range(len(rows)):
        ax.axhline(y, color=MUTED, lw=0.4, zorder=0)
    ax.set_yticks(range(len(rows)), rows)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    peak_at_right(ax, 1)
    ax.xaxis.set_major_formatter(lambda x, _: f"{100 * x:.0f}")
    ax.set_xlabel("% of the attainable speed")
    ax.legend(loc="upper left", bbox_to_anchor=(-0.2, -0.14), frameon=False, handletextpad=0.1)
    alt = f"{title}. " + "; ".join(
        f"{m.name}: " + ", ".join(f"{row} {percent(x)}" for row, x in shares(m).items()) for m in machines
    )
    return finish(fig, "machines", title, alt)


def sentence(machines):
    said = []
    for machine in machines:
        values = shares(machine)
        if values:
            worst = min(values, key=values.get)
            said.append(
                f"{machine.name} ({isa_name(machine.best_isa())}): geometric mean "
                f"{percent(geometric_mean(list(values.values())))}, the least {worst}, {percent(values[worst])}."
            )
    return " ".join(said)


def table(machines):
    """Lines of cells: the nine rows' times and speeds on one thread; the first line is the head."""
    yield ["row", *(f"{machine.name}, {isa_name(machine.best_isa())}" for machine in machines)]
    by_row = [{r["row"]: r for r in machine.nine()} for machine in machines]
    for row in dict.fromkeys(row for rows in by_row for row in rows):
        found = next(rows[row] for rows in by_row if row in rows)
        yield [f"{row} ({sizes(found)})" if sizes(found) else row, *(cell(rows.get(row)) for rows in by_row)]


def cell(row):
    if not row:
        return "not measured"
    speed = f", {short(row['gflops'])} GFLOP/s" if row["gflops"] else ""
    share = f", {percent(row['share_of_attainable'])}" if row["share_of_attainable"] else ""
    return f"{duration(row['seconds'])}{speed}{share}"


# ---- The front page ----


def face(machines):
    """Wide and small: the nine rows up to the peak on one thread, with plain loops; a strip for each machine."""
    machines = [machine for machine in machines if machine.peak(machine.best_isa()) and machine.nine()]
    if not machines:
        return None
    every = [x for machine in machines for x in shares(machine).values()]
    title = (
        f"Attention on one thread: {percent(geometric_mean(every))} of what the CPU can do (geometric mean)"
        if every
        else "Attention on one thread"
    )
    fig, axes = figure(title, 0.5 + 2.2 * len(machines), len(machines), width=7.2)
    for ax, machine in zip(np.atleast_1d(axes), machines):
        strip(ax, machine)
    handles, names = np.atleast_1d(axes)[0].get_legend_handles_labels()
    below = np.atleast_1d(axes)[-1]
    below.legend(handles[::-1], names[::-1], loc="upper center", bbox_to_anchor=(0.5, -0.24), ncols=3, frameon=False)
    alt = f"{title}. {sentence(machines)}"
    return finish(fig, "face", title, alt)


def strip(ax, machine):
    rows, peak = [r for r in machine.nine() if r["gflops"]], machine.peak(machine.best_isa())
    loops = {r["row"]: r for r in machine.select("plain", threads=1)}
    for x, r in enumerate(rows):
        ax.bar(x, r["gflops"], width=0.66, color=BLUE, label="attn" if x == 0 else None)
        limit, plain = attainable_gflops(r), loops.get(r["row"])
        if limit:
            ax.plot(
                [x - 0.42, x + 0.42],
                [limit] * 2,
                color=INK,
                lw=1.5,
                label=None if x else "what this CPU can do at most",
            )
        if plain and plain["gflops"]:
            ax.plot(
                [x - 0.33, x + 0.33],
                [plain["gflops"]] * 2,
                color=ORANGE,
                lw=3,
                solid_capstyle="butt",
                label=None if x else "plain C loops",
            )
    ax.set_xticks(range(len(rows)), [f"{r['row']}\n{squeezed(r)}" for r in rows], fontsize=8.5)
    ax.set_xlim(-0.6, len(rows) - 0.4)
    ax.set_ylim(0, max(peak, *(r["gflops"] for r in rows)))
    ax.axhline(peak, color=INK, lw=2, clip_on=False)
    ax.set_ylabel("GFLOP/s")
    ax.tick_params(axis="x", length=0)
    above(ax, f"{machine.name}, {isa_name(machine.best_isa())}; the top is its peak, {short(peak)} GFLOP/s", "left")


def squeezed(row):
    return f"{length_name(row['shape']['queries'])}×{length_name(row['shape']['keys'])}" if row["shape"] else ""


def readme_table(machines):
    """Markdown: a line for each machine."""
    head = "nine rows of attention: share of the attainable, geometric mean (least)"
    yield f"| CPU, instruction set, commit | FMA peak of one core | {head} | BERT, 4 × 512 tokens: time, speed, share | one query over 4096 keys |"
    yield "|---|---|---|---|---|"
    for machine in machines:
        values, rows = shares(machine), {r["row"]: r for r in machine.nine()}
        peak, commit = machine.peak(machine.best_isa()), machine.file["attn"]["commit"]
        worst = min(values, key=values.get) if values else None
        yield " | ".join((
            f"| {machine.name}, {isa_name(machine.best_isa())}, {commit[:7] if commit else 'unknown'}",
            f"{short(peak)} GFLOP/s" if peak else "not measured",
            f"**{percent(geometric_mean(list(values.values())))}** ({worst} {percent(values[worst])})" if values else "not measured",
            cell(rows.get("bert512")),
            f"{cell(rows.get('decode4k'))} |",
        ))  # fmt: skip
