"""From attn_bench to the page, with the real program: ATTN_BENCH names it, as `sh cmake/dev.sh tools` does."""

import os

import pytest

from bench import compare, measure, results
from bench.report.__main__ import main as report


@pytest.mark.skipif("ATTN_BENCH" not in os.environ, reason="ATTN_BENCH does not name attn_bench")
def test_a_short_run_is_sound_and_becomes_a_page(tmp_path):
    path, page = tmp_path / "bench.json", tmp_path / "report.html"
    words = ["--program", os.environ["ATTN_BENCH"], "--filter", "/seed64$", "--seconds", "2", "--output", path]
    assert measure.main([str(word) for word in words]) == 0
    found = results.load(path)
    measured = [row for row in found["rows"] if row["row"] == "seed64" and row["kind"] == "attention"]
    assert measured and all(0 < row["error"] < 1e-6 and row["share_of_attainable"] for row in measured)
    assert compare.main([str(path), str(path)]) == 0
    assert report([str(path), "--output", str(page)]) == 0 and "seed64" in page.read_text(encoding="utf-8")
