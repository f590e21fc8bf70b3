"""What is in bench/results/: sound files, and the table of README.md made of them."""

import pytest

from bench import publish, results


@pytest.mark.parametrize("path", publish.files(), ids=lambda path: path.name)
def test_each_file_is_sound(path):
    assert list(results.unsound(results.load(path))) == []


def test_the_front_page_has_the_table_of_the_files():
    text = publish.README.read_text(encoding="utf-8")
    assert publish.BLOCK.search(text), "README.md has no block of figures"
    assert publish.with_table(text, publish.table()) == text, "sh cmake/dev.sh results makes the table again"


def test_the_page_is_of_the_files():
    page = (publish.RESULTS / "report.html").read_text(encoding="utf-8")
    for path in publish.files():
        assert results.load(path)["attn"]["commit"][:7] in page, "sh cmake/dev.sh results makes the page again"
