"""bench/counts/check.py: callgrind's file read, the limit both ways, compilers without a baseline, renewing."""

import stat

import pytest

from bench.counts import check

CALLGRIND = """\
version: 1
creator: callgrind
positions: line
events: Ir

ob=(1) /b/attn_counts
fl=(1) calls.cpp
fn=(1) attn_counted
10 5
+2 7
cob=(2) /lib/libm.so.6
cfn=(2) fmaf
calls=3 0
* 900
-1 11

ob=(2)
fn=(2)
0 900

ob=(1)
fn=(3) main
* 1
calls=1 10
20 23

totals: 924
"""


def test_only_the_programs_own_instructions_count():
    assert check.own_instructions(CALLGRIND, "/b/attn_counts") == 5 + 7 + 11 + 1
    assert check.own_instructions(CALLGRIND, "/lib/libm.so.6") == 900
    assert check.own_instructions(CALLGRIND, "/b/other") == 0


def test_baseline_is_read_as_it_was_written():
    sections = {"GNU 12.2.0": {"avx2 tiny": 100, "scalar tiny": 7}, "GNU 14.2.0": {"avx2 tiny": 90}}
    assert check.read_baseline(check.write_baseline(sections)) == sections
    assert check.read_baseline("") == {}


@pytest.mark.parametrize("text", ["avx2 tiny 100\n", "[GNU 12]\navx2 tiny\n", "[GNU 12]\navx2 tiny 1.5\n"])
def test_bad_baseline_names_the_line(text):
    with pytest.raises(ValueError, match=f"line {len(text.splitlines())} is neither"):
        check.read_baseline(text)


@pytest.mark.parametrize("new, word", [(10201, "2.0 % more"), (9799, "2.0 % fewer"), (20000, "100.0 % more")])
def test_beyond_the_limit_either_way(new, word):
    wrong, lines = check.compare({"avx2 a": 10000, "avx2 b": 10000}, {"avx2 a": new, "avx2 b": 10000})
    assert len(wrong) == 1 and len(lines) == 2
    assert wrong[0].startswith("avx2 a: ") and word in wrong[0]


@pytest.mark.parametrize("new", [10000, 10200, 9800])
def test_within_the_limit(new):
    assert check.compare({"avx2 a": 10000}, {"avx2 a": new})[0] == []


def test_cases_on_one_side_only():
    wrong, _ = check.compare({"avx2 old": 1, "avx2 both": 1}, {"avx2 both": 1, "avx2 new": 1})
    assert wrong == ["avx2 old: in the baseline, but no longer counted", "avx2 new: not in the baseline"]


# ---- The whole check, with counts put in ----


@pytest.fixture
def gate(tmp_path, monkeypatch):
    """run(...) of a program of two cases; counts are set in gate.counts."""

    class Gate:
        counts = {"avx2 one": 1000, "avx2 two": 2000, "scalar one": 3000, "scalar two": 4000}
        baseline = tmp_path / "baseline.txt"
        program = tmp_path / "attn_counts"

        def built(self, by):
            self.program.write_text(f"#!/bin/sh\necho '{by}'; echo one; echo two\n")
            self.program.chmod(self.program.stat().st_mode | stat.S_IXUSR)

        def run(self, *arguments):
            return check.main(["--program", str(self.program), "--baseline", str(self.baseline), *arguments])

    made = Gate()
    made.built("GNU 12.2.0")
    monkeypatch.setattr(check, "count", lambda program, case: made.counts[case])
    monkeypatch.setattr(check.shutil, "which", lambda name: "/usr/bin/" + name)
    return made


def test_unknown_compiler_is_skipped_with_the_command(gate, capsys):
    gate.baseline.write_text("[GNU 14.2.0]\navx2 one 1\n")
    assert gate.run() == 77
    said = capsys.readouterr().out
    assert "no baseline for GNU 12.2.0 (has: GNU 14.2.0)" in said and "counts --renew" in said


def test_another_build_is_skipped_and_never_stored(gate, capsys):
    gate.built("not that of the release preset")
    assert gate.run("--renew") == 77
    assert not gate.baseline.exists()
    assert "this build is not that of the release preset" in capsys.readouterr().out


def test_renewed_baseline_passes_and_keeps_other_compilers(gate):
    gate.baseline.write_text("[GNU 14.2.0]\navx2 one 1\n")
    assert gate.run("--renew") == 0
    assert check.read_baseline(gate.baseline.read_text()) == {"GNU 14.2.0": {"avx2 one": 1}, "GNU 12.2.0": gate.counts}
    assert gate.run() == 0


@pytest.mark.parametrize("factor", [1.03, 0.97])
def test_three_percent_fail_until_renewed(gate, factor, capsys):
    gate.run("--renew")
    gate.counts = {case: round(n * factor) if case == "scalar two" else n for case, n in gate.counts.items()}
    assert gate.run() == 1
    assert "scalar two: 3.0 %" in capsys.readouterr().err
    assert gate.run("--renew") == 0
    assert gate.run() == 0


def test_without_valgrind_it_is_skipped(gate, monkeypatch, capsys):
    monkeypatch.setattr(check.shutil, "which", lambda name: None)
    assert gate.run() == 77
    assert "Debian: valgrind" in capsys.readouterr().out


def test_cpu_without_avx2_is_skipped(gate, monkeypatch):
    gate.run("--renew")

    def refuse(program, case):
        raise check.Skipped("avx2 does not run on this CPU")

    monkeypatch.setattr(check, "count", refuse)
    assert gate.run() == 77


def test_stored_baseline_is_sound():
    sections = check.read_baseline(check.BASELINE.read_text())
    assert sections
    for cases in sections.values():
        assert {case.split()[0] for case in cases} == set(check.ISAS)
        assert min(cases.values()) > 0
