"""Parts of pages: nothing of a text becomes markup, and every plot is well-formed."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from spoiling import QUICK

from stages.core.pages.document import (
    Column,
    cards,
    data_table,
    facts,
    html_page,
    plain_table,
    plots,
)
from stages.core.pages.plots import group_bars, lines, number_histogram, share_histogram

EVIL = "</script><img src=x onerror=alert(1)> & \" ' \x1b"


class Tags(HTMLParser):
    """Names of all elements."""

    def __init__(self, text: str):
        super().__init__()
        self.names: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.names.append(tag)


def bars(svg: str) -> list[dict[str, str]]:
    root = ElementTree.fromstring(svg)
    return [found.attrib for found in root.iter("rect") if found.get("class") == "bar"]


@pytest.mark.parametrize(
    "made",
    [
        cards([(EVIL, EVIL)]),
        facts([(EVIL, EVIL)]),
        plots([(EVIL, "<svg></svg>")]),
        plain_table([EVIL], [[EVIL]]),
        data_table(
            [Column("k", EVIL, "text")], [[EVIL]], order="k", noun=EVIL, hint=EVIL, more={"x": EVIL}
        ),
        html_page(EVIL, []),
        group_bars([(EVIL, 1.0, EVIL)]),
        lines([(EVIL, np.array([0.5]), np.array([0.5]))], EVIL),
        share_histogram([0.5], EVIL),
    ],
)
def test_texts_are_never_markup(made: str) -> None:
    assert "img" not in Tags(made).names
    assert "\x1b" not in made


def test_cards_without_a_value_are_left_out() -> None:
    html = cards([("a", "1"), ("b", None), ("c", "3")], first=True)
    assert html.count('class="card') == 2
    assert html.count("card main") == 1


def test_rows_survive_as_json() -> None:
    rows = [["a</script>", 0.123456789, None, 3, [1, "x"]]]
    html = data_table([Column("k", "K", "text")], rows, order="k", noun="rows", hint="")
    text = html.split('type="application/json">')[1].split("</script>")[0]
    assert json.loads(text)["rows"] == [["a</script>", 0.12346, None, 3, [1, "x"]]]


@QUICK
@given(st.lists(st.integers(0, 60) | st.floats(0, 1e6), min_size=1, max_size=60))
@example([0, 5e-324])
@example([1e6, 1e6 + 1e-9])
def test_histograms_count_every_sample(values: list[float]) -> None:
    drawn = bars(number_histogram(values, "x"))
    root = ElementTree.fromstring(number_histogram(values, "x"))
    titles = [found.text or "" for found in root.iter("title")]
    counts = [int(title.rsplit(": ", 1)[1].replace(",", "")) for title in titles]
    assert len(counts) == len(drawn)
    assert sum(counts) == len(values)
    assert all(float(bar["width"]) > 0 for bar in drawn)


def test_whole_numbers_have_columns_of_their_own() -> None:
    svg = number_histogram([1] * 120 + [2] * 60 + [9], "spans")
    root = ElementTree.fromstring(svg)
    assert [found.text for found in root.iter("title")] == ["1: 120", "2+: 61"]


def test_bars_are_as_long_as_their_values() -> None:
    widths = [float(bar["width"]) for bar in bars(group_bars([("a", 0.5, ""), ("b", 1.0, "")]))]
    assert widths[1] == pytest.approx(2 * widths[0])
    assert len(bars(group_bars([("a", None, ""), ("b", 0.0, "")]))) == 1


def test_the_lower_line_is_named_below() -> None:
    places = np.array([0.0, 1.0])
    svg = lines([("J", places, np.array([0.5, 0.6])), ("F", places, np.array([0.6, 0.7]))], "x")
    root = ElementTree.fromstring(svg)
    marks = {
        m.text: float(m.get("y", 0)) for m in root.iter("text") if "mark" in m.get("class", "")
    }
    ends = [float(line.get("points", "").split(",")[-1]) for line in root.iter("polyline")]
    assert marks["J"] > ends[0]
    assert marks["F"] < ends[1]
