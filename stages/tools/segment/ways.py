"""The ways from frames to masks: a checkpoint, prompts by hand, public models without training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from stages.tools.segment.frame_source import FrameSource
from stages.tools.segment.pipeline import Artifacts, Clip, Pipeline
from stages.tools.segment.prompts.way import Prompted
from stages.tools.segment.request import CHECKPOINT, PROMPTS
from stages.tools.segment.run import SegmentRun
from stages.tools.segment.trained import Trained


class Way(Protocol):
    """A way from the frames of a video to masks."""

    @property
    def masks_stage(self) -> str:
        """Name of the stage that writes the masks."""

    def prepare(self, source: FrameSource) -> None:
        """Check the request, and fetch the models, before the video is decoded.

        Raises:
            ConfigError: settings that contradict each other or the way.
            MissingInput: a model does not exist, or cannot be fetched.
        """

    def masks(self, pipeline: Pipeline, clips: Sequence[Clip]) -> Artifacts:
        """Index the videos and compute their masks.

        Raises:
            TglError: as the stages raise it.
        """


def way_of(run: SegmentRun) -> Way:
    """The way that a request asks for."""
    way = run.request.way
    if way == PROMPTS:
        return Prompted(run)
    if way == CHECKPOINT:
        return Trained(run)
    from stages.tools.segment.zero_shot.way import ZeroShot

    return ZeroShot(run)
