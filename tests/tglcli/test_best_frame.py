"""Where no moment was predicted, the best frame that stands in is marked wherever it is shown."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tiny_world import LENGTHS, TinyWorld, tgl

from schemas.vocabulary import BEST_FRAME
from stages.core.index.index import Index
from stages.tools.render.config import RenderConfig, RenderInputs
from stages.tools.render.overlay import Overlay
from stages.tools.render.source import plan_render
from stages.tools.view.predictions import Prediction

NEVER = ("--relevance-threshold", 1, "--device", "cpu")
"""No frame is relevant."""
REMARK = "no moment predicted, best frame instead"


def succeed(*words: object) -> str:
    code, printed, said = tgl(*words)
    assert (code, said) == (0, "")
    return printed


@pytest.fixture(scope="module")
def preds(tiny_world: TinyWorld, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Masks of object tracks that were chosen by votes of best frames."""
    out = tmp_path_factory.mktemp("best") / "preds"
    inputs = (tiny_world.index, tiny_world.text, tiny_world.model)
    tracks = ("--tracks", "own", "--choose", "vote", "--vote-threshold", 0)
    succeed("propagate", *inputs, out, "--moments", "predicted", *NEVER, *tracks)
    return out


def test_one_frame_of_each_sentence_takes_this_route(preds: Path) -> None:
    found: dict[tuple[str, str], list[str]] = {}
    for row in pq.read_table(preds / "propagation.parquet").to_pylist():
        found.setdefault((row["video_id"], row["expression_id"]), []).append(row["route"])
    for (video, _), routes in found.items():
        assert sorted(routes) == [BEST_FRAME, *["propagated"] * (LENGTHS[video] - 1)]


def test_exported_moments_name_their_source_and_are_counted(
    tiny_world: TinyWorld, preds: Path, tmp_path: Path
) -> None:
    for union in ((), ("--union",)):
        out = tmp_path / f"{len(union)}.csv"
        line = succeed("export-moments", tiny_world.index, out, "--moments", preds, *union)
        assert line.startswith("export-moments: 3 moments, 3 best frames, 2 videos")
        with out.open(newline="") as file:
            assert {row["source"] for row in csv.DictReader(file)} == {BEST_FRAME}


def test_report_and_view_mark_it(tiny_world: TinyWorld, preds: Path, tmp_path: Path) -> None:
    report = tmp_path / "r.html"
    succeed("score", preds, tiny_world.index, "--report", report, "--workers", 1, "-q")
    page = report.read_text()
    assert page.count(f"; {REMARK}") == 3
    _, _, rows = page.partition('<script id="rows" type="application/json">')
    table = json.loads(rows.partition("</script>")[0])
    place = [column["key"] for column in table["columns"]].index("remark")
    assert [row[place] for row in table["rows"]] == [BEST_FRAME] * 3
    video = Index.open(tiny_world.index).videos["a"]
    state = Prediction(preds, None).state(video, "0")
    assert state is not None
    assert state["route"].count(BEST_FRAME) == 1


def test_overlays_mark_it_in_captions_and_bars(tiny_world: TinyWorld, preds: Path) -> None:
    (video, _) = plan_render(RenderConfig(), RenderInputs(preds, tiny_world.index)).videos
    overlay = Overlay(video, video.expressions, False, RenderConfig())
    content = overlay._content()
    assert [caption.label for caption in content.captions] == [  # type: ignore[union-attr]
        f"0: the left one jumps ({REMARK})",
        f"1: two that run ({REMARK})",
    ]
    assert [bar.label for bar in content.timelines] == ["0: best frame", "1: best frame"]
    compared = Overlay(video, video.expressions[:1], True, RenderConfig())._content()
    assert compared.captions == (f"the left one jumps ({REMARK})",)
    assert [bar.label for bar in compared.timelines] == ["annotated", "best frame"]


def test_segment_says_it_in_its_line_and_table(tiny_world: TinyWorld, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    given = ("--checkpoint", tiny_world.model, "--tracks", "off", "--workers", 1, *NEVER)
    video = ("segment", tiny_world.video("a"), "two that run", "-o", tmp_path / "o.png")
    line = succeed(*video, "--table", table, *given).splitlines()[0]
    assert line.startswith('"two that run": no moment predicted, best frame ')
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["in_moment"] for row in rows if row["route"] == BEST_FRAME] == ["true"]
    assert {row["route"] for row in rows if row["in_moment"] == "false"} == {"propagated"}


@pytest.mark.parametrize("found", [True, False])
def test_a_single_image_says_what_is_missing(
    tiny_world: TinyWorld, tmp_path: Path, found: bool
) -> None:
    table, masks = tmp_path / "t.json", tmp_path / "masks"
    image = tiny_world.frames / "JPEGImages" / "a" / "00000.jpg"
    target = () if found else ("--no-target-threshold", 1)
    printed = succeed(
        *("segment", image, "two that run", "-o", tmp_path / "o.png", "--tracks", "off"),
        *("--table", table, "--masks", masks, "--work", tmp_path / "work"),
        *("--checkpoint", tiny_world.model, "--workers", 1, *NEVER, *target),
    )
    said = "found (no moment predicted)" if found else "nothing found"
    assert printed.startswith(f'"two that run": {said}\n')
    (sentence,) = json.loads(table.read_text())["sentences"]
    assert (sentence["found"], sentence["best_frame"]) == (found, 0 if found else None)
    (video,) = plan_render(RenderConfig(), RenderInputs(masks, tmp_path / "work" / "index")).videos
    (caption,) = Overlay(video, video.expressions, False, RenderConfig())._content().captions
    assert caption.label == f"two that run ({REMARK if found else 'nothing found'})"  # type: ignore[union-attr]
