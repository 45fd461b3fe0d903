"""The tables of tgl score on narrow and wide terminals."""

from __future__ import annotations

import io

import pyarrow as pa
import pytest
from rich.console import Console

from tglcli.tables import scores as score_tables

SCORES = {"JF": 0.5, "J": 0.625, "F": 0.375}
PARTS = {"expressions": 7, **SCORES}
SUMMARY = {
    "protocol": "ref-youtube-vos",
    "videos": 1662,
    "expressions": 23051,
    "frames": 1_234_567,
    **SCORES,
    "J_recall": 0.75,
    "F_recall": 0.25,
    "J_decay": -0.125,
    "F_decay": None,
    "no_target": {"expressions": 1024, "N_acc": 0.5, "T_acc": 1.0, "Final": 0.25},
    "relevant": PARTS,
    "irrelevant": PARTS,
    "by_referents": [{"group": group, **PARTS} for group in ("1", "4 or more")],
    "by_moment_length": [{"group": "60-100 %", **PARTS}],
    "temporal": {"expressions": 7, "presence_tiou": 0.5, "mAP@0.75": 0.25, "key_frame_top1": 0.125},
}
LONG = "a_video_of_somebody_with_a_very_long_name_that_goes_on_and_on_until_it_fills_a_line"
ROWS = pa.table(
    {
        "video_id": ["[red]v[/red]", LONG],
        "expression_id": ["0", "a-long-expression-id-too"],
        "expression": ["the dog [b]that[/b] jumps", "every one of the three that follow another"],
        "referents": [1, 2],
        "predicted_frames": [7, 0],
        **{name: [0.5, 0.25] for name in ("JF", "J", "F")},
        "frames": [100, 10_000],
    }
)


def printed(titled: score_tables.Titled, width: int) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width, highlight=False).print(titled[1])
    return stream.getvalue()


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize(
    ("titled", "words"),
    [
        (score_tables.summary_table(SUMMARY), ["mean", "recall", "decay", "J&F", "75.0", "-12.5"]),
        (score_tables.no_target_table(SUMMARY), ["N-acc", "T-acc", "Final", "100.0", "25.0"]),
        (score_tables.parts_table(SUMMARY), ["expressions", "4 or more referents", "62.5"]),
        (score_tables.moments_table(SUMMARY), ["presence tIoU", "mAP@0.75", "key frame top-1"]),
        (score_tables.worst_table(ROWS), ["expression", "J&F", "frames", "[red]v[/red]", "10000"]),
    ],
)
def test_no_heading_and_no_figure_is_cut(titled, words, width):
    text = printed(titled, width)
    assert "…" not in text
    for word in words:
        assert word in text


def test_long_ids_go_on_in_the_next_line():
    lines = printed(score_tables.worst_table(ROWS), 80).splitlines()
    cells = [line.split("│")[1].strip() for line in lines if line.startswith("│")]
    assert f"{LONG}/a-long-expression-id-too" in "".join(cells)


def test_the_worst_list_shows_sentences_where_there_are_any():
    text = printed(score_tables.worst_table(ROWS), 200)
    assert "the dog [b]that[/b] jumps" in text
    nameless = ROWS.set_column(2, "expression", pa.array([None, None], pa.string()))
    assert "sentence" not in printed(score_tables.worst_table(nameless), 200)


def test_sentences_without_a_target_are_told_apart():
    rows = {name: [column[0]] * 4 for name, column in ROWS.to_pydict().items()}
    rows |= {
        "expression_id": ["0", "1", "2", "3"],
        "referents": [1, 0, 0, 0],
        "predicted_frames": [9, 3, 0, 5],
        "JF": [0.5, 0.0, 1.0, 0.0],
    }
    scores = pa.table(rows)
    text = printed(score_tables.worst_table(scores), 120)
    assert ("[red]v[/red]/0" in text, "[red]v[/red]/1" in text) == (True, False)
    line = score_tables.mistaken_line(scores)
    assert line == (
        "2 of 3 expressions without a target have a mask, "
        "in most frames [red]v[/red]/3, [red]v[/red]/1"
    )
    assert score_tables.mistaken_line(ROWS) is None


def test_tables_that_do_not_apply_are_left_out():
    assert score_tables.no_target_table({**SUMMARY, "no_target": None}) is None
    assert score_tables.moments_table({**SUMMARY, "temporal": None}) is None
