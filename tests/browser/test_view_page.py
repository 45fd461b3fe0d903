"""`tgl view` in a browser: a prediction against the truth, read only."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from browsing import Server, Visitor
from page_world import Clip, Line, object_mask, write_index
from PIL import Image

from schemas.layouts import FRAMES_TABLE, PROPAGATION_TABLE, SCORE_FRAMES_TABLE, SCORES_TABLE
from schemas.parquet import rows_of, write_table
from schemas.tables import FRAMES, PROPAGATION, SCORE_FRAMES, SCORES
from schemas.vocabulary import BEST_FRAME

CLIP = Clip("a", 16, ((0, 16), (2, 12)), size=(120, 160))
LINES = (
    Line("a", "the one that runs", (0,), ((0, 4, 10),)),
    Line("a", "the two that rest", (0, 1), ((0, 0, 3), (1, 5, 9))),
)
Serve = Callable[..., Server]
Visit = Callable[..., Visitor]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_index(tmp_path_factory.mktemp("view") / "index", (CLIP,), LINES)


@pytest.fixture(scope="module")
def predictions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Masks of the first sentence: in frames 2 to 7, four pixels too low."""
    folder = tmp_path_factory.mktemp("predictions") / "masks"
    (folder / "a" / "0").mkdir(parents=True)
    for frame in range(CLIP.frames):
        mask = np.roll(object_mask(CLIP, 0, frame), 4, axis=0) & (2 <= frame < 8)
        Image.fromarray(mask.astype(np.uint8) * 255).save(folder / "a" / "0" / f"{frame:05d}.png")
    return folder


def colours(page: Visitor, *places: tuple[float, float]) -> list[list[int]]:
    """Colours of the canvas at (x, y) in pixels of the video."""
    found = page.tab.evaluate(
        """({places, width, height}) => {
            const canvas = document.getElementById("screen");
            const context = canvas.getContext("2d");
            const at = (x, y) => [(x * canvas.width) / width, (y * canvas.height) / height];
            return places.map(([x, y]) => [...context.getImageData(...at(x, y), 1, 1).data]);
        }""",
        {
            "places": [[float(x), float(y)] for x, y in places],
            "width": CLIP.size[1],
            "height": CLIP.size[0],
        },
    )
    return [colour[:3] for colour in found]


def test_prediction_against_truth(
    index: Path, predictions: Path, serve: Serve, visit: Visit
) -> None:
    server = serve("view", index, "--preds", predictions)
    page = visit(f"{server.address}#s=a/0&t=6")  # as the report links
    assert page.state("player.shown") == 6
    assert page.drawn_number() == 6
    page.until("() => window.tgl.overlay.trouble(6) === null")
    rows = np.flatnonzero(object_mask(CLIP, 0, 6).any(1))
    columns = np.flatnonzero(object_mask(CLIP, 0, 6).any(0))
    x = columns.mean()
    both, extra, outside = colours(page, (x, rows.mean() + 2), (x, rows[-1] + 3), (2, 110))
    assert extra[0] > extra[2] + 40  # vermilion over grey
    assert both[2] > 60
    assert abs(outside[0] - outside[2]) < 12
    lane, compared = page.state("timeline.rows")
    assert (lane["label"], compared["label"]) == ("object 0_0", "masks")
    # As the scorer: masks are compared inside and outside of the moment.
    assert compared["truth"] == lane["visible"] != lane["spans"]
    # The other sentence has no prediction; its lanes are the truth. Nothing can be edited.
    page.press("PageDown")
    page.until("() => window.tgl.store.state.n === 1")
    rows_now = page.state("timeline.rows")
    assert [row["kind"] for row in rows_now] == ["all", "lane", "lane", "present"]
    assert rows_now[0]["spans"] == [[0, 3], [5, 9]]
    assert rows_now[3]["empty"] == "no masks of this sentence"
    page.press("w", "[", "0", "Enter", "f")
    assert page.state("store.state.referents")[0]["spans"] == [[0, 3]]
    assert page.state("store.queue") == []
    assert not page.tab.is_visible("#edits")


def write_scores(folder: Path, values: tuple[float, ...]) -> Path:
    """OUT of score for the sentences in order."""
    folder.mkdir()
    rows: list[dict[str, object]] = []
    frames: list[dict[str, object]] = []
    for number, value in enumerate(values):
        key = {"video_id": "a", "expression_id": str(number)}
        facts = {"J": value, "F": value, "JF": value, "frames": CLIP.frames, "referents": 1}
        rows.append({**key, **facts})
        numbers = {"J": value, "F": value, "intersection": 0, "union": 1}
        frames += [{**key, "frame": frame, **numbers} for frame in range(CLIP.frames)]
    write_table(folder / SCORES_TABLE, rows_of(rows, SCORES), SCORES)
    write_table(folder / SCORE_FRAMES_TABLE, rows_of(frames, SCORE_FRAMES), SCORE_FRAMES)
    return folder


def test_sentences_are_ordered_by_score_and_by_difference(
    index: Path, predictions: Path, tmp_path: Path, serve: Serve, visit: Visit
) -> None:
    other = tmp_path / "others"
    shutil.copytree(predictions, other)
    first = write_scores(tmp_path / "first", (0.6, 0.2))
    second = write_scores(tmp_path / "second", (0.1, 0.3))
    runs = ("--preds", predictions, "--preds", other, "--scores", first, "--scores", second)
    page = visit(serve("view", index, *runs).address)
    listed = "() => [...document.querySelectorAll('.row')].map((row) => Number(row.dataset.n))"
    seen = {}
    for option in page.tab.locator("#order option").all_inner_texts():
        page.tab.select_option("#order", label=option)
        seen[option] = page.tab.evaluate(listed)
    assert seen == {
        "lowest first": [1, 0],
        "highest first": [0, 1],
        "as in the index": [0, 1],
        "second gains most": [1, 0],
        "second loses most": [0, 1],
    }
    assert page.text("#sentence-0").endswith("J&F 0.60, 0.10")


def test_a_link_in_a_file_leads_to_its_sentence(
    index: Path, serve: Serve, visit: Visit, tmp_path: Path
) -> None:
    server = serve("view", index)
    report = tmp_path / "report.html"
    report.write_text(f'<a href="{server.address}#s=a/1&t=6">the worst one</a>')
    page = visit()
    page.expected = (*page.expected, report.as_uri())
    page.tab.goto(report.as_uri())
    page.tab.click("a")
    page.tab.wait_for_url("**/#s=1&t=6")
    page.until("() => window.tgl.player.shown === 6 && window.tgl.store.state.n === 1")


def test_labels_of_lanes(tmp_path: Path, serve: Serve, visit: Visit) -> None:
    clip = Clip("0", 6, ((0, 6),))
    lines = (Line("0", "the one", (0,), ((0, 2, 4),)), Line("0", "a cat", ()))
    page = visit(serve("view", write_index(tmp_path / "index", (clip,), lines)).address)
    (lane,) = page.state("timeline.rows")
    assert lane["label"] == "object 0"  # without the video's name
    assert lane["title"].startswith("Referent 1, object 0_0:")
    page.press("PageDown")
    page.until("() => window.tgl.store.state.n === 1")
    (lane,) = page.state("timeline.rows")
    assert (lane["label"], lane["empty"]) == ("sentence", "no target")


def test_bare_frames(predictions: Path, index: Path, serve: Serve, visit: Visit) -> None:
    server = serve("view", index / "frames", "--preds", predictions)
    page = visit(server.address)
    page.press("ArrowRight", "ArrowRight", "ArrowRight")
    page.until("() => window.tgl.player.shown === 3")
    page.until("() => window.tgl.overlay.trouble(3) === null")
    assert page.state("store.state.truth") is False
    rows = np.flatnonzero(np.roll(object_mask(CLIP, 0, 3), 4, axis=0).any(1))
    columns = np.flatnonzero(object_mask(CLIP, 0, 3).any(0))
    blue = colours(page, (columns.mean(), rows.mean()))[0]
    assert blue[2] > 100


def test_a_variable_frame_rate_keeps_its_times(tmp_path: Path, serve: Serve, visit: Visit) -> None:
    times = [0.0, 0.1, 0.2, 0.3, 1.3, 2.3]
    clip = Clip("a", len(times), ((0, 6),), fps=None)
    index = write_index(tmp_path / "index", (clip,), (Line("a", "the one", (0,), ((0, 2, 4),)),))
    rows = (
        {"video_id": "a", "frame": t, "name": f"{t:05d}", "path": f"frames/a/{t:05d}.jpg"}
        | {"pts_seconds": seconds, "width": 4, "height": 4, "bytes": 1, "sha256": "0" * 64}
        for t, seconds in enumerate(times)
    )
    write_table(index / FRAMES_TABLE, rows_of(rows, FRAMES), FRAMES)
    page = visit(serve("view", index).address)
    assert page.text("#about").startswith("a · sentence 0 · 6 frames, variable frame rate, 3.30 s")
    page.go_to(4)
    assert page.text("#frame").endswith(" · 1.30 s")
    places = page.tab.evaluate(
        "seconds => seconds.map((s) => window.tgl.player.clock.place(s))", [0.05, 0.8, 2.3, 3.3]
    )
    assert places == pytest.approx([0.5, 3.5, 5.0, 6.0])
    passed = page.tab.evaluate(
        """() => [[3, 1, 0.9], [3, 1, 1.0], [0, 1, 0.25], [4, -1, 0.9], [4, -1, 1.05]].map(
            ([frame, direction, s]) => window.tgl.player.clock.passed(frame, direction, s))"""
    )
    assert passed == [0, 1, 2, 0, 1]  # a frame is shown as long in reverse
    ticks = page.tab.evaluate("() => window.tgl.timeline.axis.secondTicks()")
    assert [place for place, _ in ticks] == sorted(place for place, _ in ticks)
    assert [
        [pytest.approx(place), label] for place, label in ticks if label in ("1.0 s", "2.0 s")
    ] == [[3.7, "1.0 s"], [4.7, "2.0 s"]]


def test_a_best_frame_and_what_was_not_found_are_marked(
    index: Path, predictions: Path, tmp_path: Path, serve: Serve, visit: Visit
) -> None:
    folder = tmp_path / "masks"
    shutil.copytree(predictions, folder)
    black = np.zeros(CLIP.size, np.uint8)
    (folder / "a" / "1").mkdir()
    for frame in range(CLIP.frames):
        Image.fromarray(black).save(folder / "a" / "1" / f"{frame:05d}.png")
    rows = (
        {"video_id": "a", "expression_id": name, "frame": t, "mask_area": area}
        | {"route": BEST_FRAME if t == 5 and area else "propagated"}
        for name, area in (("0", 9), ("1", 0))
        for t in range(CLIP.frames)
    )
    write_table(folder / PROPAGATION_TABLE, rows_of(rows, PROPAGATION), PROPAGATION)
    page = visit(serve("view", index, "--preds", folder).address)
    assert "best frame" in page.text("#labels")
    assert "best frame" in page.text("#legend")
    row = "() => window.tgl.timeline.rows.find((one) => one.kind === 'route').title"
    assert page.tab.evaluate(row) == ("Route: propagated 15, best frame 1; no moment was predicted")
    empty = "() => window.tgl.timeline.rows.find((one) => one.kind === 'present').empty"
    assert page.tab.evaluate(empty) == ""
    page.press("PageDown")
    page.until("() => window.tgl.store.state?.expression_id === '1'")
    assert page.tab.evaluate(empty) == "nothing found"
    assert "best frame" not in page.text("#labels")
