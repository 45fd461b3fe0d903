"""Steps of a pipeline that works on every N-th frame."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.tools.segment.between.choosing import (
    STAGE as CHOOSE,
)
from stages.tools.segment.between.choosing import (
    ChoiceConfig,
    ChoiceInputs,
    chosen_frames,
)
from stages.tools.segment.pipeline import MASKS, Frames, Pipeline
from stages.zero_shot.assemble.config import NO_OBJECTS

if TYPE_CHECKING:
    from stages.core.engine.execute import Outcome
    from stages.core.engine.stage import Stage

SOME, SOME_MASKS = "some-frames", "some-masks"
"""Folders of the index of the chosen frames, and of their masks."""


@dataclass(frozen=True)
class Between:
    """The frames that are tracked, and the masks of those between.

    Attributes:
        every: track every N-th frame.
    """

    pipeline: Pipeline
    every: int

    def choose(self, index: Path, videos: Sequence[Frames], needed: Iterable[int] = ()) -> Path:
        """An index of the frames to track: `index` itself where that is each one.

        Args:
            videos: of the index.
            needed: frames to track in any case, if there is one video.
        """
        if self.every == 1:
            return index
        config = ChoiceConfig(every=self.every)
        if len(videos) == 1:
            config = ChoiceConfig(tuple(map(str, self.frames(len(videos[0].names), needed))))
        out = self.pipeline.work / SOME
        self.pipeline.run(CHOOSE, config, ChoiceInputs(index), out)
        return out

    def frames(self, total: int, needed: Iterable[int] = ()) -> list[int]:
        """Numbers of the frames to track."""
        return chosen_frames(total, self.every, needed)

    def run(self, stage: Stage[Any, Any], config: Any, inputs: Any, masks: Path | None) -> Outcome:
        """Run the stage that makes the masks of the tracked frames.

        Args:
            masks: folder for the masks of all frames; None for one in the work folder.
        """
        work = self.pipeline.work
        if self.every > 1:
            return self.pipeline.run(stage, config, inputs, work / SOME_MASKS)
        return self.pipeline.run(stage, config, inputs, masks or work / MASKS, hold=True)

    def fill(
        self,
        index: Path,
        some: Path,
        made: Outcome,
        masks: Path | None,
        *,
        tracks: Path | None = None,
        objects: str = NO_OBJECTS,
    ) -> Outcome:
        """The masks of all frames, held until they are released.

        Args:
            index, some: of all frames, and of the tracked ones.
            made: masks of the tracked ones.
            masks: folder for the result; None for one in the work folder.
            tracks: index of the tracks that the masks are made of, if they are.
            objects: images of single objects to write.
        """
        if self.every == 1:
            return made
        from stages.tools.segment.between.filling import STAGE, FillConfig, FillInputs

        inputs = FillInputs(index, some, made.path, tracks)
        out = masks or self.pipeline.work / MASKS
        return self.pipeline.run(STAGE, FillConfig(objects), inputs, out, hold=True)
