"""Compares the instructions of a fixed set of small calls with the stored ones: a gate against slower code.

    python3 -m bench.counts.check [--renew] [--program build/release/bench/attn_counts]

Callgrind counts what the library and the program execute, not what libc and libm do: that depends on the system.
Valgrind shows every CPU with AVX2 to a program as the same one, so counts do not depend on the machine. They do on the
compiler and its flags: baseline.txt has a section for each compiler, and a build without one is skipped (status 77).
A count that moved by more than 2 % either way fails; --renew stores the new ones, for the commit that explains them.
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BASELINE = pathlib.Path(__file__).with_name("baseline.txt")
ISAS = ("avx2", "scalar")
LIMIT = 2  # percent
SKIP = 77
HEADER = """\
# Instructions of two calls of each case of calls.cpp, after one to warm up; without those of libc and libm.
# A section for each compiler of the release preset. Written by: sh cmake/dev.sh counts --renew
"""


# ---- The baseline ----


def read_baseline(text):
    """{compiler: {case: instructions}}"""
    sections, section = {}, None
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        if match := re.fullmatch(r"\[(.+)\]", line):
            section = sections.setdefault(match[1], {})
        elif (match := re.fullmatch(r"(\w+ \w+) (\d+)", line)) and section is not None:
            section[match[1]] = int(match[2])
        else:
            raise ValueError(f"line {number} is neither [compiler] nor \"isa case instructions\": {line!r}")
    return sections


def write_baseline(sections):
    parts = [f"\n[{name}]\n" + "".join(f"{case} {n}\n" for case, n in cases.items())
             for name, cases in sorted(sections.items())]
    return HEADER + "".join(parts)


def compare(old, new):
    """(what is wrong, what is said of every case)"""
    wrong, lines = [], []
    for case in list(dict.fromkeys([*old, *new])):
        if case not in new:
            wrong.append(f"{case}: in the baseline, but no longer counted")
        elif case not in old:
            wrong.append(f"{case}: not in the baseline")
            lines.append(f"{case:<24}{new[case]:>12}         new")
        else:
            change = new[case] - old[case]
            lines.append(f"{case:<24}{new[case]:>12}{100 * change / old[case]:>+9.2f} %")
            if 100 * abs(change) > LIMIT * old[case]:
                size = f"{100 * abs(change) / old[case]:.1f} % {'more' if change > 0 else 'fewer'} instructions"
                wrong.append(f"{case}: {size}: {old[case]} -> {new[case]}")
    return wrong, lines


# ---- Counting ----


def own_instructions(text, program):
    """Of a callgrind file: the instructions executed in the program's own object."""
    names, own, skip, total = {}, False, False, 0
    for line in text.splitlines():
        if match := re.match(r"ob=\((\d+)\)(?: (.*))?", line):
            if match[2] is not None:
                names[match[1]] = match[2]
            own = names[match[1]] == program
        elif match := re.match(r"cob=\((\d+)\)(?: (.*))?", line):
            if match[2] is not None:
                names[match[1]] = match[2]
        elif line.startswith("calls="):
            skip = True  # the next line is what the called function took
        elif re.match(r"[+\-*\d]", line):
            if own and not skip:
                total += int(line.split()[1])
            skip = False
    return total


def count(program, case):
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "out"
        # ATTN_ISA would be refused or ignored, and threads of a BLAS take time.
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("ATTN_", "VALGRIND_"))}
        environment["OPENBLAS_NUM_THREADS"] = "1"
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "--toggle-collect=attn_counted"]
        done = subprocess.run([*command, program, *case.split()], capture_output=True, text=True, env=environment)
        if done.returncode == SKIP:
            raise Skipped(done.stderr.strip().splitlines()[-1])
        if done.returncode:
            sys.exit(f"error: {' '.join([*command, program, case])}\n{done.stderr}")
        total = own_instructions(out.read_text(), program)
    if not total:
        sys.exit(f"error: callgrind counted nothing for {case}: was {program} stripped of its symbols?")
    return total


class Skipped(Exception):
    """Why there is nothing to compare."""


def count_all(program, cases):
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(cases, pool.map(lambda case: count(program, case), cases)))


def describe(program):
    """(what built it, its cases)"""
    built, *names = subprocess.run([program], check=True, capture_output=True, text=True).stdout.splitlines()
    return built, [f"{isa} {name}" for isa in ISAS for name in names]


def check(program, baseline, renew):
    """The exit status."""
    built, cases = describe(program)
    if built.startswith("not "):
        raise Skipped(f"this build is {built}")
    sections = read_baseline(baseline.read_text() if baseline.exists() else "")
    if not renew and built not in sections:
        raise Skipped(f"there is no baseline for {built} (has: {', '.join(sorted(sections))}). "
                      "To add one: sh cmake/dev.sh counts --renew")
    new = count_all(program, cases)
    wrong, lines = compare(sections.get(built, {}), new)
    print(f"{built}: instructions, and how they differ from the baseline")
    print("\n".join(lines))
    if renew:
        print("\n".join(wrong))
        sections[built] = new
        baseline.write_text(write_baseline(sections))
        print(f"wrote {baseline}" + (": say in the commit why these moved" if wrong else ""))
        return 0
    for line in wrong:
        print(f"error: {line}", file=sys.stderr)
    if wrong:
        print("If that is meant: sh cmake/dev.sh counts --renew, and say why in the commit", file=sys.stderr)
    return 1 if wrong else 0


def main(argv=None):
    parser = argparse.ArgumentParser(prog="sh cmake/dev.sh counts", description=__doc__.split("\n\n")[0])
    parser.add_argument("--renew", action="store_true", help="store the counts of this build as the baseline")
    parser.add_argument("--program", default=str(ROOT / "build/release/bench/attn_counts"))
    parser.add_argument("--baseline", type=pathlib.Path, default=BASELINE)
    options = parser.parse_args(argv)
    if not shutil.which("valgrind"):
        print("skipped: valgrind was not found (Debian: valgrind)")
        return SKIP
    try:
        return check(str(pathlib.Path(options.program).resolve()), options.baseline, options.renew)
    except Skipped as reason:
        print(f"skipped: {reason}")
        return SKIP
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    sys.exit(main())
