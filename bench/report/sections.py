"""The sections of the page: how to read each, what is to be seen, its pictures, or which command would give them."""

from typing import NamedTuple

from . import growth, head_dims, heatmap, isas, layers, lengths, machines, options, rivals, roofline, tables, threads

BENCH = "sh cmake/dev.sh bench"


class Section(NamedTuple):
    name: str  # its address in the page
    heading: str
    how: str  # how to read it
    said: list  # sentences about the data: (machine, sentence)
    pictures: list
    html: str  # beside the pictures
    missing: list  # (what, the command that measures it, the one that measures it alone)


# module, heading, how to read its pictures, the rows that they need (as --filter takes them; rates are always measured)
OF_ONE_MACHINE = (
    (
        isas, "Nine rows, by instruction set",
        "Each bar is one shape of attention; the right edge is the most that the arithmetic units can do, the "
        "tick what this shape can reach.",
        "^attention",
    ),
    (
        roofline, "Roofline and kernels",
        "A point near a line is limited by what the line stands for: sloping lines are the speed of reading "
        "from a cache or memory, flat ones that of arithmetic.",
        "^kernel|^attention",
    ),
    (
        lengths, "Speed over the length of a sequence",
        "The solid line is measured, the dashed one what this CPU can reach; the top is its peak. Decode is "
        "limited by reading, so it is shown in bytes.",
        "prefill|decode",
    ),
    (
        head_dims, "Speed over the size of a head",
        "The solid line is measured, the dashed one what this CPU can reach; the top is its peak.",
        "head_dim",
    ),
    (
        growth, "Cost as sequences grow",
        "Both axes are logarithmic, so a straight line is a power of the length, and its slope the exponent.",
        "prefill|decode",
    ),
    (
        threads, "Threads",
        "How many times as fast a call becomes; the straight line is one time for each thread. Where the CPU "
        "itself gets less, no program gets more.",
        "^attention",
    ),
    (
        options, "What options cost",
        "A point right of 1 is an option that takes time, one left of it an option that saves time, as a window does.",
        "^options",
    ),
    (
        layers, "Layers",
        "Attention with its projections, by the library's own tiles and by the BLAS; the right edge is the peak.",
        "^layer",
    ),
)  # fmt: skip


def all_sections(found, grid=None, peers=None, predict=None):
    """found: machines; the others: contents of their files, or None."""
    yield Section(
        "machines",
        "The machines" if len(found) > 1 else "This machine",
        tables.HOW,
        [(machine.name, text) for machine in found for text in tables.warnings(machine)],
        [],
        tables.of_machines(found),
        [],
    )
    if len(found) > 1:
        how = "A point is the share that a shape of attention reaches of what that CPU can do: so unequal machines compare. In the table: time of a call, speed, that share."
        yield Section(
            "side",
            "Machines side by side",
            how,
            [(None, machines.sentence(found))],
            list(machines.pictures(found)),
            tables.html(machines.table(found)),
            [],
        )
    for part, heading, how, rows in OF_ONE_MACHINE[:3]:
        yield of_module(found, part, heading, how, rows)
    yield of_grid(found, grid)
    for part, heading, how, rows in OF_ONE_MACHINE[3:]:
        yield of_module(found, part, heading, how, rows)
    yield of_rivals(peers)
    if predict:
        how = "What llvm-mca, a model of CPUs, expects of the inner loops: for CPUs that are not here."
        said = [(None, tables.prediction_sentence(predict))]
        yield Section("predict", "Predicted for other CPUs", how, said, [], tables.of_predictions(predict), [])
    how = "Every row that was measured, with the error of its result against double precision, relative to the largest value."
    yield Section(
        "rows", "All rows", how, [(m.name, tables.error_sentence(m)) for m in found], [], tables.of_rows(found), []
    )


def of_module(found, part, heading, how, rows):
    pictures, said, missing = [], [], []
    for machine in found:
        mine = list(part.pictures(machine))
        pictures += mine
        if mine and part.sentence(machine):
            said.append((machine.name, part.sentence(machine)))
        if not mine:
            missing.append((machine.name, BENCH, f"{BENCH} --filter '{rows}'"))
    return Section(part.__name__.rsplit(".", 1)[-1], heading, how, said, pictures, "", missing)


def of_race(race):
    """Which machine and commit: a race has a file of its own, and may be of others."""
    versions = ", ".join(f"{name} {version}" for name, version in race["versions"].items() if name not in ("isa", "threads"))
    return f"{race['machine']['cpu']}, commit {(race['attn']['commit'] or 'unknown')[:7]}, {race['date'][:10]} ({versions})"


def of_grid(found, grid):
    """The maps of the machines, then those of the race."""
    how = (
        "A cell is one shape of a call. In the first map dark is slow; in the others orange is where another is faster. "
        "Framed: the worst ten."
    )
    pictures, said, missing, lists = [], [], [], []
    for owner, maps in [
        *((m.name, list(heatmap.of_machine(m))) for m in found),
        ("the race", list(heatmap.of_race(grid["results"] if grid else []))),
    ]:
        for map_ in maps:
            picture = heatmap.picture(map_)
            if picture:
                pictures.append(picture)
                said.append((of_race(grid) if owner == "the race" else owner, f"{map_.unit[0].upper()}{map_.unit[1:]}: {heatmap.sentence(map_)}"))
                lists.append(tables.worst(owner, map_))
        if not maps and owner != "the race":
            missing.append((owner, BENCH, f"{BENCH} --filter '^grid'"))
    if not grid:
        missing.append(("the comparison with other libraries", "sh cmake/dev.sh peers --grid", None))
    return Section("grid", "A grid of shapes", how, said, pictures, "".join(lists), missing)


def of_rivals(peers):
    how = "A point right of 1 is a row where attn is faster than the best other library; the bar is its interval of 95\u00a0%."
    pictures = list(rivals.pictures(peers["results"] if peers else []))
    if not pictures:
        return Section(
            "rivals",
            "Other libraries",
            how,
            [],
            [],
            "",
            [("the race with other libraries", "sh cmake/dev.sh peers", None)],
        )
    return Section("rivals", "Other libraries", how, [(of_race(peers), rivals.sentence(peers["results"]))], pictures, "", [])
