"""bench/mca.py and bench/predict.py: loops found in assembly, llvm-mca's output read, what is judged."""

import json
import re

import pytest

from bench import mca, predict

AVX2 = mca.ISAS["avx2"]
FMA = "\tvfmadd231ps\t%ymm1, %ymm2, %ymm{}"


def function(name, header, body, frame=False):
    """Assembly as gcc writes it: the loop .L3, a label of debug information in it, another function's code around."""
    return [
        '\t.file 1 "/somewhere/simd/other.hpp"', f'\t.file 2 "/somewhere/simd/{header}"', f"{name}:", ".LFB1:",
        *(["\tmovq\t%rsp, %rbp"] if frame else []), "\tvmovups\t%ymm9, -40(%rsp)", "\t.p2align 4", ".L3:",
        "\t.loc 2 70 5 is_stmt 0 view .LVU1", ".LBB99:", *body, "\taddq\t$1, %rax", "\tcmpq\t%rcx, %rax", "\tjne\t.L3",
        "\tret",
    ]


def fmas(n):
    return [FMA.format(i) for i in range(n)]


PANELS = "_ZN4attn15multiply_panelsINS1_9Avx2LanesELi6ELi1EEEvRKNS1_12PanelProductE"


def loops(lines, isa=AVX2, shape=(6, 1)):
    return list(mca.tile_loops(lines, isa, shape))


@pytest.mark.parametrize("name, header, role", [
    ("_ZN11score_blockEv", "product.hpp", "scores"),
    ("_ZN15multiply_valuesEv", "product.hpp", "values"),
    ("_ZN13multiply_tileINS1_9Avx2LanesELi6ELi1ELNS1_6SourceE0EfEEvRK", "product.hpp", "scores, values"),
    (PANELS, "project.hpp", "projection"),
])
def test_loop_of_the_full_tile_is_found(name, header, role):
    (loop,) = loops(function(name, header, fmas(12)))
    assert (loop.role, loop.fmas, loop.spills, len(loop.lines)) == (role, 12, 0, 15)


@pytest.mark.parametrize("name, header, body", [
    (PANELS.replace("Li6E", "Li5E"), "project.hpp", fmas(12)),  # five rows
    (PANELS.replace("Li1E", "Li2E"), "project.hpp", fmas(24)),  # two panels
    (PANELS, "project.hpp", fmas(10)),  # no whole steps
    (PANELS, "softmax.hpp", fmas(12)),
    (PANELS, "project.hpp", fmas(12) + ["\tprefetcht0\t(%rax)"]),
    (PANELS, "project.hpp", fmas(12) + ["\tvmaskmovps\t(%rcx), %ymm12, %ymm14"]),
    (PANELS, "project.hpp", fmas(6) + [".L4:"] + fmas(6) + ["\tje\t.L4"]),  # not the innermost
])
def test_other_loops_are_not(name, header, body):
    assert loops(function(name, header, body)) == []


def test_unrolled_loop_is_found():
    assert loops(function(PANELS, "project.hpp", fmas(48)))[0].fmas == 48


@pytest.mark.parametrize("line, frame, spills", [
    ("\tvmovaps\t%ymm3, 64(%rsp)", False, 1),
    ("\tvmovups\t64(%rsp), %ymm3", False, 1),
    ("\tvmovaps\t%ymm3, -64(%rbp)", True, 1),
    ("\tvmovaps\t%ymm3, -64(%rbp)", False, 0),  # rbp is any register there
    ("\tmovq\t64(%rsp), %rdi", False, 0),  # no vector
])
def test_spills(line, frame, spills):
    (loop,) = loops(function(PANELS, "project.hpp", [*fmas(12), line], frame))
    assert loop.spills == spills


def test_arm_assembly():
    neon = mca.ISAS["neon"]
    body = [f"\tfmla\tv{i}.4s, v30.4s, v31.s[0]" for i in range(24)] + ["\tstr\tq7, [sp, 32]", "\tldr\tx3, [sp, 8]"]
    lines = ['\t.file 2 "simd/product.hpp"', "_ZN11score_blockEv:", ".L3:", "\t.loc 2 1 2", *body, "\tbne\t.L3"]
    (loop,) = loops(lines, neon)
    assert (loop.role, loop.fmas, loop.spills) == ("scores", 24, 1)


def test_clang_assembly():
    lines = ['\t.file\t2 "/a/simd" "project.hpp" md5 0x12', f"{PANELS}:", ".LBB0_2:   # in Loop", "\t.loc\t2 1 2",
             ".Ltmp1:", *fmas(12), "\tjne\t.LBB0_2 # back"]
    assert [x.role for x in loops(lines)] == ["projection"]


ANSWER = """\
Iterations:        500
Instructions:      1500
Total Cycles:      3015
Total uOps:        2000

Dispatch Width:    4
uOps Per Cycle:    1.00
IPC:               1.00
Block RThroughput: 6.0

Cycles with backend pressure increase [ 50.00% ]
Throughput Bottlenecks:
  Resource Pressure       [ 41.00% ]
  - Zn3FP0  [ 41.00% ]
  Data Dependencies:      [ 9.00% ]
  - Register Dependencies [ 9.00% ]
  - Memory Dependencies   [ 1.00% ]

Resources:
[0]   - Zn3AGU0
[1]   - Zn3FP0
[2.0] - Zn3FP1

Resource pressure per iteration:
[0]    [1]    [2.0]
 -     5.80   2.00

Resource pressure by instruction:
[0]    [1]    [2.0]  Instructions:
 -     1.00    -     vfmadd231ps\t%ymm14, %ymm15, %ymm0
 -     0.50   0.50   vbroadcastss\t(%rax), %ymm15
1.00    -      -     addq\t$1, %rax
"""


def test_answer_is_read():
    answer = mca.parse(ANSWER)
    assert (answer.cycles, answer.least, answer.width, answer.uops) == (6.03, 6.0, 4, 4.0)
    assert answer.first_unit == "Zn3AGU0"
    assert answer.unit_cycles == {"Zn3FP0": 5.8, "Zn3FP1": 2.0}
    assert [busy for _, busy in answer.by_instruction] == [
        {"Zn3FP0": 1.0}, {"Zn3FP0": 0.5, "Zn3FP1": 0.5}, {"Zn3AGU0": 1.0}]
    assert answer.causes == {"resources": 0.41, "registers": 0.09, "memory": 0.01}


def test_limit_in_words():
    answer = mca.parse(ANSWER)
    assert predict.limit(answer, AVX2, 0.99) == "the FMA units: always busy"
    assert predict.limit(answer, AVX2, 0.9) == "the FMA units, which also do 1 vbroadcastss"
    answer.unit_cycles = {"Zn3FP0": 2, "Zn3AGU0": 6}
    assert predict.limit(answer, AVX2, 0.9) == "another unit: Zn3AGU0"
    answer.unit_cycles = {"Zn3FP0": 2}
    assert predict.limit(answer, AVX2, 0.9) == "how instructions fall onto the units"
    answer.causes["registers"] = 0.8
    assert predict.limit(answer, AVX2, 0.9) == "waiting for earlier results"
    answer.uops = 24
    assert predict.limit(answer, AVX2, 0.9) == "starting instructions: 24 a turn, 4 a cycle"


@pytest.mark.parametrize("unit, model", [
    ("SPRPort00", "SPR"), ("Zn3AGU0", "Zn3"), ("ZnAGU0", "Zn"), ("HWDivider", "HW"), ("N1UnitB", "N1"),
    ("A57UnitW", "A57"), ("CyUnitVM", "Cy"), ("New1Unit", "New1Unit")])
def test_model_of_a_unit(unit, model):
    assert predict.model_prefix(unit) == model


def fake_ask(cycles, unit="Zn4FP0"):
    def ask(tool, isa, cpu, lines):
        alone = len(set(lines)) == 1
        return mca.Answer(cycles, 12.0 if alone else 6.0, 6, 20, unit, {unit: 6}, [], {"resources": 0, "registers": 0})
    return ask


def record(monkeypatch, cycles, cpu="znver4", unit="Zn4FP0", isa="avx2", spills=0):
    monkeypatch.setattr(mca, "ask", fake_ask(cycles, unit))
    (cpu,) = (x for x in predict.CPUS if x.name == cpu)
    (found,) = predict.predict("llvm-mca", mca.ISAS[isa], [mca.Loop("scores", 12, spills, ["a", "b"])], cpu)
    return found


def test_share_is_of_the_units(monkeypatch):
    found = record(monkeypatch, 8.0)
    assert (found["fmas_a_cycle"], found["share_of_peak"]) == (2, 0.75)
    assert (found["own_model"], found["model"]) == (True, "Zen 4")


def test_slowest_loop_of_a_role_counts(monkeypatch):
    def ask(tool, isa, cpu, lines):
        return fake_ask(float(lines[0]) if len(lines) == 1 else 0)(tool, isa, cpu, lines)
    monkeypatch.setattr(mca, "ask", ask)
    slow, fast = (mca.Loop("values", 12, 0, [x]) for x in ("8", "6"))
    (found,) = predict.predict("", AVX2, [fast, slow], predict.CPUS[0])
    assert found["cycles"] == 8


def test_low_share_and_spills_are_faults(monkeypatch):
    assert list(predict.faults([record(monkeypatch, 7.0)])) == []
    assert "0.75 of the peak is below 0.8" in next(predict.faults([record(monkeypatch, 8.0)]))
    assert "do not stay in registers" in next(predict.faults([record(monkeypatch, 7.0, spills=2)]))
    assert list(predict.faults([record(monkeypatch, 7.9, isa="avx512")])) == []  # Zen 4's broadcasts
    assert len(list(predict.faults([record(monkeypatch, 8.5, isa="avx512")]))) == 1


def test_foreign_models_are_not_judged(monkeypatch):
    for cpu, unit in (("znver5", "Zn4FP0"), ("apple-m1", "CyUnitVM"), ("neoverse-n1", "A57UnitW")):
        found = record(monkeypatch, 9.0, cpu, unit, "neon" if cpu != "znver5" else "avx2")
        assert not found["own_model"] and list(predict.faults([found])) == []


def test_cpu_that_llvm_does_not_know(monkeypatch):
    monkeypatch.setattr(mca, "ask", lambda *_: None)
    assert predict.predict("", AVX2, [], predict.CPUS[0]) == []


def test_measured_share():
    rows = [{"name": f"kernel/avx2/multiply_keys/{d}", "gflops": g, "share_of_peak": s}
            for d, g, s in (("d64", 80.0, None), ("d128", 95.0, 0.95))]
    rows.append({"name": "kernel/avx512/multiply_keys/d64", "gflops": 1.0, "share_of_peak": 0.1})
    bench = {"rates": {"peak_gflops": {"avx2": {"1": 100.0}}}, "rows": rows}
    assert predict.measured_shares(bench, "avx2") == [0.8, 0.95]
    assert predict.measured_shares(bench, "scalar") is None
    assert predict.measured_shares({}, "avx2") is None


def test_bad_results_file(tmp_path):
    path = tmp_path / "bench.json"
    assert predict.read_bench(path) == {}
    path.write_text("{")
    with pytest.raises(SystemExit, match="is not a results file"):
        predict.read_bench(path)


def test_table_says_whose_model(monkeypatch, capsys):
    found = record(monkeypatch, 8.0, "znver5") | {"measured_share": [0.8, 0.91]}
    predict.show([found], "znver5")
    text = capsys.readouterr().out
    assert re.search(r"znver5 \* +avx2 +scores +12 +8.0 +0.75 +0.80-0.91", text)
    assert "LLVM has no model of its own for it and takes that of Zen 4" in text


@pytest.mark.parametrize("rate, noted", [(1, True), (2, False)])
def test_note_on_models_with_one_unit(monkeypatch, capsys, rate, noted):
    found = record(monkeypatch, 8.0, "sapphirerapids", "SPRPort00", "avx512") | {"fmas_a_cycle": rate}
    predict.show([found], None)
    assert ("LLVM gives it one FMA unit" in capsys.readouterr().out) == noted


def test_instruction_sets_are_those_of_the_library():
    names = re.search(r"names\[\] = \{([^}]*)\}", (mca.ROOT / "src/dispatch.cpp").read_text())[1]
    assert set(re.findall(r'"(\w+)"', names)) == {*mca.ISAS, "scalar"}
    for isa in mca.ISAS.values():
        assert mca.tile(isa)[0] > 0
        assert bool(mca.isa_flags(isa)) == (isa.name != "neon")


def test_whole_command(tmp_path, monkeypatch):
    """With what is here: the real compiler and llvm-mca."""
    if not mca.newest("llvm-mca") or not predict.compiler_for(AVX2, None):
        pytest.skip("needs llvm-mca and a compiler for x86-64")
    output = tmp_path / "sub/predict.json"
    predict.main(["--cpu", "haswell", "--isa", "avx2", "--output", str(output), "--bench", str(tmp_path / "none")])
    data = json.loads(output.read_text())
    assert {x for r in data["loops"] for x in r["loop"].split(", ")} == {"scores", "values", "projection"}
    assert all(0.8 <= r["share_of_peak"] <= 1.01 and r["spills"] == 0 for r in data["loops"])
