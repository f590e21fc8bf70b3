"""bench/results.py: what is refused, by which words; and what is not sound."""

import json

import pytest
import simulated

from scipy import stats

from bench import collect, rates, results
from bench.program import Sample

SHAPE = "1,12,12,128,128,64"
MADE = {  # name: (seconds, counters, shape)
    "peak/avx2/threads:1": (1e-3, {"flop": 1e8}, ""),
    "exp/avx2/threads:1": (1e-3, {"exps": 2e6}, ""),
    "bandwidth/L1/threads:1": (1e-3, {"bytes": 4e8}, ""),
    "bandwidth/L2/threads:1": (1e-3, {"bytes": 2e8}, ""),
    "bandwidth/L3/threads:1": (1e-3, {"bytes": 1e8}, ""),
    "bandwidth/memory/threads:1": (1e-3, {"bytes": 1e7}, ""),
    "attention/streaming/avx2/bert128": (8e-4, {"flop": 5e7, "bytes": 1.5e6, "exps": 2e5, "error": 1e-7}, SHAPE),
    "plain/bert128": (2e-3, {"flop": 5e7, "bytes": 1.5e6, "exps": 2e5, "error": 1e-7}, SHAPE),
    "softmax/avx2/512x512": (3e-4, {"bytes": 2e6, "exps": 2.6e5, "error": 1e-7}, ""),
}


def made():
    found = simulated.results({})
    found["rows"] = [
        collect.row_of(name, [Sample(seconds * (1 + 0.01 * i), counters, shape, None) for i in range(7)], counters.get("error"))
        for name, (seconds, counters, shape) in MADE.items()
    ]
    found["rates"] = rates.derive(found["rows"], found["machine"])
    return found


def row(found, name):
    return next(row for row in found["rows"] if row["name"] == name)


def test_what_is_written_is_read_back(tmp_path):
    found = made()
    results.write(found, tmp_path / "new" / "a.json")
    assert results.load(tmp_path / "new" / "a.json") == found


def test_derived_figures():
    found = made()
    assert found["rates"]["peak_gflops"] == {"avx2": {"1": pytest.approx(100)}}
    attention = row(found, "attention/streaming/avx2/bert128")
    seconds = 8e-4 * 1.03  # the median of seven
    assert attention["seconds"] == pytest.approx(seconds)
    assert attention["interval"][0] < seconds < attention["interval"][1]
    assert attention["gflops"] == pytest.approx(5e7 / seconds / 1e9)
    assert attention["share_of_peak"] == pytest.approx(5e7 / seconds / 1e11)
    assert attention["attainable_seconds"] == pytest.approx(5e7 / 1e11 + 2e5 / 2e9)  # longer than 1.5e6 bytes from L3
    softmax = row(found, "softmax/avx2/512x512")
    assert softmax["attainable_seconds"] == pytest.approx(2.6e5 / 2e9)
    assert row(found, "plain/bert128")["share_of_peak"] == pytest.approx(5e7 / (2e-3 * 1.03) / 1e11)


@pytest.mark.parametrize(
    "bytes_read, threads, level",
    [(32768, 1, "L1"), (32769, 1, "L2"), (65536, 2, "L1"), (524289, 1, "L3"), (1 << 25, 2, "L3"), (1 << 26, 2, "memory")],
)
def test_the_smallest_level_that_holds_the_bytes(bytes_read, threads, level):
    assert rates.level_of(bytes_read, simulated.HEAD["machine"], threads) == level


def test_without_caches_or_rates_nothing_is_attainable():
    found = made()
    found["machine"]["caches"] = []
    rates.derive(found["rows"], found["machine"])
    assert row(found, "attention/streaming/avx2/bert128")["attainable_seconds"] is None
    rows = [row(made(), "attention/streaming/avx2/bert128")]
    assert rates.derive(rows, simulated.HEAD["machine"])["peak_gflops"] == {}
    assert rows[0]["share_of_peak"] is None and rows[0]["share_of_attainable"] is None


def set_at(found, place, value):
    *way, last = place
    for step in way:
        found = found[step]
    found[last] = value


@pytest.mark.parametrize(
    "place, value, words",
    [
        (["schema"], "attn-bench/0", "schema: is 'attn-bench/0'"),
        (["rows", 3, "seconds"], -1, "rows[3].seconds: -1"),
        (["rows", 3, "seconds"], "fast", "rows[3].seconds: 'fast'"),
        (["rows", 3, "host"], "mine", "rows[3]: Additional properties are not allowed ('host' was unexpected)"),
        (["machine", "caches", 0, "bytes"], 0, "machine.caches[0].bytes: 0"),
        (["attn", "commit"], "main", "attn.commit: 'main'"),
        (["rates", "peak_gflops", "avx2", "none"], 1.0, "rates.peak_gflops.avx2: 'none'"),
        (["rows", 1, "name"], "peak/avx2/threads:1", "rows[1].name: 'peak/avx2/threads:1' stands twice"),
        (["run", "paired_with"], [3], "run.paired_with[0]: 3"),
        (["load", "stolen"], 1.5, "load.stolen: 1.5"),
    ],
)
def test_what_is_refused(tmp_path, place, value, words):
    found = made()
    set_at(found, place, value)
    path = tmp_path / "a.json"
    path.write_text(json.dumps(found))
    with pytest.raises(ValueError) as error:
        results.load(path)
    assert str(error.value).startswith(f"{path}: {words}")
    with pytest.raises(ValueError):
        results.write(found, tmp_path / "b.json")
    assert not (tmp_path / "b.json").exists()


@pytest.mark.parametrize("text", ["", "[", "3", "null", '{"schema": NaN}', "[" * 100000, "\udcff"])
def test_what_is_no_results_file(tmp_path, text):
    path = tmp_path / "a.json"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ValueError, match="a.json: "):
        results.load(path)
    with pytest.raises(ValueError, match="none.json: cannot be read"):
        results.load(tmp_path / "none.json")


def test_a_sound_file(tmp_path, capsys):
    results.write(made(), tmp_path / "a.json")
    assert results.main([tmp_path / "a.json"]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'a.json'}: sound\n"


@pytest.mark.parametrize(
    "place, value, words",
    [
        (["attn", "modified"], True, "with changes"),
        (["attn", "commit"], None, "not a commit"),
        (["run", "filter"], "x", "run.filter: is 'x'"),
        (["run", "shapes"], [SHAPE], "run.shapes"),
        (["build", "build_type"], "Debug", "'Debug', not 'Release'"),
        (["rows", 6, "seconds"], 1e-4, "not the median"),
        (["rows", 6, "gflops"], 1e4, "gflops is 10000.0, but"),
        (["rows", 6, "error"], 1e-4, "error against double is 1.0e-04"),
        (["rows", 6, "isa"], "avx512", "isa is 'avx512', but 'avx2' by its name"),
        (["rows", 6, "interval"], [1e-9, 2e-9], "outside its interval"),
        (["rows", 6, "shape", "keys"], 64, "not with this shape"),
        (["rows", 6, "name"], "attention/streaming/avx2/bert129", "rows.txt and bench/grid.py do not have it"),
        (["rows", 8, "name"], "softmax/avx2/1x1", "rows.txt and bench/grid.py do not have it"),
        (["rows", 0, "samples"], [1.0] * 7, "share_of_peak is"),
        (["rates", "exps_per_second"], {}, "rates.exps_per_second: avx2 is missing"),
        (["rates", "peak_gflops", "avx2", "1"], 50.0, "rates: are not those of the rows"),
    ],
)
def test_what_is_not_sound(tmp_path, capsys, place, value, words):
    found = made()
    set_at(found, place, value)
    if place[-1] == "name":
        set_at(found, [*place[:-1], "row"], value.split("/")[-1])
    if place[-1] == "samples":  # a peak that was measured when it was slow
        found["rows"][0]["seconds"] = 1.0
        found["rates"] = rates.derive(found["rows"], found["machine"])
    results.write(found, tmp_path / "a.json")
    assert results.main([tmp_path / "a.json"]) == 1
    said = capsys.readouterr().out
    assert words in said and said.endswith("NOT SOUND\n")


@pytest.mark.parametrize("cache, rounded, sound", [("f32", False, False), ("i8", False, False), ("bf16", True, True)])
def test_errors_of_every_cache_but_of_rounded_weights_end_it(cache, rounded, sound):
    found = made()
    row = found["rows"][6]
    row["shape"].update({"cache": cache} | ({"bf16_weights": True} if rounded else {}))
    row["error"] = 1e-4
    assert (list(results.wrong(found)) == []) == sound


def test_a_busy_machine_is_only_a_warning(tmp_path, capsys):
    found = made()
    found["load"].update(busy_before=0.3, stolen=0.04)
    results.write(found, tmp_path / "a.json")
    assert results.main([tmp_path / "a.json"]) == 0
    said = capsys.readouterr().out
    assert "others used 30%" in said and "the host gave 4%" in said


@pytest.mark.parametrize("count, ends", [(5, None), (6, [0, 5]), (8, [0, 7]), (9, [1, 7]), (15, [3, 11])])
def test_the_interval_of_a_median(count, ends):
    samples = list(range(count))
    assert collect.interval(samples[::-1]) == ends
    if hasattr(stats, "quantile_test"):
        found = stats.quantile_test(samples, p=0.5).confidence_interval(0.95)
        assert ends is None or [found.low, found.high] == ends
