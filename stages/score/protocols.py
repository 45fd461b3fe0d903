"""Which frames count: the protocols of the benchmarks that share J and F."""

from __future__ import annotations

from collections.abc import Sequence

from stages.score.cases import VideoCases


def choose_frames(protocol: str, videos: Sequence[VideoCases]) -> list[VideoCases]:
    """The cases with the frames that a protocol scores."""
    return list(videos)
