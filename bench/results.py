"""A results file of bench/measure.py: results.schema.json says what stands in it. python -m bench.results FILE... says
whether files are sound, which those in bench/results/ are to be."""

import copy
import json
import math
import pathlib
import re
import statistics
import sys

import jsonschema

from bench import names, rates
from bench.grid import shape_of_cell
from bench.rows import read_rows
from bench.shapes import shape_of_text, shape_of_words

SCHEMA = json.loads((pathlib.Path(__file__).parent / "results.schema.json").read_text())
LARGEST_ERROR = 1e-5  # of results in f32, against double
LARGEST_SHARE = 1.1  # of the peak: both are measured, but not at the same moment


def load(path):
    """Raises a ValueError that names the file, the place in it and the value there."""
    try:
        results = json.loads(pathlib.Path(path).read_text(encoding="utf-8"), parse_constant=refuse)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: is not JSON: {error}") from None
    check(results, path)
    return results


def refuse(word):
    raise ValueError(f"{word} is not a number")


def check(results, path):
    """What load() checks, of results that are to be written to the path, too."""
    said = results.get("schema") if isinstance(results, dict) else None
    if said != SCHEMA["title"]:
        raise ValueError(f"{path}: schema: is {short(repr(said))}, not {SCHEMA['title']!r}")
    error = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(SCHEMA).iter_errors(results))
    if error is not None:
        raise ValueError(f"{path}: {place(error)}: {short(error.message)}")
    seen = set()
    for index, row in enumerate(results["rows"]):
        if row["name"] in seen:
            raise ValueError(f"{path}: rows[{index}].name: {row['name']!r} stands twice")
        seen.add(row["name"])


def place(error):
    return error.json_path.removeprefix("$.").replace("$", "the whole file")


def short(message):
    """Messages hold the value, which may be all of the file: its ends are enough."""
    return message if len(message) <= 200 else f"{message[:100]} ... {message[-90:]}"


def write(results, path):
    """Checked first. A row stands in a line of its own, so that two files can be compared by eye."""
    check(results, path)
    rows = ",\n".join("  " + json.dumps(row) for row in results["rows"])
    head = json.dumps({**results, "rows": []}, indent=1)
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(head.removesuffix("[]\n}") + "[\n" + rows + "\n ]\n}\n", encoding="utf-8")


def wrong(results):
    """The rows whose results are not right, in words."""
    for row in results["rows"]:
        rounded = row["shape"] and row["shape"].get("bf16_weights")  # the reference has the stored numbers, not these
        if not rounded and row["error"] is not None and row["error"] > LARGEST_ERROR:
            yield f"{row['name']}: its error against double is {row['error']:.1e}, above {LARGEST_ERROR:.0e}"


def busy(results):
    """Who else used the machine, in words."""
    load_here = results["load"]
    if (load_here["busy_before"] or 0) > 0.05:
        yield f"others used {load_here['busy_before']:.0%} of the processors before the run began"
    if (load_here["stolen"] or 0) > 0.02:
        yield f"the host gave {load_here['stolen']:.0%} of the processors' time to others during the run"


def unsound(results):
    """What speaks against putting the file beside others, in words."""
    if not results["attn"]["commit"] or results["attn"]["modified"]:
        yield "attn: what was measured is not a commit as it is" + (", but with changes" * results["attn"]["modified"])
    for name, good in (("filter", None), ("shapes", [])):
        if results["run"][name] != good:
            yield f"run.{name}: is {results['run'][name]!r}: measure all rows"
    if results["build"]["build_type"] != "Release":
        yield f"build.build_type: is {results['build']['build_type']!r}, not 'Release'"
    yield from wrong(results)
    yield from unsound_rates(results)
    for row in results["rows"]:
        yield from unsound_row(row)
    again = copy.deepcopy(results)
    if not alike(rates.derive(again["rows"], again["machine"]), results["rates"]):
        yield "rates: are not those of the rows"
    for row, wanted in zip(results["rows"], again["rows"]):
        for field in (field for field in row if not alike(row[field], wanted[field])):
            yield f"{row['name']}: {field} is {row[field]}, but {wanted[field]} by the other figures"


def unsound_rates(results):
    for isa in {row["isa"] for row in results["rows"] if row["isa"]}:
        for name in ("peak_gflops", "exps_per_second"):
            if not results["rates"][name].get(isa):
                yield f"rates.{name}: {isa} is missing"
    if not results["rates"]["read_bytes_per_second"].get("memory"):
        yield "rates.read_bytes_per_second: memory is missing"


def unsound_row(row):
    try:
        told = names.parse(row["name"])
    except ValueError as error:
        yield f"rows: {error}"
        return
    for field in (field for field in told if told[field] != row[field]):
        yield f"{row['name']}: {field} is {row[field]!r}, but {told[field]!r} by its name"
    if row["shape"] != shape_of(row):
        yield f"{row['name']}: rows.txt and bench/grid.py do not have it, or not with this shape"
    if not alike(row["seconds"], statistics.median(row["samples"])):
        yield f"{row['name']}: seconds is {row['seconds']}, not the median of its samples"
    if row["interval"] and not row["interval"][0] <= row["seconds"] <= row["interval"][1]:
        yield f"{row['name']}: seconds is {row['seconds']}, outside its interval {row['interval']}"
    # That of scalar is a peak of fmaf(), which plain products and sums pass.
    if row["isa"] != "scalar" and row["share_of_peak"] and row["share_of_peak"] > LARGEST_SHARE:
        yield f"{row['name']}: share_of_peak is {row['share_of_peak']:.2f}: others used the machine as the peak was measured"


def shape_of(row):
    """As rows.txt and the grid have it; {} for a row that they should have and do not."""
    kind, name = row["kind"], row["row"]
    if kind in ("softmax", "layer"):
        known = name in read_rows().get(kind, {}) or (kind == "layer" and re.fullmatch("self_T[0-9]+_D[0-9]+", name))
        return None if known else {}
    if kind not in ("attention", "plain", "options", "grid"):
        return None
    words = read_rows()["attention"].get(name)
    try:
        return (shape_of_words(words) if words else shape_of_cell(name) or shape_of_text(name)).fields()
    except ValueError:
        return {}


def alike(a, b):
    """Numbers but for rounding."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(alike(a[key], b[key]) for key in a)
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=1e-9)
    return a == b


def main(paths):
    if not paths:
        sys.exit("usage: python -m bench.results FILE...")
    bad = False
    for path in paths:
        try:
            results = load(path)
            found = list(unsound(results))
            warnings = list(busy(results))
        except ValueError as error:
            found, warnings = [str(error)], []
        for line in warnings:
            print(f"{path}: warning: {line}")
        for line in found:
            print(f"{path}: {line}")
        print(f"{path}: {'NOT SOUND' if found else 'sound'}")
        bad = bad or bool(found)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
