"""The report: one page without other files, which no text of a data set breaks."""

from __future__ import annotations

import base64
import io
import json
import re
import time
from html.parser import HTMLParser

import pytest
from PIL import Image

from schemas.directories import list_folder
from schemas.receipts import Receipt, write_receipt
from stages.core.engine.version import TGL_VERSION
from stages.core.media.palette import AGREEMENT, EXTRA, MISSED
from stages.core.pages.style import css_colour
from stages.score.config import ScoreConfig, ScoreInputs
from stages.score.report.thumbnails import ROW_WIDTH
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

    def make(pictures: int = 12, row_images: int = 1000) -> Page:
        inputs = ScoreInputs(predictions.root, mevis.write())
        config = ScoreConfig(missing="zero", pictures=pictures, row_images=row_images)
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
    rows = [dict(zip(keys, row, strict=False)) for row in data["rows"]]  # then frames follow
    assert {(row["video_id"], row["expression_id"]) for row in rows} == {
        *(("a", "0"), ("a", "1"), ("a", "2"), ("b", "0"))
    }
    assert len(found.all("img")) == 3  # and the largest mask of a sentence without a target
    assert len(found.all("th")) == len(keys)


def texts(found: Page, heading: str) -> str:
    """The part of the page below a heading."""
    return found.source.split(f"<h2>{heading}</h2>")[1].split("<h2>")[0]


def test_sentences_without_a_target_have_a_row_of_their_own(page):
    found = page()
    assert "1 of 1 expression without a target have a mask" in texts(
        found, "Masks without a target"
    )
    assert "a / 2" in texts(found, "Masks without a target")
    for heading in ("Worst expressions", "Best expressions"):
        assert "a / 2" not in found.source.split(heading)[-1].split("<h2>")[0]


def test_the_words_and_colours_are_those_of_render(page):
    found = page()
    for word in ("agreement", "missed", "extra"):
        assert f'<span class="key {word}"></span>{word}' in found.source
    for colour in (AGREEMENT, MISSED, EXTRA):
        assert css_colour(colour) in found.source


def test_rows_lead_to_frames_over_the_whole_sentence_with_the_worst_one(page):
    found = page()
    data = json.loads(found.scripts[0])
    columns = [column["key"] for column in data["columns"]]
    rows = {(row[0], row[1]): row for row in data["rows"]}
    number, pictures, scores, spans = rows["a", "0"][len(columns) :]
    assert len(scores) == 6
    assert spans == [[1, 3]]
    assert len(pictures) == 5
    assert [picture[0] for picture in pictures] == sorted({picture[0] for picture in pictures})
    (worst,) = [picture for picture in pictures if picture[4]]
    assert round(100 * worst[2]) == min(scores)
    for frame, name, _, relevant, _, masks, row in pictures:
        assert (name, row) == (f"{frame:05d}", frame)
        assert relevant == (1 <= frame < 3)
        jpeg = Image.open(io.BytesIO(base64.b64decode(data["frames"][f"{number}:{frame}"])))
        png = Image.open(io.BytesIO(base64.b64decode(masks)))
        assert jpeg.size == png.size == (ROW_WIDTH, round(ROW_WIDTH * 12 / 16))
        assert png.mode == "P"


def test_the_number_of_rows_with_frames_is_bounded(page):
    data = json.loads(page(row_images=2).scripts[0])
    place = [column["key"] for column in data["columns"]].index("JF")
    pictured = [row[place] for row in data["rows"] if row[len(data["columns"]) + 1]]
    assert sorted(pictured) == sorted(row[place] for row in data["rows"])[:2]
    assert "2 expressions of lowest J&F" in data["without"]


def test_the_run_is_named(page, predictions, mevis):
    receipt = Receipt(
        stage="propagate",
        stage_version=1,
        config={"moments": "predicted", "relevance_threshold": 0.5},
        inputs={"checkpoint": "ab" * 32, "text": "cd" * 32},
        fingerprint="0" * 64,
        counts={},
        outputs=list_folder(predictions.root),
        tgl="0.0.9",
    )
    write_receipt(predictions.root, receipt)
    found = page()
    head = found.source.split("<h2>")[0]
    for text in (
        *(str(predictions.root), str(mevis.root), "tgl propagate (tgl 0.0.9)", "abababababab"),
        *("relevance_threshold", "0.5", f"<dd>tgl {TGL_VERSION}</dd>", time.strftime("%Y-%m-%d")),
    ):
        assert text in head
    assert str(predictions.root) in json.loads(found.scripts[0])["view"]
    (predictions.root / "receipt.json").write_text("{")
    assert "unknown: receipt.json cannot be read" in page().source


def test_without_a_receipt_the_maker_is_unknown(page):
    found = page()
    assert "unknown: the folder has no receipt.json; changed 20" in found.source
    assert page().source == found.source


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
