"""Runs attn_bench in rounds and writes a results file (results.schema.json): python -m bench.measure --help"""

import argparse
import datetime
import json
import pathlib
import re
import sys
import time
import uuid

from bench import collect, compare, machine, names, results, table
from bench.places import BUILD, previous
from bench.program import Program
from bench.progress import Progress
from bench.schedule import FEWEST, chunks_of, order_of, rounds_of
from bench.shapes import WORDS

LIMITS = "^(peak|bandwidth|exp)/"  # measured always: each share is a share of these
BURSTS = 3  # of a sample
MOST = 15  # rounds; of two programs twice as many, as a pair says less than two samples


def arguments(words):
    parser = argparse.ArgumentParser(prog="dev.sh bench", description="Measures attn on this machine, in rounds.")
    parser.add_argument("--program", default="build/release/bench/attn_bench", help="attn_bench (set by dev.sh)")
    parser.add_argument("--against", metavar="BUILD", help="a second attn_bench or its build folder; alternates")
    parser.add_argument("--filter", type=regex, help="regular expression: benchmarks in whose names it is found")
    parser.add_argument("--shape", action="append", default=[], metavar=WORDS, help="a call of your own, several times")
    parser.add_argument("--threads", help="numbers of threads, such as 1,2,4")
    parser.add_argument("--long", action="store_true", help="everything, the large rows too; more time unless --seconds says")
    parser.add_argument("--seconds", type=float, help="about how long: 150, twice that with --against, 900 with --long")
    parser.add_argument("--sample-seconds", type=float, default=0.01, help="the least of one sample (%(default)s)")
    parser.add_argument("--all", action="store_true", help="print all rows; else with --filter or --shape alone")
    parser.add_argument("--output", type=pathlib.Path, default=BUILD / "bench.json", help="(%(default)s)")
    options = parser.parse_args(words)
    if options.seconds is None:
        options.seconds = (900 if options.long else 150) * (2 if options.against else 1)
    if not 0 < options.seconds <= 1e6 or not 0 < options.sample_seconds <= 10:
        parser.error("--seconds and --sample-seconds are to be above 0, and at most 1e6 and 10")
    return options


def regex(text):
    try:
        return re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no regular expression: {error}") from None


def flags_of(options, shapes):
    flags = [f"--threads={options.threads}"] if options.threads else []
    flags += ["--long"] if options.long else []
    return flags + [f"--shape={shape}" for shape in shapes]


def choose(programs, options):
    """The chunks of what all programs have, its names in order, and what only the first one has."""
    chunks, chosen, only = [], [], []
    for limits in (True, False):  # apart, as --shape leaves nothing but attention
        flags = flags_of(options, [] if limits else options.shape)
        listed = [program.names(flags) for program in programs]
        wanted = [n for n in listed[0] if bool(re.match(LIMITS, n)) == limits]
        if options.filter and not limits:
            wanted = [n for n in wanted if options.filter.search(n)]
        both = [n for n in wanted if all(n in names_here for names_here in listed)]
        only += [n for n in wanted if n not in both]
        for name in both:
            names.parse(name)  # before minutes are spent
        chunks += chunks_of(both, flags)
        chosen += both
    if options.filter and not any(map(options.filter.search, chosen)):
        raise RuntimeError(f"no benchmark's name has what --filter asks for: {options.filter.pattern}")
    return chunks, chosen, only


class Run:
    """Of one program: the samples of each row, by plain name."""

    def __init__(self, program):
        self.program = program
        self.id = str(uuid.uuid4())
        self.samples, self.errors, self.failed, self.context = {}, {}, {}, {}

    def take(self, chunk, sample_seconds, bursts, errors=False):
        """errors: against double, which take as long as all else."""
        flags = [*chunk.flags, f"--sample-seconds={sample_seconds / bursts:g}", *([] if errors else ["--no-errors"])]
        found, self.context = self.program.run(chunk.names, flags, bursts)
        self.errors.update({name: sample.counters["error"] for name, sample in found.items() if "error" in sample.counters})
        self.failed.update({name: sample.problem for name, sample in found.items() if sample.problem})
        return {name: sample for name, sample in found.items() if not sample.problem}


def warm_up(runs, chunks, sample_seconds):
    """The errors; what a round of each chunk costs in seconds; how many bursts its samples have: short calls several, of
    which the fastest counts, as others on the machine seldom disturb all."""
    progress, costs, bursts = Progress("checking results", len(chunks)), [], []
    for chunk in chunks:
        for run in runs:
            run.take(chunk, sample_seconds, 1, errors=True)
        before, longest = time.monotonic(), 0.0
        for run in runs:
            found = run.take(chunk, sample_seconds, 1)
            longest = max([longest, *(sample.seconds for sample in found.values())])
        costs.append(time.monotonic() - before)
        bursts.append(BURSTS if longest * BURSTS <= sample_seconds * len(chunk.names) else 1)
        progress.done(1)
    return costs, bursts


def measure(runs, chunks, options):
    """A round to warm up, then as many as there is time for. The number of rounds."""
    start = time.monotonic()
    costs, bursts = warm_up(runs, chunks, options.sample_seconds)
    rounds = rounds_of(chunks, costs, options.seconds - (time.monotonic() - start), MOST * len(runs))
    progress = Progress("measuring", sum(n * cost for n, cost in zip(rounds, costs)))
    taken = [0] * len(chunks)
    for i, odd in order_of(chunks, rounds):
        progress.done(costs[i])
        if taken[i] >= FEWEST and time.monotonic() - start > 1.1 * options.seconds:
            continue  # the machine is slower than it was at first
        taken[i] += 1
        for run in reversed(runs) if odd else runs:
            for name, sample in run.take(chunks[i], options.sample_seconds, bursts[i]).items():
                run.samples.setdefault(name, []).append(sample)
    return max(taken)


def paths_of(options):
    if not options.against:
        return [options.output]
    return [options.output, options.output.with_name(f"{options.output.stem}.against{options.output.suffix}")]


def perform(options):
    """Measures; the results of each program."""
    programs = [Program(path) for path in (options.program, options.against) if path]
    chunks, chosen, only = choose(programs, options)
    if only:
        print(f"left out, as only {options.program} has them: {', '.join(only)}", file=sys.stderr)
    runs = [Run(program) for program in programs]
    about = {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "machine": machine.describe(),
        "load": {"before": machine.load_average(), "busy_before": machine.busy()},
    }
    start, times = time.monotonic(), machine.processor_times()
    about["rounds"] = measure(runs, chunks, options)
    about["seconds"] = time.monotonic() - start
    about["load"].update(after=machine.load_average(), stolen=machine.shares_since(times)[1])
    failed = [f"{name}: {why}" for run in runs for name, why in run.failed.items()]
    return [collect.file_of(run, runs, chosen, about, options) for run in runs], failed


def end(options, found, failed):
    """Prints what was found and what to do next; the exit status."""
    chosen = options.all or options.filter or options.shape
    print(*table.lines(found[0], short=not chosen), sep="\n")
    for warning in results.busy(found[0]):
        print(f"warning: {warning}: measure again when it is quiet")
    print(f"\nwritten: {', '.join(map(str, paths_of(options)))}")
    if options.against:
        print()
        try:
            compare.report(found[1], found[0])
        except ValueError as error:
            print(f"not compared: {error}")
    else:
        print(f"sh cmake/dev.sh report {options.output}    makes a page of it; bench/README.md says how to send it in")
    failed = failed + [line for one in found for line in results.wrong(one)]
    for line in failed:
        print(f"FAILED: {line}", file=sys.stderr)
    return 1 if failed else 0


def main(words=None):
    options = arguments(words)
    try:
        found, failed = perform(options)
        for one, path in zip(found, paths_of(options)):
            if path.exists():
                path.replace(previous(path))
            results.write(one, path)
    except KeyboardInterrupt:
        print("\nstopped: nothing is written", file=sys.stderr)
        return 130
    except (RuntimeError, ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return end(options, found, failed)


if __name__ == "__main__":
    sys.exit(main())
