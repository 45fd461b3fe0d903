"""Progress of track: a step per frame that is encoded, and per object on a frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from stages.core.engine.progress import SilentProgress
from stages.core.model.backbones.backbone import Backbone
from stages.core.model.tracking import search
from stages.core.model.tracking.objects import track_objects
from stages.core.model.tracking.sources import FeatureSource
from stages.tools.segment import pace
from stages.zero_shot.track import propagation
from stages.zero_shot.track.config import TrackConfig, TrackInputs
from stages.zero_shot.track.stage import STAGE

LEFT, RIGHT = (0.0, 3.0, 5.0, 8.0), (9.0, 2.0, 15.0, 9.0)


@pytest.fixture
def inputs(index: Path, tracker: Path, write_candidates: Callable) -> TrackInputs:
    """Candidates of two objects on two frames of a video, and of one on a frame of another."""
    rows = [("a", "0", frame, box, 0.5) for frame in (0, 4) for box in (LEFT, RIGHT)]
    return TrackInputs(index, write_candidates([*rows, ("b", "0", 1, LEFT, 0.5)]), tracker)


@pytest.mark.parametrize("settings", [{}, {"feature_memory": 0.0, "chunk_frames": 1}])
def test_every_frame_and_object_is_a_step(
    run_stage: Callable,
    inputs: TrackInputs,
    tmp_path: Path,
    settings: dict[str, Any],
    counting: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tracked = []

    def count(backbone: Backbone, source: FeatureSource, objects: Sequence[Any]) -> Iterator[Any]:
        for found in track_objects(backbone, source, objects):
            tracked.append((len(source), len(found.objects)))
            yield found

    for module in (search, propagation):
        monkeypatch.setattr(module, "track_objects", count)
    outcome = run_stage(STAGE, TrackConfig(**settings), inputs, tmp_path / "out", progress=counting)
    assert {length for length, _ in tracked} == {2, 6, 1, 3}  # searched and all frames of each
    done, total = counting.reports[-1]
    assert done == total == outcome.counts["frames encoded"] + sum(n for _, n in tracked)
    assert all(done <= total for done, total in counting.reports)


class Clock:
    """Each look at it takes ten seconds."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 10
        return self.now


def test_a_long_run_is_told_before_the_search_ends(
    run_stage: Callable, inputs: TrackInputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown, told = SilentProgress(), []
    propagate = propagation.propagate

    def watched(*arguments: Any) -> propagation.Propagated:
        told.append(list(shown.notes))
        return propagate(*arguments)

    monkeypatch.setattr(propagation, "propagate", watched)
    monkeypatch.setattr(pace, "LONG_SECONDS", 100.0)
    paced = pace.PacedProgress(shown, pace.TASKS, ["--every 4"], Clock())
    run_stage(STAGE, TrackConfig(), inputs, tmp_path / "out", progress=paced)
    assert len(told[0]) == 1
    assert told[0][0].endswith("min in all; faster: --every 4")
    assert shown.notes == told[0]  # once
