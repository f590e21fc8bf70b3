"""The race of bench/peers/ without a rival: rows.txt's word long, the interval of a ratio, the table.

Run from the project's root: python -m pytest tests/bench
"""

import csv
import math
import pathlib
import random
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

from bench import rows
from bench.peers import interval, table


def rounds(random_, n, mean, noise):
    return [mean * math.exp(random_.gauss(0, noise)) for _ in range(n)]


def test_long_is_no_word_of_a_shape(tmp_path, monkeypatch):
    path = tmp_path / "rows.txt"
    path.write_text("# a comment\nattention short 1 1 1 1 1 8\nattention far 1 1 1 1 9 8 causal long\n")
    monkeypatch.setattr(rows, "PATH", path)
    assert rows.read_rows() == {"attention": {"short": [*"111118"], "far": [*"111198", "causal"]}}
    assert rows.read_rows(long=False) == {"attention": {"short": [*"111118"]}}


def test_interval_holds_the_ratio_in_95_percent():
    random_, held = random.Random(1), 0
    for _ in range(200):
        _, (low, high) = interval.ratio(rounds(random_, 25, 3.0, 0.1), rounds(random_, 25, 2.0, 0.1))
        held += low <= 1.5 <= high
    assert 180 <= held <= 199


def test_what_slows_both_down_is_no_noise():
    random_ = random.Random(2)
    pauses = [10 ** random_.random() for _ in range(40)]
    ours = [x * y for x, y in zip(pauses, rounds(random_, 40, 2.0, 0.001))]
    others = [x * y for x, y in zip(pauses, rounds(random_, 40, 3.0, 0.001))]
    _, (low, high) = interval.ratio(others, ours)
    assert 1.45 < low < high < 1.55


def test_few_rounds_have_a_ratio_only():
    assert interval.ratio([3.0] * 5, [2.0] * 9) == (1.5, None)
    assert interval.ratio([3.0] * 6, [2.0] * 9) == (1.5, [1.5, 1.5])


def result(**changes):
    made = {"row": "seed64", "isa": "avx2", "threads": 1, "attn_ms": 2.0, "attn_gflops": 5.0, "attn_error": 1e-7}
    made |= {"shape": None, "peers": {"torch": 3.0}, "best_peer": "torch", "how": {"torch": ""}, "left_out": {}}
    made |= {"ratio": 1.5, "ratio_interval": [1.4, 1.62], "loops_ratio": None, "loops_interval": None}
    return {**made, "peak_fraction": None, **changes}


def test_the_table_has_the_interval(tmp_path, capsys):
    table.show(result())
    assert "1.50 ± 0.11" in capsys.readouterr().out
    table.show(result(ratio_interval=None))
    assert "±" not in capsys.readouterr().out
    table.write(tmp_path / "peers.json", tmp_path / "peers.csv", table.about(), [result(), result(ratio_interval=None)])
    first, second = csv.DictReader((tmp_path / "peers.csv").open())
    assert (first["ratio_interval_low"], first["ratio_interval_high"], first["loops_interval_low"]) == ("1.4", "1.62", "")
    assert second["ratio"] == "1.5" and second["ratio_interval_low"] == ""
