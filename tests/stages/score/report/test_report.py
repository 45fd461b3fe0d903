"""The report: one page without other files, which no text of a data set breaks."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest

from stages.score.config import ScoreConfig, ScoreInputs
from stages.score.stage import STAGE


class Page(HTMLParser):
    """Elements, links and the text of scripts."""

    def __init__(self, text: str):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.source = text
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data):
        if self.lasttag == "script":
            self.scripts[-1] += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """Attributes of every element of a kind."""
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture
def page(mevis, predictions, run_stage, tmp_path):
    """`page(pictures)`: the report on the miniature split."""

    def make(pictures: int = 12) -> Page:
        inputs = ScoreInputs(predictions.root, mevis.write())
        config = ScoreConfig(missing="zero", pictures=pictures)
        out = run_stage(STAGE, config, inputs, tmp_path / "out", force=True).path
        return Page((out / "report.html").read_text())

    return make


def test_nothing_is_loaded_from_elsewhere(page):
    found = page()
    for name, attributes in found.elements:
        for key in ("src", "href"):
            value = attributes.get(key)
            assert value is None or value.startswith("data:image/jpeg;base64,"), (name, value)
    assert not found.all("link")


def test_every_expression_is_in_the_table_and_worst_and_best_have_pictures(page):
    found = page(pictures=1)
    data = json.loads(found.scripts[0])
    keys = [column["key"] for column in data["columns"]]
    rows = [dict(zip(keys, row, strict=True)) for row in data["rows"]]
    assert {(row["video_id"], row["expression_id"]) for row in rows} == {
        *(("a", "0"), ("a", "1"), ("a", "2"), ("b", "0"))
    }
    assert len(found.all("img")) == 2
    assert len(found.all("th")) == len(keys)


def test_control_characters_are_shown_and_not_kept(page, mevis):
    mevis.expression("a", "0")["exp"] = "a \x1b[31mred\x07 \x9b ball"
    found = page()
    assert not re.search("[\0-\x08\x0b\x0e-\x1f\x7f-\x9f]", found.source)
    data = json.loads(found.scripts[0])
    place = [column["key"] for column in data["columns"]].index("text")
    assert r"a \x1b[31mred\x07 \x9b ball" in [row[place] for row in data["rows"]]


def test_sentences_cannot_break_out(page, mevis):
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(1)> & \" ' \u2028"
    mevis.expression("a", "0")["exp"] = evil
    found = page()
    assert len(found.scripts) == 2
    assert all(attributes["src"].startswith("data:") for attributes in found.all("img"))
    data = json.loads(found.scripts[0])
    place = [column["key"] for column in data["columns"]].index("text")
    assert evil in [row[place] for row in data["rows"]]


def test_a_single_expression_and_faults(page, mevis, predictions):
    mevis.meta["videos"] = {"b": mevis.meta["videos"]["b"]}
    mevis.moments = None
    predictions.path("b", "0", "00001").write_bytes(b"broken")
    found = page()
    assert len(found.all("img")) == 1
    text = json.dumps(found.elements)
    assert not re.search(r"\bnan\b", text, re.IGNORECASE)


def test_no_report_where_none_is_wanted(mevis, predictions, run_stage, tmp_path):
    inputs = ScoreInputs(predictions.root, mevis.write())
    out = run_stage(STAGE, ScoreConfig(pictures=-1), inputs, tmp_path / "out").path
    assert not (out / "report.html").exists()
