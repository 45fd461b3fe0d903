"""The table per sentence and the page."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from describe_mini import SENTENCES, SPANS, write_index

from schemas.errors import ConfigError
from schemas.parquet import read_table
from schemas.tables import AGREEMENT
from stages.tools.describe.config import DescribeConfig
from stages.tools.describe.describe import Description, describe
from stages.tools.describe.outputs import check_outputs, write_outputs

Write = Callable[..., Path]
EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(1)> \x1b[31m & \" '"


@pytest.fixture
def found(index: Path, write_moments: Write) -> Description:
    rows = [row for row in SPANS if row[:2] != ("a", "0")]
    bob = write_moments("bob", [*rows[:-1], ("b", "1", "b_2", 12, 16), ("b", "2", "b_2", 0, 3)])
    return describe(index, DescribeConfig(), against=[bob])


def test_the_table_has_every_judged_sentence(found: Description, tmp_path: Path) -> None:
    paths = tmp_path / "t.parquet", tmp_path / "t.csv"
    for path in paths:
        write_outputs(found, None, None, path)
    rows = read_table(paths[0], AGREEMENT).to_pylist()
    judged = {(row["video_id"], row["expression_id"]): row["judged_by"] for row in rows}
    assert judged == {
        ("a", "0"): "one",
        ("a", "1"): "both",
        ("b", "0"): "both",
        ("b", "1"): "both",
        ("b", "2"): "other",
    }
    by_key = {(row["video_id"], row["expression_id"]): row for row in rows}
    # b_1 the same; b_2 [9, 14) and [12, 16): 2 of 7 frames, edges 3 and 2.
    row = by_key["b", "1"]
    assert row["span_tiou"] == pytest.approx((1 + 2 / 7) / 2)
    assert (row["f1_50"], row["start_difference"], row["end_difference"]) == (0.5, 1.5, 1.0)
    assert by_key["a", "0"]["kappa"] is None
    with paths[1].open(newline="") as file:
        written = list(csv.DictReader(file))
    assert [row["expression"] for row in written] == [row["expression"] for row in rows]
    assert float(written[0]["kappa"]) == rows[0]["kappa"]


def test_names_of_outputs_are_checked_first() -> None:
    check_outputs(None, compared=False)
    with pytest.raises(ConfigError, match=r"does not end in \.csv or \.parquet"):
        check_outputs(Path("t.txt"), compared=True)
    with pytest.raises(ConfigError, match="there is nothing to compare"):
        check_outputs(Path("t.csv"), compared=False)


class Page(HTMLParser):
    """Elements of a page, and the texts of its scripts."""

    def __init__(self, text: str):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data):
        if self.lasttag == "script":
            self.scripts[-1] += data


def page_of(found: Description, folder: Path) -> Page:
    write_outputs(found, None, folder / "page.html", None)
    text = (folder / "page.html").read_text()
    assert "nan" not in text.replace("finance", "").lower().split("<script")[0]
    return Page(text)


def test_the_page_loads_nothing(found: Description, tmp_path: Path) -> None:
    page = page_of(found, tmp_path)
    assert not {"link", "img", "iframe"} & {tag for tag, _ in page.elements}
    assert not any({"src", "href"} & attributes.keys() for _, attributes in page.elements)
    data = json.loads(page.scripts[0])
    assert len(data["rows"]) == 3
    assert len([tag for tag, _ in page.elements if tag == "svg"]) > 8


def test_sentences_cannot_break_out(tmp_path: Path, write_moments: Write) -> None:
    sentences = [(video, name, EVIL, annos) for video, name, _, annos in SENTENCES]
    folder = write_index(tmp_path / "evil", sentences=sentences)
    bob = write_moments("bob", [("a", "0", "a_1", 7, 9)])
    page = page_of(describe(folder, DescribeConfig(), against=[bob]), tmp_path)
    assert len(page.scripts) == 2
    assert not any(tag == "img" for tag, _ in page.elements)
    assert EVIL.replace("\x1b", r"\x1b") in json.loads(page.scripts[0])["rows"][0]


def test_a_page_of_an_index_that_says_nothing(tmp_path: Path) -> None:
    sentences = [(video, name, text, ()) for video, name, text, _ in SENTENCES]
    folder = write_index(tmp_path / "test", spans=(), sentences=sentences)
    page = page_of(describe(folder, DescribeConfig()), tmp_path)
    assert page.scripts == []


def test_the_document_is_json(found: Description, tmp_path: Path) -> None:
    write_outputs(found, tmp_path / "d.json", None, None)
    assert json.loads((tmp_path / "d.json").read_text()) == found.document
