"""The grid of shapes as a heat map, a number in each cell, and its worst cells in words."""

import re
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.colors import LinearSegmentedColormap, TwoSlopeNorm

from .data import geometric_mean, percent
from .style import INK, PAPER, VERMILLION, below, figure, finish, isa_name, length_name, threads_name

CELL = re.compile(r"q(\d+)_k(\d+)_d(\d+)_g(\d+)")
WORST = 10
LOSING = matplotlib.colormaps["cividis"]
# Orange where another is faster, white where both are alike, blue where attn is faster.
RATIOS = LinearSegmentedColormap.from_list("ratios", [VERMILLION, "#f3c9a5", "#ffffff", "#a9cde6", "#0072b2"])


class Map(NamedTuple):
    name: str
    title: str
    values: dict  # {cell: number}
    ratio: bool  # of times, 1 is alike; else a share of the attainable
    unit: str


def of_machine(machine):
    """The two heat maps that a results file gives: the share of the attainable, and the ratio to plain loops."""
    isa = next((isa for isa in machine.isas() if machine.select("grid", isa=isa)), None)
    rows = {r["row"]: r for r in machine.select("grid", isa=isa, path="streaming", threads=1)} if isa else {}
    plain = {r["row"]: r for r in machine.select("grid", path="plain", threads=1)}
    shares = {cell: r["share_of_attainable"] for cell, r in rows.items() if r["share_of_attainable"]}
    loops = {cell: plain[cell]["seconds"] / r["seconds"] for cell, r in rows.items() if cell in plain}
    if shares:
        good = sum(x >= 0.8 for x in shares.values())
        title = f"{isa_name(isa)}, 1 thread: {good} of {len(shares)} shapes reach 80\u00a0% of the attainable speed"
        yield Map(f"{machine.key}_grid_share", title, shares, False, "% of the attainable speed")
    if loops:
        title = f"{isa_name(isa)}, 1 thread: {beyond(loops)} than plain C loops"
        yield Map(f"{machine.key}_grid_loops", title, loops, True, "time of plain C loops / time of attn")


def of_race(results):
    """One for each instruction set and number of threads of grid.json."""
    for isa, threads in dict.fromkeys((r["isa"], r["threads"]) for r in results):
        mine = {r["row"]: r["ratio"] for r in results if (r["isa"], r["threads"]) == (isa, threads) and r["ratio"]}
        if mine:
            title = f"{isa_name(isa)}, {threads_name(threads)}: {beyond(mine)} than the best other library"
            yield Map(f"race_grid_{isa}_{threads}", title, mine, True, "time of the best library / time of attn")


def beyond(ratios):
    """Counts beyond a twentieth, which single cells can be off by."""
    faster, slower = (sum(x > 1.05 for x in ratios.values()), sum(x < 0.95 for x in ratios.values()))
    return f"{faster} of {len(ratios)} shapes are faster, {slower} slower,"


def picture(map_):
    cells = {
        tuple(map(int, CELL.fullmatch(name).groups())): x for name, x in map_.values.items() if CELL.fullmatch(name)
    }
    if not cells:
        return None
    queries, keys, dims, groups = (sorted({cell[i] for cell in cells}) for i in range(4))
    columns, rows = [(g, k) for g in groups for k in keys], [(d, q) for d in dims for q in queries]
    table = np.array([[cells.get((q, k, d, g), np.nan) for g, k in columns] for d, q in rows])
    fig, ax = figure(map_.title, 1.6 + 0.205 * len(rows))
    norm, colours = (TwoSlopeNorm(0, -1, 2), RATIOS) if map_.ratio else (matplotlib.colors.Normalize(0, 1), LOSING)
    shown = np.log2(table) if map_.ratio else table
    ax.imshow(shown, cmap=colours, norm=norm, aspect="auto")
    worst = {name for name, _ in worst_cells(map_)}
    for y, (d, q) in enumerate(rows):
        for x, (g, k) in enumerate(columns):
            if not np.isnan(table[y, x]):
                write_cell(ax, (x, y), table[y, x], map_.ratio, colours(norm(shown[y, x])))
                if f"q{q}_k{k}_d{d}_g{g}" in worst:
                    frame(ax, x, y)
    axes(ax, columns, rows, len(keys), len(queries))
    below(ax, f"In each cell: {map_.unit}")
    return finish(fig, map_.name, map_.title, alt(map_))


def write_cell(ax, at, value, ratio, colour):
    text = (f"{value:.2f}" if value < 10 else f"{value:.0f}") if ratio else f"{100 * value:.0f}"
    dark = np.dot(colour[:3], (0.299, 0.587, 0.114)) < 0.5
    losing = ratio and value < 0.95
    ax.text(
        *at,
        text,
        ha="center",
        va="center",
        color="#ffffff" if dark else "#000000",
        fontweight="bold" if losing else "normal",
    )


def frame(ax, x, y):
    for colour, width in ((PAPER, 3.4), (INK, 1.8)):
        ax.add_patch(
            matplotlib.patches.Rectangle((x - 0.49, y - 0.48), 0.98, 0.96, fill=False, ec=colour, lw=width, zorder=3)
        )


def axes(ax, columns, rows, key_count, query_count):
    """Queries at the left in blocks of a head_dim, keys below in blocks of query heads for each KV head."""
    ax.set_xticks(range(len(columns)), [length_name(k) for _, k in columns])
    ax.set_yticks(range(len(rows)), [q for _, q in rows])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    for x in range(key_count, len(columns), key_count):
        ax.axvline(x - 0.5, color=PAPER, lw=4)
    for y in range(query_count, len(rows), query_count):
        ax.axhline(y - 0.5, color=PAPER, lw=4)
    for x in range(0, len(columns), key_count):
        heads = columns[x][0]
        text = "as many KV heads as query heads" if heads == 1 else f"{heads} query heads for each KV head"
        text = text.replace(" as query", "\nas query").replace(" for each", "\nfor each")
        ax.text(x + key_count / 2 - 0.5, -0.7, text, ha="center", va="bottom")
    for y in range(0, len(rows), query_count):
        ax.text(
            -0.135,
            y + query_count / 2 - 0.5,
            f"head_dim {rows[y][0]}",
            rotation=90,
            ha="center",
            va="center",
            transform=ax.get_yaxis_transform(),
        )
    ax.set_xlabel("keys")
    ax.text(-0.02, -0.7, "queries", ha="right", va="bottom", transform=ax.get_yaxis_transform())


def worst_cells(map_, count=WORST):
    """[(cell, value)]: those with the least, the least first; of ratios only those below 1."""
    low = sorted(map_.values.items(), key=lambda item: item[1])[:count]
    return [item for item in low if not map_.ratio or item[1] < 1]


def in_words(cell):
    queries, keys, dim, group = map(int, CELL.fullmatch(cell).groups())
    heads = "" if group == 1 else f", {group} query heads for each KV head"
    return f"{queries} {'query' if queries == 1 else 'queries'} × {keys} keys, head_dim {dim}{heads}"


def shown_value(map_, value):
    return f"{value:.2f}" if map_.ratio else percent(value)


def sentence(map_):
    worst = min(map_.values.items(), key=lambda item: item[1])
    mean = shown_value(map_, geometric_mean(list(map_.values.values())))
    return f"Geometric mean {mean} of {len(map_.values)} shapes; the worst is {in_words(worst[0])}: {shown_value(map_, worst[1])}."


def alt(map_):
    listed = "; ".join(f"{in_words(cell)}: {shown_value(map_, value)}" for cell, value in worst_cells(map_))
    return f"{map_.title}. {sentence(map_)} Worst cells: {listed or 'none below 1'}."
