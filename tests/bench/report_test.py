"""The page of bench/report, from files of machines that do not exist: python -m pytest tests/bench/report_test.py"""

import contextlib
import html.parser
import io
import json
import pathlib
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
sys.dont_write_bytecode = True

import bench.report.data as data
from bench import results
from bench.report.__main__ import main
from bench.report import growth, heatmap, isas, labels, machines

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import synthetic

SECTIONS = "machines isas roofline lengths grid head_dims growth threads options layers rivals rows".split()
# Elements that HTML does not close.
VOID = {"meta", "link", "br", "img", "input", "hr"}


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    return synthetic.write(tmp_path_factory.mktemp("files"))


def report(folder, *arguments):
    """Runs the command there, where no build/ is: (exit status, output, errors)."""
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()) as out:
        with contextlib.redirect_stderr(io.StringIO()) as errors:
            status = main([*map(str, arguments)])
    return status, out.getvalue(), errors.getvalue()


@pytest.fixture(scope="session")
def page(files, tmp_path_factory):
    """Of two machines with all that there can be: (path of the page, folder of pictures)."""
    folder = tmp_path_factory.mktemp("page")
    status, said, errors = report(
        folder, files["server"], files["board"], "--grid", files["grid"], "--peers", files["peers"],
        "--output", folder / "report.html", "--pictures", folder / "pictures",
    )  # fmt: skip
    assert status == 0, errors
    assert "report.html" in said
    return folder / "report.html", folder / "pictures"


@pytest.fixture(scope="session")
def partial_page(files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("partial")
    status, _, errors = report(folder, files["partial"], "--output", folder / "report.html")
    assert status == 0, errors
    return folder / "report.html"


class Reader(html.parser.HTMLParser):
    """Which elements stand in which section, and what is loaded; fails where an element is not closed or an id is twice."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.sections, self.loads, self.text = [], [], {}, [], {}
        self.section = None
        self.feed(text)
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if "id" in attributes:
            self.ids.append(attributes["id"])
        if tag == "h2":
            self.section = attributes["id"]
            self.text[self.section] = ""
        self.sections.setdefault(self.section, []).append((tag, attributes))
        for name in ("src", "href", "xlink:href", "data", "srcset"):
            if name in attributes:
                self.loads.append(attributes[name])
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, f"</{tag}> closes what is not open"

    def handle_data(self, text):
        if self.section:
            self.text[self.section] += text


# ---- The page ----


def test_files_are_what_the_schema_says(files):
    for name in ("server", "board", "partial"):
        assert results.load(files[name])["rows"]


def test_every_section_stands_there_with_pictures(page):
    reader = Reader(page[0].read_text())
    assert set(SECTIONS) | {"side"} <= set(reader.sections)
    for name in set(SECTIONS) - {"machines", "rows"}:
        pictures = [attributes for tag, attributes in reader.sections[name] if tag == "svg"]
        assert pictures, name
        assert all(len(p["aria-label"]) > 40 and p["role"] == "img" for p in pictures), name
    links = {link[1:] for link in reader.loads if link.startswith("#")}
    assert set(SECTIONS) <= links  # the table of contents


def test_each_id_stands_once_and_each_reference_leads_to_one(page):
    text = page[0].read_text()
    ids = Reader(text).ids
    assert len(ids) == len(set(ids))
    used = re.findall(r'(?:xlink:)?href="#([^"]*)"', text) + re.findall(r"url\(#([^)]*)\)", text)
    assert used and set(used) <= set(ids)


def test_nothing_is_loaded_and_no_script_runs(page, partial_page):
    for path in (page[0], partial_page):
        text = path.read_text()
        reader = Reader(text)
        assert all(link.startswith(("#", "data:")) for link in reader.loads)
        assert not any(
            tag in ("script", "iframe", "object", "img") for tags in reader.sections.values() for tag, _ in tags
        )
        assert not re.search(r"@import|url\((?!#)", text)


def test_what_is_missing_is_said_with_the_command_that_gives_it(partial_page):
    reader = Reader(partial_page.read_text())
    for name in ("roofline", "lengths", "grid", "head_dims", "growth", "threads", "options", "layers"):
        assert "Not measured" in reader.text[name], name
        assert "sh cmake/dev.sh bench --filter '" in reader.text[name], name
    assert "sh cmake/dev.sh peers" in reader.text["rivals"]
    assert "sh cmake/dev.sh peers --grid" in reader.text["grid"]
    assert "commit not known" in reader.text["machines"]


def test_filters_that_the_page_names_find_the_rows_of_their_sections(files, partial_page):
    rows = [row["name"] for row in results.load(files["server"])["rows"]]
    reader = Reader(partial_page.read_text())
    for name in ("roofline", "lengths", "grid", "head_dims", "growth", "threads", "options", "layers"):
        found = re.search(r"--filter '([^']*)'", reader.text[name]).group(1)
        for part in found.split("|"):
            assert any(re.search(part, row) for row in rows), f"{name}: {part}"


def test_doubtful_figures_are_called_so(files, partial_page, tmp_path):
    words = "Others used the machine", "faster than attainable", "Debug build"
    assert not any(word in partial_page.read_text() for word in words)
    content = json.loads(files["partial"].read_text())
    content["load"]["busy_before"] = 0.4
    content["build"]["build_type"] = "Debug"
    content["rows"][0]["share_of_attainable"] = 1.3
    (tmp_path / "busy.json").write_text(json.dumps(content))
    status, _, errors = report(tmp_path, "busy.json", "--output", "busy.html")
    assert status == 0, errors
    assert all(word in (tmp_path / "busy.html").read_text() for word in words)


def test_predictions_stand_in_a_table(files, tmp_path):
    loop = {"cpu": "haswell", "isa": "avx2", "loop": "scores", "cycles": 6.03, "share_of_peak": 0.71, "spills": 0}
    loop |= {"limit": "the decoders", "model": "Haswell", "own_model": True, "measured_share": None}
    loops = [loop, {**loop, "cpu": "znver9", "share_of_peak": 0.99, "own_model": False, "measured_share": 0.9}]
    (tmp_path / "predict.json").write_text(json.dumps({"schema": "attn-predict/1", "llvm": "19", "loops": loops}))
    status, _, errors = report(tmp_path, files["partial"], "--predict", "predict.json", "--output", "x.html")
    assert status == 0, errors
    text = Reader((tmp_path / "x.html").read_text()).text["predict"]
    assert "1 of 2 loops reach" in text and "limited by the decoders" in text
    assert "LLVM takes it for Haswell" in text and "90\u00a0%" in text


def test_losing_rows_are_shown(page, files):
    reader = Reader(page[0].read_text())
    slower = [r for r in json.loads(files["peers"].read_text())["results"] if r["ratio"] < 1]
    assert slower
    alts = " ".join(a["aria-label"] for tag, a in reader.sections["rivals"] if tag == "svg")
    for r in slower:
        assert f"{r['row']} {r['ratio']:.2f} ± " in alts
    worst = min(json.loads(files["grid"].read_text())["results"], key=lambda r: r["ratio"])
    assert heatmap.in_words(worst["row"]) in reader.text["grid"]


def test_names_of_a_file_are_text_and_not_elements(files, tmp_path):
    content = json.loads(files["partial"].read_text())
    content["machine"]["cpu"] = 'A <script>alert("1")</script> & B'
    path = tmp_path / "odd.json"
    path.write_text(json.dumps(content))
    status, _, errors = report(tmp_path, path, "--output", "odd.html")
    assert status == 0, errors
    text = (tmp_path / "odd.html").read_text()
    assert "<script" not in text and "&lt;script&gt;" in text


@pytest.mark.parametrize("width", [1280, 390])
def test_chromium_opens_it_without_an_error(page, partial_page, tmp_path, width):
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if not chromium:
        pytest.skip("no chromium is installed")
    for path in (page[0], partial_page):
        frame, image = tmp_path / "frame.html", tmp_path / f"{width}.png"
        frame.write_text(f'<iframe src="{path.as_uri()}" style="width:{width}px;height:2000px"></iframe>')
        done = subprocess.run(
            [
                chromium, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--log-level=0",
                f"--user-data-dir={tmp_path / 'profile'}", "--host-resolver-rules=MAP * ~NOTFOUND",
                f"--screenshot={image}", f"--window-size={max(width, 500)},2000", frame.as_uri(),
            ],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120,
        )  # fmt: skip
        assert image.exists(), done.stderr
        said = [line for line in done.stderr.splitlines() if re.search(r"CONSOLE|net::ERR|Uncaught", line)]
        assert not said


# ---- The pictures ----


def test_pictures_are_files_of_their_own(page):
    paths = sorted(page[1].glob("*.svg"))
    names = {path.stem for path in paths}
    assert {
        "face",
        "machines",
        "m1_isas",
        "m2_isas",
        "m1_roofline_avx512",
        "m2_roofline_neon",
        "m1_grid_share",
    } <= names
    for path in paths:
        root = xml.etree.ElementTree.parse(path).getroot()
        assert "var(--" not in path.read_text(), path
        if path.stem != "face":
            assert float(root.get("width").removesuffix("pt")) <= 325, (
                f"{path}: a text of 10 points would be under 11 px on a phone"
            )


def test_the_peak_is_the_top_and_nothing_stands_outside(files):
    machine = data.Machine(files["server"])
    for picture in (*isas.pictures(machine), *machines.pictures(data.read_all([files["server"], files["board"]]))):
        assert picture.title and picture.svg.startswith("<svg")
    assert f"{machine.peak('avx512'):.0f}" == "160"
    assert all(row["gflops"] <= machine.peak("avx512") for row in machine.nine())


def test_labels_do_not_touch():
    placed = labels.spread([10, 11, 12, 50, 51, 100], 5)
    order = sorted(placed)
    assert all(b - a >= 5 - 1e-9 for a, b in zip(order, order[1:]))
    assert placed[5] == 100 and placed[:3] == sorted(placed[:3])
    assert abs(sum(placed[:3]) / 3 - 11) < 1e-9


def test_the_slope_is_the_exponent():
    rows = [{"shape": {"keys": t}, "seconds": 3e-9 * t**1.7} for t in (64, 128, 256, 512, 1024)]
    assert abs(growth.slope(rows) - 1.7) < 1e-9


def test_the_worst_cells_are_the_worst():
    values = {f"q{q}_k{k}_d64_g1": q * 0.1 + k * 1e-4 for q in (1, 4, 16) for k in (16, 64, 256, 1024)}
    ratios = heatmap.worst_cells(heatmap.Map("x", "x", values, True, "x"), 3)
    assert [cell for cell, _ in ratios] == ["q1_k16_d64_g1", "q1_k64_d64_g1", "q1_k256_d64_g1"]
    assert all(value < 1 for _, value in heatmap.worst_cells(heatmap.Map("x", "x", values, True, "x")))


# ---- The command ----


def test_the_front_pages_table_names_machine_and_commit(files, tmp_path):
    status, said, errors = report(tmp_path, "--readme", files["server"], files["board"], files["partial"])
    assert status == 0, errors
    lines = said.strip().splitlines()
    assert len(lines) == 5 and len({line.count("|") for line in lines}) == 1
    assert "Imagined Xenon 9000 (server), AVX-512, 0000000" in lines[2]
    assert "160 GFLOP/s" in lines[2] and "48 GFLOP/s" in lines[3]
    assert "not measured" in lines[4] and "unknown" in lines[4]


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"schema": "attn-bench/1"}', '{"schema": "attn-bench/2", "rows": []}']
)
def test_a_file_that_is_not_sound_is_named(content, tmp_path):
    path = tmp_path / "bad.json"
    path.write_text(content)
    status, _, errors = report(tmp_path, path)
    assert status == 2 and "bad.json" in errors and "Traceback" not in errors
    assert not (tmp_path / "build").exists()


def test_without_a_file_it_says_what_makes_one(tmp_path):
    status, _, errors = report(tmp_path)
    assert status == 2 and "build/bench.json" in errors and "sh cmake/dev.sh bench" in errors
    status, _, errors = report(tmp_path, "--grid", "nowhere.json")
    assert status == 2 and "Traceback" not in errors


def test_the_command_runs_as_a_process(tmp_path):
    command = [sys.executable, "-B", "-m", "bench.report", str(tmp_path / "nowhere.json")]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2 and "nowhere.json" in done.stderr and "Traceback" not in done.stderr


def test_a_file_without_rows_gives_a_page(files, tmp_path):
    content = json.loads(files["partial"].read_text())
    content["rows"] = []
    (tmp_path / "empty.json").write_text(json.dumps(content))
    status, _, errors = report(tmp_path, "empty.json")
    assert status == 0, errors
    assert "Not measured" in (tmp_path / "build/report.html").read_text()
