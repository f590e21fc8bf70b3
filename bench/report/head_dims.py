"""Speed over the size of a head."""

from .data import percent
from .lengths import ends, over


def select(machine, threads):
    isa = machine.best_isa()
    rows = machine.select("attention", r"^head_dim/", isa=isa, path="streaming", threads=threads)
    return sorted((r for r in rows if r["shape"]), key=lambda r: r["shape"]["head_dim"])


def pictures(machine):
    for threads in ends(machine):
        rows = select(machine, threads)
        if len(rows) > 1 and machine.peak(rows[0]["isa"], threads):
            yield over(machine, rows, lambda r: r["shape"]["head_dim"], "head_dim", "head_dim: elements of a head")


def sentence(machine):
    rows = [r for r in select(machine, 1) if r["share_of_attainable"]]
    if not rows:
        return ""
    low = min(rows, key=lambda r: r["share_of_attainable"])
    high = max(rows, key=lambda r: r["share_of_attainable"])
    return (
        f"On one thread the share of the attainable speed goes from {percent(low['share_of_attainable'])} "
        f"(head_dim {low['shape']['head_dim']}) to {percent(high['share_of_attainable'])} (head_dim {high['shape']['head_dim']})."
    )
