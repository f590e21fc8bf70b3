"""bench/compare.py on simulated files: nothing is flagged without a change, whatever the machine does; 5 % is seen."""

import numpy as np
import pytest
import simulated
from scipy import stats
from simulated import Noise, pair

from bench import compare, results

SLOWER = ("kernel/avx2/kernel3/64", "attention/streaming/avx2/row5")
NOISES = {
    "quiet": Noise(0.004),
    "outliers": Noise(0.01, outliers=0.15),
    "drift": Noise(0.01, outliers=0.05, drift=0.05),
    "another speed": Noise(0.005, outliers=0.05, run=0.2),
    "rows by themselves": Noise(0.004, rows=0.02),
    "loud": Noise(0.2, outliers=0.2, drift=0.1, run=0.2),
}


def moved(files):
    return {change.name: change.log for change in compare.decide(*files)[1]}


@pytest.mark.parametrize("noise", NOISES)
def test_ten_comparisons_with_itself(noise):
    for seed in range(10):
        assert not moved(pair(np.random.default_rng(seed), NOISES[noise], rows=60, rounds=7)), seed


@pytest.mark.parametrize("noise", ["quiet", "outliers", "drift", "another speed"])
def test_ten_paired_comparisons_with_itself(noise):
    for seed in range(10):
        assert not moved(pair(np.random.default_rng(seed), NOISES[noise], rows=60, rounds=10, paired=True)), seed


@pytest.mark.parametrize("by", [1.05, 1 / 1.05])
@pytest.mark.parametrize("paired, noise, rounds", [(False, "quiet", 8), (True, "quiet", 8), (True, "drift", 24)])
def test_five_percent(paired, noise, rounds, by):
    for seed in range(5):
        files = pair(np.random.default_rng(seed), NOISES[noise], SLOWER, by, rows=60, rounds=rounds, paired=paired)
        found = moved(files)
        assert set(found) == set(SLOWER), seed
        assert all(log == pytest.approx(np.log(by), abs=0.02) for log in found.values())


@pytest.mark.parametrize("by, found", [(1.05, {"all 30 rows of attention together"}), (1.0, set())])
def test_all_rows_together_show_what_the_noise_of_each_hides(by, found):
    every = [f"attention/streaming/avx2/row{i}" for i in range(30)]
    for seed in range(5):
        files = pair(np.random.default_rng(seed), Noise(0.06), every, by, rows=60, rounds=15, paired=True)
        assert found <= set(moved(files)) and (found or not moved(files)), seed


def test_everything_slower_is_not_the_machine():
    every = [f"kernel/avx2/kernel{i}/64" for i in range(30)] + [f"attention/streaming/avx2/row{i}" for i in range(30)]
    found = moved(pair(np.random.default_rng(0), NOISES["quiet"], every, 1.06, rows=60, rounds=8))
    assert len(found) > 50


def test_a_faster_machine_is_not_a_faster_library():
    old, new = pair(np.random.default_rng(0), NOISES["quiet"], rows=60)
    for row in new["rows"]:
        row["samples"] = [x / 1.3 for x in row["samples"]]
    attn, found, machine = compare.decide(old, new)
    assert not found
    assert machine.mean == pytest.approx(-np.log(1.3), abs=0.01)
    assert max(abs(change.log) for change in attn) < 0.02


def test_two_percent_is_too_little():
    files = pair(np.random.default_rng(0), Noise(0.0005), SLOWER, 1.015, rows=60, paired=True)
    assert not moved(files)
    assert set(moved(pair(np.random.default_rng(0), Noise(0.0005), SLOWER, 1.025, rows=60, paired=True))) == set(SLOWER)


def test_samples_that_are_all_alike():
    old, new = pair(np.random.default_rng(0), Noise(0.0), SLOWER, 1.05, rows=20)
    assert set(moved((old, new))) == set(SLOWER)


def test_without_controls_only_pairs_can_be_compared():
    for paired in (False, True):
        files = pair(np.random.default_rng(0), NOISES["quiet"], SLOWER, 1.05, rows=60, paired=paired)
        for one in files:
            one["rows"] = [row for row in one["rows"] if not compare.is_control(row)]
        assert set(moved(files)) == (set(SLOWER) if paired else set())


def test_controls_of_few_samples_do_not_count():
    old, new = pair(np.random.default_rng(0), NOISES["quiet"], SLOWER, 1.05, rows=60)
    for row in new["rows"]:
        if row["name"].startswith("plain/"):
            row["samples"] = [2 * x for x in row["samples"][:3]]
    assert set(moved((old, new))) == set(SLOWER)


def test_too_few_samples_flag_nothing():
    old, new = pair(np.random.default_rng(0), Noise(0.0005), SLOWER, 1.5, rows=20, rounds=2, paired=True)
    with pytest.raises(ValueError, match="no row in common"):
        compare.decide(old, new)


def write(folder, files):
    paths = [folder / "old.json", folder / "new.json"]
    for one, path in zip(files, paths):
        results.write(one, path)
    return [str(path) for path in paths]


@pytest.mark.parametrize(
    "by, status, word", [(1.05, 1, "2 slower, 0 faster"), (0.95, 0, "0 slower, 2 faster"), (1.0, 0, "0 slower, 0 faster")]
)
def test_exit_status(tmp_path, capsys, by, status, word):
    paths = write(tmp_path, pair(np.random.default_rng(1), NOISES["quiet"], SLOWER, by, rows=60, paired=True))
    assert compare.main(paths) == status
    said = capsys.readouterr().out
    assert word in said and "warning" not in said
    assert all((name in said) == (by != 1) for name in SLOWER)


def test_what_differs_is_told(tmp_path, capsys):
    old, new = pair(np.random.default_rng(1), NOISES["quiet"], rows=60)
    new["machine"]["cpu"] = "Another CPU"
    new["build"]["compiler"] = "clang 19"
    new["load"]["busy_before"] = 0.4
    del new["rows"][-1]
    compare.main(write(tmp_path, (old, new)))
    said = capsys.readouterr().out
    assert "machine.cpu differs: Made-up CPU and Another CPU" in said
    assert "build.compiler differs: gcc 12.2.0 and clang 19" in said
    assert "others used 40% of the processors before the new run" in said
    assert "only in the old file: 1, such as attention/streaming/avx2/row29" in said


def test_files_that_cannot_be_compared(tmp_path, capsys):
    paths = write(tmp_path, pair(np.random.default_rng(1), NOISES["quiet"], rows=2))
    assert compare.main([paths[0], str(tmp_path / "none.json")]) == 2
    assert "none.json: cannot be read" in capsys.readouterr().err
    results.write(simulated.results({}), tmp_path / "empty.json")
    assert compare.main([paths[0], str(tmp_path / "empty.json")]) == 2
    assert "no row in common" in capsys.readouterr().err


@pytest.mark.parametrize("trim", [0, 0.2])
def test_intervals_and_rates_are_those_of_newer_scipy(trim):
    if not hasattr(stats, "false_discovery_control"):
        pytest.skip("SciPy before 1.11")
    random = np.random.default_rng(1)
    a, b = random.normal(0, 1, (50, 15)), random.normal(0.5, 2, (50, 13))
    test = stats.ttest_ind(b, a, axis=1, equal_var=False, trim=trim)
    ends = test.confidence_interval(0.95)
    assert compare.half_width(a, b, trim) == pytest.approx((ends.high - ends.low) / 2)
    assert compare.adjusted(test.pvalue) == pytest.approx(stats.false_discovery_control(test.pvalue))
