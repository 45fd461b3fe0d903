"""Captions, timelines and legend around an image."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stages.core.media.palette import BACKGROUND, MARKER, TRACK
from stages.tools.render.panel import Curve, LegendEntry, Panel, PanelContent, Timeline, colour_runs

RED, GREEN = (250, 10, 10), (10, 250, 10)
HEIGHT, WIDTH, FRAMES = 100, 400, 10


def content(sentence: str = "a sentence") -> PanelContent:
    timeline = Timeline("annotated", tuple(RED if 2 <= t < 5 else None for t in range(FRAMES)))
    return PanelContent((sentence,), (timeline,), (LegendEntry("agreement", GREEN),), "video / 0")


def pixels_of(image: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return (image == colour).all(axis=2)


def test_the_image_is_unchanged_inside() -> None:
    panel = Panel(content(), HEIGHT, WIDTH)
    image = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    whole = panel.compose(image, (0,), "frame 0")
    assert whole.shape == (*panel.size, 3)
    windows = np.lib.stride_tricks.sliding_window_view(whole[:, :WIDTH], (HEIGHT, WIDTH, 3))
    assert (windows == image).all(axis=(-1, -2, -3)).any()


@pytest.mark.parametrize(("height", "width"), [(101, 399), (33, 17), (720, 1280), (500, 321)])
def test_sizes_are_even_for_any_image(height: int, width: int) -> None:
    assert [side % 2 for side in Panel(content(), height, width).size] == [0, 0]


def test_long_sentences_grow_the_caption_up_to_a_limit() -> None:
    heights = [
        Panel(content("word " * words), HEIGHT, WIDTH).size[0] for words in (1, 20, 200, 500)
    ]
    assert heights[0] < heights[1] < heights[2] == heights[3]


def test_a_timeline_is_coloured_in_its_spans_only() -> None:
    panel = Panel(content(), HEIGHT, WIDTH)
    whole = panel.compose(np.zeros((HEIGHT, WIDTH, 3), np.uint8), ())
    rows, columns = np.nonzero(pixels_of(whole, RED))
    track = np.nonzero(pixels_of(whole, TRACK)[rows[0]])[0]
    left, right = min(track[0], columns.min()), track[-1] + 1
    assert columns.min() == pytest.approx(left + 0.2 * (right - left), abs=1)
    assert columns.max() + 1 == pytest.approx(left + 0.5 * (right - left), abs=1)


def test_the_marker_moves_with_the_frame() -> None:
    panel = Panel(content(), HEIGHT, WIDTH)
    columns = []
    for frame in range(FRAMES):
        whole = panel.compose(np.zeros((HEIGHT, WIDTH, 3), np.uint8), (frame,))
        columns.append(np.nonzero(pixels_of(whole[HEIGHT:], MARKER))[1].mean())
    assert (np.diff(columns) > 0).all()


def test_composing_leaves_no_trace_for_the_next_frame() -> None:
    panel = Panel(content(), HEIGHT, WIDTH)
    black = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    first = panel.compose(black, (0,), "frame 0")
    panel.compose(black, (7,), "frame 7")
    assert (panel.compose(black, (0,), "frame 0") == first).all()


def test_many_timelines_and_long_labels_stay_inside() -> None:
    timelines = tuple(Timeline("moment of a rather long name " * 3, (RED,)) for _ in range(20))
    keys = tuple(
        LegendEntry("an entry of the legend that is long " * 4, GREEN, True) for _ in range(4)
    )
    panel = Panel(PanelContent((), timelines, keys), HEIGHT, WIDTH)
    whole = panel.compose(np.zeros((HEIGHT, WIDTH, 3), np.uint8), (0,))
    assert (whole[:, -3:][HEIGHT:] == BACKGROUND).all()


def test_runs_are_half_open_and_join_equal_neighbours() -> None:
    assert colour_runs([None, RED, RED, GREEN, None, RED]) == [
        (1, 3, RED),
        (3, 4, GREEN),
        (5, 6, RED),
    ]
    assert colour_runs([]) == []


def test_a_hatched_colour_is_striped_in_its_timeline() -> None:
    timeline = Timeline("routed", (RED,) * 5 + (GREEN,) * 5, hatched=RED)
    panel = Panel(PanelContent((), (timeline,), ()), HEIGHT, WIDTH)
    whole = panel.compose(np.zeros((HEIGHT, WIDTH, 3), np.uint8), ())
    striped, even = pixels_of(whole, RED).sum(), pixels_of(whole, GREEN).sum()
    assert striped == pytest.approx(even / 2, rel=0.1)


def test_curves_and_axis_stand_beside_the_timelines_and_gaps_stay_open() -> None:
    plain = Panel(content(), HEIGHT, WIDTH)
    values = np.array([0, 0, 1, 1, np.nan, np.nan, 0.5, 0.5, 0.5, 0.5])
    more = replace(content(), curves=(Curve(values, GREEN),), ticks=((0, "0 s"), (5, "1 s")))
    panel = Panel(replace(more, legend=()), HEIGHT, WIDTH)
    assert panel.size[0] > plain.size[0]
    whole = panel.compose(np.zeros((HEIGHT, WIDTH, 3), np.uint8), ())
    rows, columns = np.nonzero(pixels_of(whole, GREEN))
    bar, _ = np.nonzero(pixels_of(whole, RED))
    assert rows.max() < bar.min()  # above the bars
    assert np.ptp(rows) > 10
    assert np.diff(np.unique(columns)).max() > 2 * (WIDTH / FRAMES) / 2  # nothing at the gap
