"""Reads rows.txt, which attn_bench reads too (rows.hpp)."""

import pathlib

PATH = pathlib.Path(__file__).with_name("rows.txt")
LONG = "long"  # the last word of a row that only --long measures


def read_rows(long=True):
    """{kind: {name: the words that follow, without LONG}}; long: with the long rows, too."""
    found = {}
    for line in PATH.read_text().splitlines():
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        kind, name, *rest = words
        if rest[-1:] != [LONG]:
            found.setdefault(kind, {})[name] = rest
        elif long:
            found.setdefault(kind, {})[name] = rest[:-1]
    return found
