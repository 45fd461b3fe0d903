"""What the panel of an overlay says: numbers, what was not found, the time axis, relevance."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.core.media.palette import SPAN, sentence_colour
from stages.tools.render.config import RenderConfig
from stages.tools.render.overlay import Overlay, time_ticks
from stages.tools.render.panel import PanelContent
from stages.tools.render.source import PredictedExpression, RenderVideo

FRAMES = 24


def expression(name: str, **known: object) -> PredictedExpression:
    return PredictedExpression(name, f"sentence {name}", Path("masks"), **known)  # type: ignore[arg-type]


def video(*expressions: PredictedExpression, frames: int = FRAMES, **known: object) -> RenderVideo:
    names = tuple(Path(f"{frame:05d}.jpg") for frame in range(frames))
    return RenderVideo("v", names, 48, 64, known.pop("fps", 8.0), expressions, **known)  # type: ignore[arg-type]


def content(shown: RenderVideo, *, against_truth: bool = False) -> PanelContent:
    return Overlay(shown, shown.expressions, against_truth, RenderConfig())._content()


def test_captions_have_the_numbers_of_their_bars_and_say_what_was_not_found() -> None:
    routed = np.ones(FRAMES, bool)
    shown = video(
        expression("3", routed=routed, found=True), expression("7", routed=routed, found=False)
    )
    made = content(shown)
    captions = [caption.label for caption in made.captions]  # type: ignore[union-attr]
    assert captions == ["3: sentence 3", "7: sentence 7 (nothing found)"]
    assert [timeline.label for timeline in made.timelines] == ["moment 3", "moment 7"]
    alone = content(video(expression("7", found=False)), against_truth=True)
    assert alone.captions == ("sentence 7 (nothing found)",)


def test_relevance_is_a_curve_in_the_colour_of_its_sentence() -> None:
    values = np.linspace(0, 1, FRAMES)
    shown = video(expression("0"), expression("1", relevance=values))
    (curve,) = content(shown).curves
    assert curve.colour == sentence_colour(1)
    assert np.array_equal(curve.values, values)
    (curve,) = content(video(expression("0", relevance=values)), against_truth=True).curves
    assert curve.colour == SPAN


@pytest.mark.parametrize(
    ("known", "labels", "places"),
    [
        ({"fps": 8.0}, ["0 s", "0.5 s", "1 s", "1.5 s", "2 s", "2.5 s"], [0, 4, 8, 12, 16, 20]),
        ({"fps": None}, ["0", "5", "10", "15", "20"], [0, 5, 10, 15, 20]),
        (
            {"fps": None, "times": tuple(10 + t / 8 + (t > 11) for t in range(FRAMES))},
            ["0 s", "1 s", "2 s", "3 s"],
            [0, 8, pytest.approx(11.56, abs=0.01), 16],
        ),
    ],
    ids=["constant", "unknown", "variable"],
)
def test_the_time_axis(known: dict[str, object], labels: list[str], places: list[float]) -> None:
    ticks = time_ticks(video(**known))
    assert [label for _, label in ticks] == labels
    assert [place for place, _ in ticks] == places


@given(st.integers(1, 100_000), st.one_of(st.none(), st.floats(0.01, 1000)))
def test_ticks_are_few_even_and_inside(frames: int, fps: float | None) -> None:
    shown = replace(video(fps=fps), frames=tuple([Path("x")] * frames))
    places = [place for place, _ in time_ticks(shown)]
    assert places[0] == 0
    assert places[-1] <= frames
    assert len(places) <= 7
    if frames > 6:
        assert len(places) >= 3
    steps = [second - first for first, second in pairwise(places)]
    assert np.allclose(steps, steps[:1] * len(steps))
