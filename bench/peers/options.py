"""The command line of the race."""

import argparse
import os
import re

from .. import grid
from ..shapes import WORDS, shape_of_text
from . import attn_c, encoder
from .limits import LIMITS
from .peer_rows import LONG_ROWS, ROWS, group_of


def parse(description):
    parser = argparse.ArgumentParser(
        prog="peers", description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--library", default="build/shared/libattn.so", help="the shared library (default: %(default)s)")
    add("--output", help="where the figures go, as JSON (default: build/peers.json; of the grid: build/grid.json)")
    add("--csv", help="where they go as CSV, too")
    add("--rows", help="comma-separated regular expressions on names; nine: the rows of the published means")
    add("--shape", action="append", metavar=WORDS, help="this call of attention instead of the rows; several times")
    add("--grid", action="store_true", help="the grid of grid.py instead of the rows; --rows then chooses cells")
    for axis, sizes in grid.SIZES.items():
        name, known = f"--grid-{axis.replace('_', '-')}", ",".join(map(str, sizes))
        add(name, dest=axis, metavar="N,N", help=f"with --grid: others than {known}")
    add("--long", action="store_true", help="with the rows that rows.txt calls long")
    add("--seconds", type=float, help="for each row, with its preparation, about (default with --grid: 1.6)")
    add("--least", action="store_true", help="the least of the rounds, not medians: where others use the machine")
    add("--threads", default="1,2", help="comma-separated (default: %(default)s)")
    add("--isa", help="comma-separated (default: all that run here but scalar)")
    add("--quick", action="store_true", help="few rounds: a smoke test")
    add("--encoder", nargs="?", const=encoder.INSTALLED, metavar="MODEL.safetensors", help="a whole encoder instead of the rows")
    for name in ("--peak", "--loops"):
        add(name, help=argparse.SUPPRESS)
    add("--worker", nargs="+", metavar="ISA, THREADS, ROWS", help=argparse.SUPPRESS)
    return parser, parser.parse_args()


def numbers(parser, option, text):
    if not re.fullmatch(r"[1-9]\d{0,5}(,[1-9]\d{0,5})*", text):
        parser.error(f"{option} {text}: not numbers from 1 with commas between")
    return [int(n) for n in text.split(",")]


def chosen_names(parser, options):
    """Of the rows, shapes or cells."""
    words = options.rows.split(",") if options.rows else [""]
    for word in words:
        try:
            re.compile(word)
        except re.error as error:
            parser.error(f"--rows {word}: {error}")
    if options.long and (options.grid or options.shape):
        parser.error("--long is of the rows: not together with --grid or --shape")
    if options.shape and (options.grid or options.rows):
        parser.error("--shape stands for all of the rows: not together with --rows or --grid")
    for text in options.shape or []:
        try:
            shape_of_text(text)
        except ValueError as error:
            parser.error(f"--shape {text}: {error}; a shape is {WORDS}")
    if options.shape:
        return options.shape
    sizes = {}
    for axis, known in grid.SIZES.items():
        given, option = getattr(options, axis), f"--grid-{axis.replace('_', '-')}"
        if given and not options.grid:
            parser.error(f"{option} needs --grid")
        sizes[axis] = numbers(parser, option, given) if given else known
    rows = [name for name in ROWS if options.long or name not in LONG_ROWS]
    all_names = grid.cells(sizes) if options.grid else rows
    names = [name for name in all_names if any(re.search(w, name) or group_of(name) == w for w in words)]
    if not names:
        shown = ", ".join(all_names if len(all_names) < 50 else [*all_names[:4], "...", all_names[-1]])
        parser.error(f"--rows {options.rows}: none of {shown}")
    return names


def chosen_isas(parser, options):
    runnable = attn_c.Library(options.library).runnable_isas()
    isas = options.isa.split(",") if options.isa else [isa for isa in runnable if isa != "scalar"]
    for isa in isas:
        if isa not in runnable:
            parser.error(f"--isa {isa}: this machine runs {', '.join(runnable)}")
        if isa != runnable[0] and isa not in LIMITS:
            parser.error(f"--isa {isa}: LIMITS does not say what holds the other libraries to it")
    return isas, runnable[0]


def chosen_threads(parser, options):
    threads = [n for n in numbers(parser, "--threads", options.threads) if n <= (os.cpu_count() or 1)]
    if not threads:
        parser.error(f"--threads {options.threads}: this machine has {os.cpu_count()}")
    return threads
