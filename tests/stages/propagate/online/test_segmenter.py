"""Causal inference: what follows changes nothing, nothing grows, and a long delay is offline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from schemas.vocabulary import LANGUAGE
from stages.core.index.texts import TextEmbedding, TextStore
from stages.core.media.frames import read_frame
from stages.core.model.backbones.preprocess import normalise, resize_frames
from stages.core.model.checkpoint import load_checkpoint
from stages.core.model.text import TextBatch
from stages.core.model.tgl import TglModel
from stages.propagate.config import PropagateConfig
from stages.propagate.online.frame_result import FrameResult
from stages.propagate.online.routing import MomentFinder
from stages.propagate.online.segmenter import OnlineSegmenter

SIZE = (20, 30)
FRAMES = 11
DELAYS = (0, 1, 4, 9)
SHORTER = ((4, "every frame"), (0, "many moments"))
"""Between and below delays with which the same route is tried for growth by `make test`."""


@dataclass(frozen=True)
class Setup:
    """A tiny model, three sentences and a clip."""

    model: TglModel
    sentences: Sequence[TextEmbedding]
    clip: torch.Tensor

    def segmenter(
        self, finders: Sequence[MomentFinder] | None = None, **settings: Any
    ) -> OnlineSegmenter:
        config = PropagateConfig(online=True, **settings)
        return OnlineSegmenter(
            self.model,
            self.sentences,
            finders or [MomentFinder(config) for _ in self.sentences],
            config,
            size=SIZE,
            device=torch.device("cpu"),
            precision="fp32",
        )

    def run(self, frames: torch.Tensor | None = None, **settings: Any) -> list[FrameResult]:
        return results_of(self.segmenter(**settings), self.clip if frames is None else frames)


def results_of(segmenter: OnlineSegmenter, frames: torch.Tensor) -> list[FrameResult]:
    """All that leaves a segmenter for frames that come and end."""
    results = [result for pixels in frames for result in segmenter.push(pixels)]
    return results + segmenter.finish()


@pytest.fixture(scope="module")
def setup(made_world: Path) -> Setup:
    torch.set_num_threads(1)
    model = load_checkpoint(made_world / "checkpoint")
    store = TextStore.open(made_world / "text")
    names = ("the ball that jumps", "the ball", "the cube that is not there")
    pictures = [read_frame(made_world / f"frames/a/{frame:05d}.jpg") for frame in range(FRAMES)]
    clip = resize_frames(np.stack(pictures), model.backbone.image_size)
    return Setup(model, [store.get(name) for name in names], clip)


def same(one: FrameResult, other: FrameResult) -> bool:
    """Equal to the bit."""
    return (
        one.frame == other.frame
        and one.routes == other.routes
        and np.array_equal(one.masks, other.masks)
        and np.array_equal(one.relevance, other.relevance)
        and np.array_equal(one.scores, other.scores, equal_nan=True)
    )


@pytest.mark.parametrize("delay", DELAYS)
@pytest.mark.parametrize("memory", ["none", "confident", "all"])
def test_what_comes_after_the_delay_changes_nothing(setup: Setup, delay: int, memory: str) -> None:
    settings = {"delay": delay, "irrelevant_memory": memory, "relevance_threshold": 0.4}
    noise = torch.randint(0, 256, setup.clip.shape, generator=torch.Generator().manual_seed(3))
    noise = noise.to(torch.uint8)
    segmenter = setup.segmenter(**settings)
    whole: list[FrameResult] = []
    others: dict[int, list[FrameResult]] = {}
    for frame, pixels in enumerate(setup.clip):
        last = frame - delay - 1
        if last >= 0 and last % 3 == 0:  # from here on frames are noise
            twin = deepcopy(segmenter, {id(setup.model): setup.model})
            others[last] = whole + results_of(twin, noise[frame:])
        whole += segmenter.push(pixels)
    whole += segmenter.finish()
    assert others
    for last, other in others.items():
        assert all(map(same, whole[: last + 1], other[: last + 1]))
        assert not all(map(same, whole, other))


@pytest.mark.parametrize("delay", DELAYS)
def test_masks_leave_in_order_and_within_the_delay(setup: Setup, delay: int) -> None:
    segmenter = setup.segmenter(delay=delay)
    left: list[int] = []
    for newest, pixels in enumerate(setup.clip):
        left += [result.frame for result in segmenter.push(pixels)]
        assert len(left) >= newest - delay + 1
    left += [result.frame for result in segmenter.finish()]
    assert left == list(range(FRAMES))


def test_a_stream_without_frames_has_no_results(setup: Setup) -> None:
    assert setup.segmenter().finish() == []


@pytest.mark.parametrize("delay", DELAYS)
def test_relevance_is_that_of_a_video_that_ends_where_the_stream_is(
    setup: Setup, delay: int
) -> None:
    clip = torch.cat([setup.clip, setup.clip.flip(0), setup.clip])  # longer than any window
    segmenter = setup.segmenter(delay=delay)
    schedule = segmenter.schedule
    with torch.no_grad():
        features = setup.model.encode(normalise(clip))
        text = TextBatch.of(setup.sentences)
        results = [result for pixels in clip for result in segmenter.push(pixels)]
        for result in results:
            # So many frames had come at the step at which the frame was routed:
            arrived = -(-(result.frame + schedule.ahead + 1) // schedule.step) * schedule.step
            logits = setup.model.relevance(features[:arrived], text)
            expected = logits.sigmoid()[:, result.frame].numpy()
            assert result.relevance == pytest.approx(expected, abs=1e-5)
    assert results


@pytest.mark.parametrize(
    "limits", [{"expressions_per_batch": 1}, {"expressions_per_batch": 2}, {"chunk_frames": 1}]
)
def test_limits_change_no_mask(setup: Setup, limits: dict[str, int]) -> None:
    plain, limited = (setup.run(delay=4, **more) for more in ({}, limits))
    for one, other in zip(plain, limited, strict=True):
        assert one.routes == other.routes
        assert np.array_equal(one.masks, other.masks)


def held(segmenter: OnlineSegmenter) -> dict[str, int]:
    """Sizes of everything in a segmenter that could grow."""
    groups = segmenter._groups
    tracks = [track for group in groups for track in group._tracks()]
    tokens = [group._tokens.shape[1] for group in groups if group._tokens is not None]
    return {
        "frames": segmenter._window.end - segmenter._window.first,
        "frames in storage": sum(_stored(segmenter)),
        "waiting": len(segmenter._waiting),
        "frame tokens": sum(tokens),
        "undecided": sum(len(group._guided) + len(group._relevance) for group in groups),
        "tracks": len(tracks),
        "memories": sum(len(track.bank) for track in tracks),
        "results": sum(len(track.results) for track in tracks),
    }


def _stored(segmenter: OnlineSegmenter) -> Iterator[int]:
    """Frames that the window's storage holds, views that keep more than they show included."""
    features = segmenter._window._features
    if features is not None:
        level = features.coarse
        yield level.untyped_storage().nbytes() // level[0].nbytes


@pytest.mark.parametrize(
    ("delay", "route"),
    [
        (0, "every frame"),
        (9, "every frame"),
        (4, "many moments"),
        (9, "many moments"),
        *(pytest.param(*case, marks=pytest.mark.slow) for case in SHORTER),
    ],
)
def test_nothing_grows_with_the_stream(setup: Setup, delay: int, route: str) -> None:
    long = 66  # half of it is more than the delay and the memories together
    known = np.ones(long, bool) if route == "every frame" else np.arange(long) % 3 == 0
    config = PropagateConfig(moments="annotated")
    finders = [MomentFinder(config, known) for _ in setup.sentences]
    segmenter = setup.segmenter(finders, delay=delay, online_moments=2, moments="annotated")
    most: list[dict[str, int]] = []
    for frame in range(long):
        segmenter.push(setup.clip[frame % FRAMES])
        most.append(held(segmenter))
    early, late = most[: long // 2], most[long // 2 :]
    for name in most[0]:
        assert max(sizes[name] for sizes in late) <= max(sizes[name] for sizes in early), name
    if route == "many moments":
        segmenter.finish()
        begun, kept = long // 3, 2
        assert segmenter.forgotten == (begun - kept) * len(finders)


def test_frames_before_the_first_moment_are_empty_once_the_delay_is_over(setup: Setup) -> None:
    known = np.arange(FRAMES) >= 8
    finders = [MomentFinder(PropagateConfig(moments="annotated"), known)] * 3
    segmenter = setup.segmenter(finders, delay=0, moments="annotated", object_gate=False)
    results = [result for pixels in setup.clip for result in segmenter.push(pixels)]
    for result in results[:8]:
        assert set(result.routes) == {"empty"}
        assert not result.masks.any()
        assert np.isnan(result.scores).all()
    assert {route for result in results[8:] for route in result.routes} == {LANGUAGE}
    # With a delay, those that still wait are propagated backward.
    segmenter = setup.segmenter(finders, delay=6, moments="annotated", object_gate=False)
    results = [result for pixels in setup.clip for result in segmenter.push(pixels)]
    results += segmenter.finish()
    routes = [result.routes[0] for result in results]
    assert routes[7] == "propagated"
    assert routes[0] == "empty"
    assert routes.count("propagated") <= 6
