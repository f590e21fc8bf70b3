"""attn_bench as a program: what it can measure, one run of some of it, and the state of the sources it was built from."""

import json
import os
import pathlib
import subprocess
import tempfile
from typing import NamedTuple

from bench.names import pattern, plain_name

UNITS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}


class Sample(NamedTuple):
    seconds: float  # of a call
    counters: dict
    shape: str  # of attention, as --shape takes it; or ""
    problem: str | None  # what the benchmark says that went wrong


class Program:
    """Errors are RuntimeErrors that name the program."""

    def __init__(self, path):
        path = pathlib.Path(path).resolve()
        self.path = path / "bench" / "attn_bench" if path.is_dir() else path  # a build folder

    def call(self, *arguments):
        # Of the user's shell, Google Benchmark would take its options from BENCHMARK_...
        mine = {name: value for name, value in os.environ.items() if not name.startswith("BENCHMARK_")}
        try:
            done = subprocess.run(
                [self.path, *arguments], env=mine, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace"
            )
        except OSError as error:
            raise RuntimeError(f"{self.path} cannot be run: {error.strerror}") from None
        if done.returncode != 0:
            said = (done.stderr.strip() or done.stdout.strip())[-500:] or "nothing"
            raise RuntimeError(f"{self.path} ended with {done.returncode} and said: {said}")
        return done.stdout

    def names(self, flags):
        """Of all benchmarks that it has with these flags, in its order."""
        listed = self.call(*flags, "--benchmark_list_tests")
        found = [plain_name(line) for line in listed.splitlines() if "/" in line and " " not in line]
        if not found:
            raise RuntimeError(f"{self.path} lists no benchmarks with {' '.join(flags) or 'no flags'}")
        return found

    def run(self, names, flags, bursts):
        """{plain name: Sample}, the fastest of so many bursts of calls; and what it says of itself."""
        with tempfile.TemporaryDirectory() as folder:
            out = pathlib.Path(folder) / "out.json"
            flags = [*flags, f"--benchmark_filter={pattern(names)}", f"--benchmark_repetitions={bursts}"]
            self.call(*flags, f"--benchmark_out={out}", "--benchmark_out_format=json")
            try:
                result = json.loads(out.read_text())
            except (OSError, ValueError) as error:
                raise RuntimeError(f"{self.path} wrote no JSON: {error}") from None
        samples = {}
        for entry in result["benchmarks"]:
            if entry.get("run_type") != "aggregate":  # means and the like, of the bursts
                name, found = plain_name(entry["name"]), sample(entry)
                samples[name] = fastest(samples.get(name, found), found)
        missing = set(names) - set(samples)
        if missing:
            raise RuntimeError(f"{self.path} did not measure {', '.join(sorted(missing))}")
        return samples, result["context"]

    def source(self):
        """commit and modified of the checkout that CMake's cache above the program names."""
        for folder in self.path.parents:
            cache = folder / "CMakeCache.txt"
            if cache.is_file():
                lines = cache.read_text(errors="replace").splitlines()
                homes = [line.partition("=")[2] for line in lines if line.startswith("CMAKE_HOME_DIRECTORY:")]
                return commit_of(homes[0] if homes else folder)
        return {"commit": None, "modified": False}


def sample(entry):
    if entry.get("error_occurred"):
        return Sample(0.0, {}, "", entry.get("error_message") or "an error without words")
    seconds = entry["real_time"] * UNITS[entry["time_unit"]]
    return Sample(seconds, {k: v for k, v in entry.items() if isinstance(v, float)}, entry.get("label", ""), None)


def fastest(a, b):
    """Of two bursts; a call and the same without an option each have their own."""
    best = min(a, b, key=lambda one: (not one.problem, one.seconds))
    plain = [one.counters["plain_seconds"] for one in (a, b) if "plain_seconds" in one.counters]
    return best._replace(counters={**best.counters, "plain_seconds": min(plain)}) if plain else best


def git(folder, *arguments):
    try:  # the folder may be another user's
        done = subprocess.run(
            ["git", "-c", "safe.directory=*", "-C", folder, *arguments], capture_output=True, text=True
        )
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def commit_of(folder):
    top = git(folder, "rev-parse", "--show-toplevel")
    if not top or pathlib.Path(top).resolve() != pathlib.Path(folder).resolve():
        return {"commit": None, "modified": False}  # at most a part of something else's checkout
    changed = git(folder, "status", "--porcelain", "--untracked-files=no")
    return {"commit": git(folder, "rev-parse", "HEAD") or None, "modified": bool(changed)}
