"""A page of pictures from results files of `sh cmake/dev.sh bench`:
python -m bench.report [FILE ...] [--output build/report.html] [--pictures FOLDER]

Several files stand side by side. With --readme it prints the front page's table instead."""

import argparse
import json
import pathlib
import sys

from bench.places import BUILD

from . import data

DEFAULT = BUILD / "bench.json"


def parse(words):
    parser = argparse.ArgumentParser(
        prog="report", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("files", nargs="*", metavar="FILE", help=f"results files, one for each machine (default: {DEFAULT})")
    for name, of in (("grid", "peers --grid"), ("peers", "peers"), ("predict", "predict")):
        add(f"--{name}", metavar="F", help=f"of {of} (without FILE: {BUILD / name}.json, if it is there)")
    add("--output", default=BUILD / "report.html", help="the page (default: %(default)s)")
    add("--pictures", metavar="FOLDER", help="writes each picture as a file, too, and face.svg for the front page")
    add("--readme", action="store_true", help="prints the front page's table, and writes no page")
    return parser.parse_args(words)


def beside(options, name):
    """The content of a further file: the one asked for must be there; that of the build folder belongs to the results
    there, and may be."""
    given = getattr(options, name)
    if given and not pathlib.Path(given).exists():
        raise ValueError(f"{given}: does not exist")
    return data.read_json(given or (None if options.files else BUILD / f"{name}.json"))


def write_pictures(folder, pictures):
    from .style import as_file

    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for picture in pictures:
        (folder / f"{picture.name}.svg").write_text(as_file(picture), encoding="utf-8")
    print(f"wrote {len(pictures)} pictures into {folder}")


def main(words=None):
    options = parse(words)
    try:
        found = data.read_all(options.files or [DEFAULT])
        others = [beside(options, name) for name in ("grid", "peers", "predict")]
    except json.JSONDecodeError as error:
        print(f"error: a file of peers or predict is not JSON: {error}", file=sys.stderr)
        return 2
    except ValueError as error:
        hint = "" if options.files else "; `sh cmake/dev.sh bench` measures this machine and writes it"
        print(f"error: {error}{hint}", file=sys.stderr)
        return 2
    from . import machines  # matplotlib, which these import, takes seconds: errors come before
    from .page import page
    from .sections import all_sections

    if options.readme:
        print("\n".join(machines.readme_table(found)))
    if options.pictures or not options.readme:
        sections = list(all_sections(found, *others))
    if options.pictures:
        face = machines.face(found)
        write_pictures(options.pictures, [*(p for s in sections for p in s.pictures), *([face] if face else [])])
    if not options.readme:
        output = pathlib.Path(options.output)
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(page(found, sections), encoding="utf-8")
        print(f"wrote {output} ({output.stat().st_size / 1e6:.1f} MB): open it in a browser")
    return 0


if __name__ == "__main__":
    sys.exit(main())
