"""Prompts by hand: the objects of a request, and their masks by the tracker alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import ConfigError
from stages.core.model.loading.families import require_tracker
from stages.core.model.loading.names import Wanted
from stages.tools.segment.between.steps import Between
from stages.tools.segment.config import NEEDS_CHECKPOINT, OF_A_CHECKPOINT
from stages.tools.segment.frame_source import FrameSource
from stages.tools.segment.models import TRACKER_OPTION, model_folders, tracker_name
from stages.tools.segment.pace import paced
from stages.tools.segment.pipeline import Artifacts, Clip, Pipeline
from stages.tools.segment.prompts.checking import prompted_objects, renumbered
from stages.tools.segment.prompts.config import PromptConfig, PromptInputs
from stages.tools.segment.run import SegmentRun


@dataclass(frozen=True)
class Prompted:
    """The way by prompts.

    Attributes:
        run: its request has prompts.
    """

    run: SegmentRun

    @property
    def masks_stage(self) -> str:
        """See ``ways.Way``."""
        return "segment"

    def prepare(self, source: FrameSource) -> None:
        """See ``ways.Way``; the frames are not counted yet."""
        request = self.run.request
        if request.sentences:
            raise ConfigError(
                f"{request.sentences[0]!r} has no effect with --box, --point or --mask",
                where="SENTENCE",
                hint="name the object in its prompt: --box NAME:x0,y0,x1,y1",
            )
        if request.checkpoint is not None:
            raise ConfigError("has no effect with --box, --point or --mask", where="--checkpoint")
        self.run.config.refuse(OF_A_CHECKPOINT, NEEDS_CHECKPOINT)
        self.run.config.refuse(
            ("model", "judge", "max_tracks"), "has no effect with --box, --point or --mask"
        )
        self._tracker()
        size = source.size()
        if size is not None:
            prompted_objects(request.prompts, size)

    def masks(self, pipeline: Pipeline, clips: Sequence[Clip]) -> Artifacts:
        """See ``ways.Way``: the prompts are checked, then their objects tracked."""
        from stages.tools.segment.prompts.stage import STAGE

        run = self.run
        pipeline = paced(pipeline, run.config, sentences=False)
        frames = clips[0].frames  # prompts are of one video
        objects = prompted_objects(run.request.prompts, frames.size, len(frames.names))
        config = PromptConfig(
            image_size=run.config.image_size,
            feature_memory=run.config.feature_memory,
            chunk_frames=run.config.chunk_frames,
        )
        index = pipeline.index([Clip(frames, tuple(one.name for one in objects))])
        between = Between(pipeline, run.config.every)
        prompted = [frame for one in objects for frame in one.frames]
        some = between.choose(index, [frames], prompted)
        if some != index:
            objects = renumbered(objects, between.frames(len(frames.names), prompted))
        inputs = PromptInputs(some, self._tracker(), objects)
        made = between.run(STAGE, config, inputs, run.request.masks)
        return Artifacts(index, between.fill(index, some, made, run.request.masks))

    def _tracker(self) -> Path:
        name = tracker_name(self.run.config.tracker, self.run.runtime.device)
        return model_folders([Wanted(name, TRACKER_OPTION, require_tracker)], self.run.progress)[0]
