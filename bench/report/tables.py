"""The tables of the page, in HTML."""

import pathlib

from . import heatmap
from .data import duration, percent
from .style import escape, isa_name, threads_name

HOW = "What was measured on: all shares on this page are shares of the rates in this table, which were measured, not looked up."
LEVELS = ("L1", "L2", "L3", "memory")


def html(lines):
    """The first line is the head, the first cell of each other one its name."""
    head, *body = [list(map(escape, line)) for line in lines]
    rows = "".join(
        f'<tr><th scope="row">{name}</th>{"".join(f"<td>{x}</td>" for x in cells)}</tr>' for name, *cells in body
    )
    return f'<div class="wide"><table><thead><tr>{"".join(f"<th>{x}</th>" for x in head)}</tr></thead><tbody>{rows}</tbody></table></div>'


# ---- The machine ----


def of_machines(machines):
    isas = list(dict.fromkeys(isa for machine in machines for isa in machine.isas()))
    names = dict.fromkeys(name for machine in machines for name, _ in about(machine, isas))
    columns = [dict(about(machine, isas)) for machine in machines]
    lines = [["", *(machine.name for machine in machines)]]
    return html(lines + [[name, *(column.get(name) or "not known" for column in columns)] for name in names])


def about(machine, isas):
    file, m, build, load = machine.file, machine.file["machine"], machine.file["build"], machine.file["load"]
    yield "CPU", m["cpu"]
    virtual = f", virtual ({m['virtual']})" if m["virtual"] else ""
    yield "cores, threads", f"{m['cores'] or 'not known'}, {m['threads']}{virtual}"
    yield "instruction sets", ", ".join(map(isa_name, machine.isas()))
    yield "caches", ", ".join(f"L{c['level']} {size(c['bytes'])}{shared(c)}" for c in m["caches"])
    yield "memory", m["memory_bytes"] and size(m["memory_bytes"])
    for what, key, factor, unit in (
        ("peak", "peak_gflops", 1, "GFLOP/s"),
        ("exponentials", "exps_per_second", 1e-9, "billion/s"),
    ):
        for isa in isas:
            yield f"{what}, {isa_name(isa)}", rate(machine, key, isa, factor, unit) if isa in machine.isas() else "–"
    for level in LEVELS:
        yield f"reading {level}", rate(machine, "read_bytes_per_second", level, 1e-9, "GB/s")
    yield "BLAS", " ".join(filter(None, (build["blas"], build["blas_core"] and f"({build['blas_core']})"))) or "none"
    yield "compiler", f"{build['compiler']}, {build['build_type']}"
    yield "system", ", ".join(filter(None, (m["os"], m["kernel"])))
    commit = file["attn"]["commit"]
    changed = ", with changes" if file["attn"]["modified"] else ""
    yield "attn", f"{file['attn']['version']}, {f'commit {commit[:7]}' if commit else 'commit not known'}{changed}"
    yield "date", file["date"].replace("T", " ").replace("Z", " UTC")
    yield (
        "load before, after",
        ", ".join(f"{x[0]:.2f}" if x else "not known" for x in (load["before"], load["after"])) + disturbed(load),
    )
    run = file["run"]
    only = f", only {run['filter']}" if run["filter"] else ""
    yield "run", f"{run['rounds']} rounds in {run['seconds']:.0f} s{only}{', --long' if run['long'] else ''}"
    yield "file", pathlib.Path(machine.path).name


def warnings(machine):
    """What makes the figures of a file doubtful, in sentences."""
    load = machine.file["load"]
    if (load["busy_before"] or 0) > 0.1 or (load["stolen"] or 0) > 0.02:
        yield "Others used the machine while this was measured; measure again when it is idle."
    above = [row for row in machine.rows if row["kind"] != "peak" and (row["share_of_attainable"] or 0) > 1.15]
    if above:
        yield (
            f"{len(above)} of {len(machine.rows)} rows are more than 15\u00a0% faster than attainable ({above[0]['name']}, "
            "for one): the machine got slower or faster meanwhile, or its caches serve what is counted as memory."
        )
    if machine.file["build"]["build_type"] != "Release":
        yield f"This was a {machine.file['build']['build_type']} build: no figures to compare with others."


def shared(cache):
    return "" if cache["shared_by"] == 1 else f" (for {cache['shared_by']} threads)"


def disturbed(load):
    words = [
        f"{percent(load[name])} {what}"
        for name, what in (("busy_before", "used by others before"), ("stolen", "taken by the host"))
        if load[name]
    ]
    return f"; {', '.join(words)}" if words else ""


def rate(machine, what, key, factor, unit):
    """On one thread and on all."""
    rates = machine.file["rates"][what].get(key)
    if not rates:
        return "not measured"
    counts = sorted(map(int, rates))
    numbers = {n: number(rates[str(n)] * factor) for n in counts[:1] + counts[-1:]}
    first, *last = numbers.items()
    return f"{first[1]} {unit}" + "".join(f", {x} with {threads_name(n)}" for n, x in last)


def number(x):
    """Three digits, without powers of ten."""
    return f"{x:.0f}" if x >= 100 else f"{x:.3g}"


def size(count):
    unit, name = next(
        (u for u in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")) if count >= u[0]), (1, "bytes")
    )
    return f"{count / unit:.3g} {name}"


# ---- Rows ----


def of_rows(machines):
    parts = []
    for machine in machines:
        kinds = dict.fromkeys(row["kind"] for row in machine.rows)
        for kind in kinds:
            rows = [row for row in machine.rows if row["kind"] == kind]
            head = ["row", "time", "± 95 %", "GFLOP/s", "GB/s", "of the peak", "of the attainable", "error"]
            body = html([head, *map(cells, rows)])
            parts.append(
                f"<details><summary>{escape(machine.name)}: {kind}, {len(rows)} rows</summary>{body}</details>"
            )
    return "".join(parts)


def cells(row):
    half = (
        row["interval"]
        and max(row["interval"][1] - row["seconds"], row["seconds"] - row["interval"][0]) / row["seconds"]
    )
    return [
        row["name"],
        duration(row["seconds"]),
        f"{100 * half:.1f} %" if half is not None else "–",
        f"{row['gflops']:.3g}" if row["gflops"] else "–",
        f"{row['bytes_per_second'] * 1e-9:.3g}" if row["bytes_per_second"] else "–",
        percent(row["share_of_peak"]) if row["share_of_peak"] else "–",
        percent(row["share_of_attainable"]) if row["share_of_attainable"] else "–",
        f"{row['error']:.1e}" if row["error"] else "–",
    ]


def error_sentence(machine):
    rows = [row for row in machine.rows if row["error"] and row["kind"] == "attention"]
    if not rows:
        return "No error was measured."
    worst = max(rows, key=lambda row: row["error"])
    return f"{len(rows)} rows of attention were compared with double precision; the largest error is {worst['error']:.1e} ({worst['name']})."


def worst(owner, map_):
    """The worst cells of a heat map, as a list."""
    cells_ = heatmap.worst_cells(map_)
    if not cells_:
        return f"<p>{escape(owner)}: none of {len(map_.values)} shapes is slower ({escape(map_.unit)}).</p>"
    items = "".join(
        f"<li>{heatmap.in_words(cell)}: <b>{heatmap.shown_value(map_, value)}</b></li>" for cell, value in cells_
    )
    return (
        f"<details><summary>{escape(owner)}: the worst shapes, {escape(map_.unit)}</summary><ol>{items}</ol></details>"
    )


def of_predictions(found):
    """predict.json: a line for each CPU, instruction set and inner loop."""
    lines = [
        [
            "CPU",
            "instruction set",
            "inner loop",
            "cycles a step",
            "of the peak",
            "measured here",
            "what limits it",
            "spills",
        ]
    ]
    for loop in found["loops"]:
        model = "" if loop["own_model"] else f" (LLVM takes it for {loop['model']})"
        here = loop["measured_share"]
        lines.append([
            loop["cpu"] + model, isa_name(loop["isa"]), loop["loop"], f"{loop['cycles']:.1f}", percent(loop["share_of_peak"]),
            "–" if here is None else percent(here), loop["limit"] or "–", "none" if loop["spills"] == 0 else str(loop["spills"]),
        ])  # fmt: skip
    return html(lines)


def prediction_sentence(found):
    loops = [loop for loop in found["loops"] if loop["share_of_peak"] is not None]
    if not loops:
        return "There is no prediction in the file."
    least = min(loops, key=lambda loop: loop["share_of_peak"])
    good = sum(loop["share_of_peak"] >= 0.9 for loop in loops)
    return (
        f"{good} of {len(loops)} loops reach 90\u00a0% of the peak by llvm-mca {found['llvm']}; the least is {least['loop']} with "
        f"{isa_name(least['isa'])} on {least['cpu']}: {percent(least['share_of_peak'])}, limited by {least['limit']}."
    )
