"""Checks the files that were sent in to bench/results/, and makes what is shown of them: the page, the picture and the table
in README.md. With FILE: the check of that file alone."""

import re
import sys

from bench import results
from bench.places import RESULTS, ROOT
from bench.report import data, machines, rivals
from bench.report.style import as_file
from bench.report.__main__ import main as make_page

README = ROOT / "README.md"
FACE = RESULTS / "speed.svg"  # the picture of README.md; the page has all others in itself
BLOCK = re.compile(r"(<!-- figures: [^\n]*-->\n).*?(<!-- end of figures -->)", re.DOTALL)


def files():
    """One of each machine, and those of its races: <machine>.json, races/<machine>-peers.json, races/<machine>-grid.json."""
    return sorted(RESULTS.glob("*.json"))


def races(kind):
    return sorted((RESULTS / "races").glob(f"*-{kind}.json"))


def table():
    """README.md's table, as lines."""
    lines = list(machines.readme_table(data.read_all(files())))
    for path in races("peers"):
        lines += ["", *rivals.readme_lines(data.read_json(path))]
    return lines


def with_table(text, lines):
    return BLOCK.sub(lambda block: block[1] + "\n".join(lines) + "\n" + block[2], text)


def main(words):
    if words:
        return results.main(words)
    if results.main(files()) != 0:
        return 1
    options = [f"--{kind}={path}" for kind in ("peers", "grid") for path in races(kind)[-1:]]
    status = make_page([*map(str, files()), *options, f"--output={RESULTS / 'report.html'}"])
    FACE.write_text(as_file(machines.face(data.read_all(files()))), encoding="utf-8")
    README.write_text(with_table(README.read_text(encoding="utf-8"), table()), encoding="utf-8")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
