"""How the pictures look: narrow enough for a phone, colours that all eyes can tell apart, and labels beside what they name."""

import io
import re
import textwrap
from typing import NamedTuple

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib import patheffects, ticker

# Okabe and Ito's colours.
BLUE, ORANGE, GREEN, VERMILLION, PURPLE, SKY = "#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9"
# Stand-ins for colours that the page chooses, light or dark; no picture uses them otherwise.
INK, MUTED, FAINT, PAPER = "#1b1b1d", "#5c5c61", "#d7d7db", "#fefeff"
VARIABLES = {INK: "var(--ink)", MUTED: "var(--muted)", FAINT: "var(--faint)", PAPER: "var(--paper)"}

ISA_NAMES = {"avx512bf16": "AVX-512 BF16", "avx512": "AVX-512", "avx2": "AVX2", "neonbf16": "NEON BF16", "neon": "NEON",
             "scalar": "scalar"}
ISA_COLOURS = {"avx512bf16": SKY, "avx512": BLUE, "avx2": GREEN, "neonbf16": VERMILLION, "neon": ORANGE, "scalar": PURPLE}
ISA_MARKERS = {"avx512bf16": "P", "avx512": "D", "avx2": "o", "neonbf16": "v", "neon": "^", "scalar": "s"}

HALO = [patheffects.withStroke(linewidth=2, foreground=PAPER)]  # keeps text readable on lines

# A phone shows a picture 358 px wide: of 4.5 inches, 324 points, a text of 10 points then is 11 px high.
WIDTH, TEXT = 4.5, 10

plt.rcParams.update(
    {
        "font.family": "DejaVu Sans",  # comes with matplotlib
        "font.size": TEXT,
        "axes.titlesize": TEXT,
        "axes.labelsize": TEXT,
        "xtick.labelsize": TEXT,
        "ytick.labelsize": TEXT,
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.edgecolor": MUTED,
        "xtick.color": MUTED,
        "ytick.color": MUTED,
        "xtick.labelcolor": INK,
        "ytick.labelcolor": INK,
        "grid.color": FAINT,
        "grid.linewidth": 0.6,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.facecolor": "none",
        "figure.facecolor": "none",
        "svg.fonttype": "path",  # the same look and no overlap, whatever fonts a reader has
        "svg.hashsalt": "attn",
    }
)


class Picture(NamedTuple):
    name: str  # of its file
    title: str
    alt: str  # what a reader hears who does not see it
    svg: str


def isa_name(isa):
    return ISA_NAMES.get(isa, isa or "")


def threads_name(count):
    return "1 thread" if count == 1 else f"{count} threads"


# ---- Figures ----


def figure(title, height, rows=1, width=WIDTH, **options):
    """A figure with a title over its whole width, and its axes (a list where rows > 1)."""
    fig, axes = plt.subplots(rows, 1, figsize=(width, height), layout="constrained", **options)
    lines = textwrap.fill(title, int(width * 10.6))
    fig.suptitle(lines, x=0.01, ha="left", fontsize=TEXT + 1, fontweight="bold")
    return fig, axes


def finish(fig, name, title, alt):
    svg = io.StringIO()
    fig.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    plt.close(fig)
    text = svg.getvalue()
    text = re.sub(r' d="[^"]*"', lambda path: re.sub(r"(\.\d\d)\d+", r"\1", path[0]), text)  # a third of the size
    return Picture(name, title, alt, text[text.index("<svg") :].strip())


def inline(picture):
    """The picture as a part of a page: names that no other picture has, colours of the page."""
    svg = re.sub(r'\bid="', f'id="{picture.name}-', picture.svg)
    svg = re.sub(r'href="#', f'href="#{picture.name}-', svg)
    svg = re.sub(r"url\(#", f"url(#{picture.name}-", svg)
    for colour, variable in VARIABLES.items():
        svg = svg.replace(colour, variable)
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    alt = escape(picture.alt)
    return re.sub(r'width="[^"]*pt" height="[^"]*pt"', f'role="img" aria-label="{alt}"', svg, count=1)


def as_file(picture):
    """The picture on its own, on white."""
    svg = picture.svg.replace(PAPER, "#ffffff")
    return re.sub(r"(<svg [^>]*>)", r'\1<rect width="100%" height="100%" fill="#ffffff"/>', svg, count=1) + "\n"


def escape(text):
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


# ---- Axes ----


def lengths_axis(ax, values, label):
    """A logarithmic x axis with a tick at every second or third of the lengths, so that none touch."""
    values = sorted(set(values))
    ax.set_xscale("log", base=2)
    step = 1 + len(values) // 6
    ax.xaxis.set_major_locator(ticker.FixedLocator(values[::-1][::step][::-1]))
    ax.xaxis.set_major_formatter(lambda x, _: length_name(x))
    ax.xaxis.set_minor_locator(ticker.FixedLocator(values))
    ax.xaxis.set_minor_formatter(ticker.NullFormatter())
    ax.set_xlabel(label)


def length_name(x):
    return f"{x / 1024:g}k" if x >= 1024 and x % 1024 == 0 else f"{x:g}"


def speed_axis(ax, peak, highest, label="GFLOP/s"):
    """From 0 to the peak, which is the top of the picture; only noise puts the highest value above it."""
    ax.set_ylim(0, max(peak, highest))
    ax.set_ylabel(label)
    ax.axhline(peak, color=INK, lw=2, clip_on=False, zorder=5)
    ax.grid(axis="y")
    ax.set_axisbelow(True)


def above(ax, text, side="right", at=None):
    """What the line at the top of the picture is, or the one at that height."""
    place = {"xycoords": ("axes fraction", "axes fraction" if at is None else "data"), "textcoords": "offset points"}
    xy = (1 if side == "right" else 0, 1 if at is None else at)
    ax.annotate(text, xy, (0, 4), ha=side, annotation_clip=False, path_effects=HALO, **place)


def below(ax, text):
    """The x axis's label, in the middle of the picture, where there is more room than below the axis."""
    ax.figure.supxlabel(text, fontsize=TEXT)


def peak_at_right(ax, peak, highest=0):
    """The same from left to right."""
    ax.set_xlim(0, max(peak, highest))
    ticks = ticker.MaxNLocator(5).tick_values(0, peak)
    ax.set_xticks([tick for tick in ticks if tick <= peak])
    ax.axvline(peak, color=INK, lw=2, clip_on=False)
    ax.tick_params(axis="y", length=0)


def log_axis(axis):
    """Plain numbers at 1, 2 and 5 of each ten."""
    axis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(lambda x, _: f"{x:g}")
    axis.set_minor_formatter(ticker.NullFormatter())
