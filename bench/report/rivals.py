"""The race with other libraries: the best one's time over attn's, with an interval of 95 %."""

from .data import geometric_mean
from .style import BLUE, INK, VERMILLION, figure, finish, isa_name, threads_name

NAMES = {
    "torch": "PyTorch",
    "onnxruntime": "ONNX Runtime",
    "openvino": "OpenVINO",
    "numpy": "NumPy",
    "onednn": "oneDNN",
    "ggml": "ggml",
}


def runs(results):
    """{(isa, threads): results with a ratio}"""
    found = {}
    for r in results:
        if r["ratio"]:
            found.setdefault((r["isa"], r["threads"]), []).append(r)
    return found


def pictures(results):
    for (isa, threads), rows in runs(results).items():
        yield picture(isa, threads, rows)


def picture(isa, threads, rows):
    slower = [r for r in rows if r["ratio"] < 1]
    faster = f"{len(rows) - len(slower)} of {len(rows)} rows"
    title = f"{isa_name(isa)}, {threads_name(threads)}: faster than the best other library in {faster}"
    fig, ax = figure(title, 1.5 + 0.22 * len(rows))
    top = max(2.0, 1.08 * max((r.get("ratio_interval") or [0, r["ratio"]])[1] for r in rows))
    bottom = min(0.7, 0.95 * min((r.get("ratio_interval") or [r["ratio"]])[0] for r in rows))
    for y, r in enumerate(rows):
        colour = VERMILLION if r["ratio"] < 1 else BLUE
        if r.get("ratio_interval"):
            ax.plot(r["ratio_interval"], [y, y], color=colour, lw=2)
        ax.plot(r["ratio"], y, "s" if r["ratio"] < 1 else "o", color=colour, ms=6)
        text = f"{r['ratio']:.2f}{plus_minus(r)} {NAMES.get(r['best_peer'], r['best_peer'])}"
        ax.text(1.02, y, text, transform=ax.get_yaxis_transform(), va="center", color=colour if r["ratio"] < 1 else INK)
    ax.axvline(1, color=INK, lw=1.5)
    ax.set_xscale("log")
    ax.set_xlim(bottom, top)
    ax.set_xticks([t for t in (0.25, 0.5, 0.7, 1, 1.5, 2, 3, 5, 8, 12, 20, 40) if bottom <= t <= top])
    ax.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
    ax.minorticks_off()
    ax.set_yticks(range(len(rows)), [r["row"] for r in rows])
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")
    ax.set_xlabel("best library's time / attn's")
    if slower:
        ax.annotate(
            "◀ slower",
            (1, 1),
            (-3, 3),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="right",
            color=VERMILLION,
        )
    ax.annotate(
        "attn faster ▶", (1, 1), (3, 3), xycoords=("data", "axes fraction"), textcoords="offset points", color=BLUE
    )
    alt = f"{title}. " + "; ".join(
        f"{r['row']} {r['ratio']:.2f}{plus_minus(r)} against {NAMES.get(r['best_peer'], r['best_peer'])}" for r in rows
    )
    return finish(fig, f"rivals_{isa}_{threads}", title, alt)


def plus_minus(r):
    interval = r.get("ratio_interval")
    return f" ± {max(interval[1] - r['ratio'], r['ratio'] - interval[0]):.2f}" if interval else ""


def sentence(results):
    said = []
    for (isa, threads), rows in runs(results).items():
        worst = min(rows, key=lambda r: r["ratio"])
        mean = geometric_mean([r["ratio"] for r in rows])
        said.append(
            f"{isa_name(isa)}, {threads_name(threads)}: geometric mean {mean:.2f}, the least {worst['ratio']:.2f}"
            f"{plus_minus(worst)} ({worst['row']}, {NAMES.get(worst['best_peer'], worst['best_peer'])})."
        )
    return " ".join(said)


def readme_lines(race):
    """For the front page: the nine rows."""
    commit = (race["attn"]["commit"] or "unknown")[:7]
    yield f"The best other library's time divided by attn's, over the nine rows, on {race['machine']['cpu']} at {commit}:"
    for (isa, threads), rows in runs(race["results"]).items():
        nine = [r for r in rows if "/" not in r["row"] and r["shape"]]
        if nine:
            worst = min(nine, key=lambda r: r["ratio"])
            yield (
                f"* {isa_name(isa)}, {threads_name(threads)}: geometric mean "
                f"**{geometric_mean([r['ratio'] for r in nine]):.2f}**; the least {worst['ratio']:.2f}{plus_minus(worst)} "
                f"({worst['row']}, {NAMES.get(worst['best_peer'], worst['best_peer'])})"
            )
