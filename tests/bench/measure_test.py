"""bench/measure.py with programs that only pretend to measure: what it asks for, how often, and what it writes."""

import json
import platform
import re
import stat
import subprocess
import sys

import pytest

from bench import compare, machine, measure, names, results, schedule
from bench.program import Program

PROGRAM = '''#!{python}
import json, random, re, sys
ROWS = {rows}
flags = dict(word.partition("=")[::2] for word in sys.argv[1:])
with open({log!r}, "a") as log:
    print(json.dumps([{name!r}, sys.argv[1:]]), file=log)
rows = [n for n in ROWS if "--shape" not in flags or n.startswith("attention")]
full = [n + "/min_time:" + flags["--sample-seconds"] + "/real_time" if "--sample-seconds" in flags else n for n in rows]
full = [n for n in full if re.search(flags.get("--benchmark_filter", ""), n)]
if "--benchmark_list_tests" in flags:
    print("\\n".join(full))
    sys.exit()
if {dies!r} and any({dies!r} in n for n in full):
    sys.exit("error: no more memory")
entries = []
for name in full:
    for burst in range(int(flags["--benchmark_repetitions"])):
        us = 100.0 * (burst + 1) * {speed} * random.uniform(0.999, 1.001)
        entries.append({{"name": name, "run_type": "iteration", "iterations": 3, "real_time": us, "time_unit": "us",
                        "flop": 1e7, "bytes": 1e6, "exps": 1e3, **{more}}})
        if name.startswith("options"):
            entries[-1].update(plain_seconds=1e-5 * (3 - burst))
        if "--no-errors" in flags:
            entries[-1].pop("error", None)
        if name.startswith(("attention", "plain")):
            entries[-1].update(**({{}} if "--no-errors" in flags else {{"error": 1e-7}}), label="1,12,12,128,128,64")
    entries.append({{"name": name + "_mean", "run_type": "aggregate", "real_time": 1.0, "time_unit": "us"}})
json.dump({{"context": {{"host_name": "secret", "executable": "/home/secret", "attn_version": "0.1.0", "compiler": "gcc 12",
           "build_type": "Release", "blas": "OpenBLAS", "blas_core": "Zen", "blas_threads": "1"}}, "benchmarks": entries}},
          open(flags["--benchmark_out"], "w"))
'''
LIMITS = ["peak/avx2/threads:1", "exp/avx2/threads:1", "bandwidth/L1/threads:1", "bandwidth/L2/threads:1"]
LIMITS += ["bandwidth/L3/threads:1", "bandwidth/memory/threads:1"]
ROWS = [*LIMITS, "kernel/avx2/multiply_keys/d64", "attention/streaming/avx2/bert128"]
ROWS += ["attention/streaming/avx2/bert128/threads:2", "attention/blas/avx2/half/f16_d40", "plain/bert128"]
ROWS += ["options/avx2/decode4k/bf16"]
ROWS += [f"grid/avx2/q1_k{k}_d64_g1" for k in (16, 64, 256)]


@pytest.fixture
def program(tmp_path):
    def make(name="attn_bench", rows=ROWS, speed=1.0, dies="", more="{}"):
        path = tmp_path / name
        text = PROGRAM.format(
            python=sys.executable, rows=rows, speed=speed, dies=dies, more=more, name=name, log=str(tmp_path / "log")
        )
        path.write_text(text)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return path

    return make


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(machine, "busy", lambda: 0.01)


def calls(folder):
    return [json.loads(line) for line in (folder / "log").read_text().splitlines()]


def run(folder, *words):
    status = measure.main([*map(str, words), "--output", str(folder / "bench.json"), "--seconds", "3"])
    return status, results.load(folder / "bench.json") if (folder / "bench.json").exists() else None


def test_a_run(tmp_path, program, capsys):
    status, found = run(tmp_path, "--program", program())
    assert status == 0
    assert [row["name"] for row in found["rows"]] == ROWS
    text = (tmp_path / "bench.json").read_text()
    assert "secret" not in text and str(tmp_path) not in text
    row = next(row for row in found["rows"] if row["name"] == "attention/streaming/avx2/bert128/threads:2")
    told = (row["kind"], row["isa"], row["path"], row["row"], row["threads"])
    assert told == ("attention", "avx2", "streaming", "bert128", 2)
    assert row["shape"]["keys"] == 128 and row["error"] == 1e-7 and row["flop"] == 1e7
    assert row["seconds"] == pytest.approx(100e-6, rel=0.01)  # the fastest burst, not the mean
    assert found["run"]["threads"] == [1, 2] and found["run"]["paired_with"] == []
    assert len(row["samples"]) >= 3
    option = next(row for row in found["rows"] if row["kind"] == "options")
    assert (option["row"], option["option"]) == ("decode4k", "bf16")
    assert option["plain_seconds"] == pytest.approx(1e-5)  # its own fastest burst
    said = capsys.readouterr()
    assert "attention/streaming/avx2/bert128/threads:2" in said.out and "3 cells" in said.out
    assert "measuring: 100%" in said.err and "s left" in said.err


def test_flags_reach_the_program(tmp_path, program):
    wanted = ["--threads=1,2", "--long"]
    more = ["--threads", "1,2", "--sample-seconds", "0.02", "--filter", "blas|multiply"]
    run(tmp_path, "--program", program(), "--long", *more)
    for _, words in calls(tmp_path):
        assert all(flag in words for flag in wanted)
        assert "--benchmark_list_tests" in words or any(w.startswith("--sample-seconds=0.0") for w in words)
    found = results.load(tmp_path / "bench.json")
    assert [row["name"] for row in found["rows"]] == [*LIMITS, ROWS[6], "attention/blas/avx2/half/f16_d40"]
    assert found["run"]["filter"] == "blas|multiply" and found["run"]["long"] and found["run"]["sample_seconds"] == 0.02


def test_shapes_are_measured_beside_the_limits(tmp_path, program):
    shape = "1,12,12,128,128,64"
    _, found = run(tmp_path, "--program", program(rows=[*ROWS, f"attention/streaming/avx2/{shape}"]), "--shape", shape)
    assert found["run"]["shapes"] == [shape]
    assert {row["kind"] for row in found["rows"]} == {"peak", "exp", "bandwidth", "attention"}
    assert any(f"--shape={shape}" in words for _, words in calls(tmp_path))


def test_two_programs_alternate(tmp_path, program):
    old, new = program("old", speed=1.0), program("new", speed=1.1)
    status, _ = run(tmp_path, "--program", new, "--against", old, "--filter", "kernel")
    assert status == 0
    order = [name for name, words in calls(tmp_path) if not {"--benchmark_list_tests"} & set(words)]
    pairs = list(zip(order[::2], order[1::2]))
    assert all(set(pair) == {"old", "new"} for pair in pairs)
    assert len(set(pairs)) == 2  # each is first in some
    files = [str(tmp_path / "bench.against.json"), str(tmp_path / "bench.json")]
    assert compare.are_paired(*map(results.load, files))
    assert compare.main(files) == 1
    assert compare.main(files[::-1]) == 0


def test_rows_that_only_one_program_has(tmp_path, program, capsys):
    old, new = program("old", rows=ROWS[:-1]), program("new")
    run(tmp_path, "--program", new, "--against", old)
    assert f"left out, as only {new} has them: {ROWS[-1]}" in capsys.readouterr().err
    assert len(results.load(tmp_path / "bench.json")["rows"]) == len(ROWS) - 1


@pytest.mark.parametrize(
    "made, words, said",
    [
        ({}, ["--filter", "nothing"], "no benchmark's name has what --filter asks for: nothing"),
        ({"dies": "kernel"}, [], "ended with 1 and said: error: no more memory"),
        ({"rows": []}, [], "lists no benchmarks"),
        ({"rows": [*ROWS, "attention/avx2"]}, [], "'attention/avx2' is not the name of a benchmark"),
    ],
)
def test_failures(tmp_path, program, capsys, made, words, said):
    status, found = run(tmp_path, "--program", program(**made), *words)
    assert status == 1 and found is None
    assert said in capsys.readouterr().err


def test_wrong_results_fail_but_are_written(tmp_path, program, capsys):
    status, found = run(tmp_path, "--program", program(more='{"error": 2e-5}'), "--filter", "kernel")
    assert status == 1 and found
    assert "FAILED: kernel/avx2/multiply_keys/d64: its error against double is 2.0e-05" in capsys.readouterr().err


def test_a_benchmark_that_fails_is_named(tmp_path, program, capsys):
    more = '({"error_occurred": True, "error_message": "no memory"} if name.startswith("kernel") else {})'
    status, found = run(tmp_path, "--program", program(more=more))
    assert status == 1 and len(found["rows"]) == len(ROWS) - 1
    assert "FAILED: kernel/avx2/multiply_keys/d64: no memory" in capsys.readouterr().err


def test_a_busy_machine_is_told(tmp_path, program, capsys, monkeypatch):
    monkeypatch.setattr(machine, "busy", lambda: 0.5)
    status, found = run(tmp_path, "--program", program(), "--filter", "kernel")
    assert status == 0 and found["load"]["busy_before"] == 0.5
    assert "warning: others used 50% of the processors" in capsys.readouterr().out


def test_a_build_folder(tmp_path, program):
    (tmp_path / "build" / "bench").mkdir(parents=True)
    new, old = program("new"), program("build/bench/attn_bench")
    assert run(tmp_path, "--program", new, "--against", old.parent.parent, "--filter", "kernel")[0] == 0


def test_the_commit_is_that_of_the_sources(tmp_path):
    def git(*words):
        subprocess.run(["git", "-C", tmp_path, "-c", "user.name=a", "-c", "user.email=a@b", *words], check=True)

    git("init", "-q")
    (tmp_path / "file").write_text("1")
    git("add", "file")
    git("commit", "-qm", "One")
    (tmp_path / "build" / "bench").mkdir(parents=True)
    (tmp_path / "build" / "CMakeCache.txt").write_text(f"A:INTERNAL=1\nCMAKE_HOME_DIRECTORY:INTERNAL={tmp_path}\n")
    found = Program(tmp_path / "build").source()
    assert re.fullmatch("[0-9a-f]{40}", found["commit"]) and not found["modified"]
    (tmp_path / "file").write_text("2")
    assert Program(tmp_path / "build").source() == {**found, "modified": True}
    (tmp_path / "build" / "CMakeCache.txt").write_text(f"CMAKE_HOME_DIRECTORY:INTERNAL={tmp_path / 'build'}\n")
    assert Program(tmp_path / "build").source() == {"commit": None, "modified": False}  # a part of another checkout


def test_no_program(tmp_path, capsys):
    assert run(tmp_path, "--program", tmp_path / "none")[0] == 1
    assert "cannot be run: No such file" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--filter", "("], ["--seconds", "0"], ["--seconds", "nan"], ["--sample-seconds", "-1"]])
def test_bad_arguments(words):
    with pytest.raises(SystemExit) as stop:
        measure.arguments(words)
    assert stop.value.code == 2


def chunks(*kinds):
    return [schedule.Chunk((f"{kind}/{i}",), (), kind == "grid") for i, kind in enumerate(kinds)]


@pytest.mark.parametrize(
    "costs, seconds, wanted",
    [
        ([1, 1, 1], 18, [6, 6, 6]),
        ([1, 1, 1], 1000, [15, 15, 15]),
        ([1, 1, 1], 15, [6, 3, 6]),  # the grid has less
        ([1, 1, 10], 40, [6, 4, 3]),  # then the dearest; what is left goes to what has least
        ([1, 1, 1], 1, [3, 3, 3]),  # never fewer
        ([0.1, 1, 3], 25.25, [12, 6, 6]),
    ],
)
def test_rounds(costs, seconds, wanted):
    found = schedule.rounds_of(chunks("attention", "grid", "layer"), costs, seconds, 15)
    assert found == wanted


@pytest.mark.parametrize("rounds", [[6, 6], [3, 6], [15, 4], [7, 3]])
def test_turns(rounds):
    turns = list(schedule.order_of(chunks("attention", "layer"), rounds))
    assert [sum(i == which for i, _ in turns) for which in (0, 1)] == rounds
    for which in (0, 1):
        odd = [odd for i, odd in turns if i == which]
        assert odd == [index % 2 == 1 for index in range(len(odd))]


def test_each_second_round_runs_backwards():
    assert [i for i, _ in schedule.order_of(chunks("a", "b", "c"), [2, 2, 2])] == [0, 1, 2, 2, 1, 0]


@pytest.mark.parametrize("name", ["kernel/avx2/exp/L1.x", "attention/blas/avx2/1,2,2,1,3,8,f16/threads:2", "plain/(a)"])
def test_patterns_match_nothing_else(name):
    for added in ("", "/real_time", "/min_time:0.010/manual_time"):
        assert re.search(names.pattern(["other", name]), name + added)
        assert names.plain_name(name + added) == name
    for other in (name + "/threads:4", "x" + name, name + "x", name.replace(".", "_") if "." in name else name[1:]):
        assert not re.search(names.pattern([name]), other)


@pytest.mark.parametrize(
    "name", ["", "peak", "peak/avx2/x", "attention/avx2", "layer/avx2/blas", "kernel/avx2", "sgemm/a/b", "options/avx2/x"]
)
def test_names_that_are_none(name):
    with pytest.raises(ValueError):
        names.parse(name)


def test_this_machine_without_names():
    told = json.dumps(machine.describe())
    assert platform.node() not in json.loads(told).values() and "/home" not in told
    assert machine.describe()["threads"] >= 1


def test_a_machine_that_tells_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "text_of", lambda path: "")
    monkeypatch.setattr(machine, "output_of", lambda *command: "")
    told = machine.describe()
    assert told["cpu"] and told["vendor"] is None and told["caches"] == [] and told["cores"] is None
    assert machine.processor_times() is None and machine.shares_since(None) == (None, None)


def test_an_arm_machine(monkeypatch):
    words = ("processor: 0", "Features: fp asimd sve", "CPU implementer: 0x41", "CPU part: 0xd40", "CPU variant: 0x1")
    monkeypatch.setattr(machine, "text_of", lambda path: "\n".join(words) if path == "/proc/cpuinfo" else "")
    monkeypatch.setattr(machine, "output_of", lambda *command: "Model name: Neoverse-V1\n" if command == ("lscpu",) else "")
    told = machine.describe()
    assert (told["cpu"], told["vendor"], told["family"]) == ("Neoverse-V1", "0x41", None)
    assert (told["model"], told["stepping"]) == (0xD40, 1)
    assert told["flags"] == ["asimd", "sve"] and told["virtual"] is None


def test_caches(tmp_path):
    told = ((1, "Data", "48K", "0,64"), (1, "Instruction", "32K", "0"), (3, "Unified", "36M", "0-15"))
    for index, (level, kind, size, shared) in enumerate(told):
        folder = tmp_path / f"index{index}"
        folder.mkdir()
        for name, text in (("level", level), ("type", kind), ("size", size), ("shared_cpu_list", shared)):
            (folder / name).write_text(f"{text}\n")
    assert machine.caches(tmp_path) == [
        {"level": 1, "type": "Data", "bytes": 49152, "shared_by": 2},
        {"level": 3, "type": "Unified", "bytes": 36 << 20, "shared_by": 16},
    ]


def test_results_are_checked_once_and_samples_have_all_the_time(tmp_path, program):
    run(tmp_path, "--program", program())
    asked = [words for _, words in calls(tmp_path) if any(word.startswith("--benchmark_out=") for word in words)]
    checked = [word for words in asked if "--no-errors" not in words for word in words if "filter" in word]
    assert len(checked) == len(set(checked)) > 0 and len(asked) > 3 * len(checked)


def test_the_shells_options_of_google_benchmark_do_not_reach_it(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCHMARK_REPETITIONS", "7")
    path = tmp_path / "says"
    path.write_text('#!/bin/sh\necho "repetitions/${BENCHMARK_REPETITIONS:-unset}"\n')
    path.chmod(0o755)
    assert Program(path).names([]) == ["repetitions/unset"]


def test_the_last_run_is_kept_and_compared_with(tmp_path, program, monkeypatch, capsys):
    monkeypatch.setattr(compare, "BUILD", tmp_path)
    assert compare.main([]) == 2
    run(tmp_path, "--program", program())
    assert compare.main([]) == 0 and "Nothing to compare yet" in capsys.readouterr().out
    run(tmp_path, "--program", program())
    assert compare.main([]) == 0 and "new / old" in capsys.readouterr().out
