"""Stages in one go: from a video to an index of its frames, to masks and an overlay.

Every step is the stage itself, run by execute() in one work folder: an interrupted run resumes, and
new sentences about the same video reuse its frames.
"""

from __future__ import annotations

import glob
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schemas.layouts import FRAMES_FOLDER, FRAMES_TABLE
from stages.build_moments.config import IndexConfig, IndexInputs
from stages.core.engine.progress import Progress
from stages.core.engine.runtime import Runtime
from stages.core.index.index import Index
from stages.core.media.frames import frame_size
from stages.extract_frames.config import ExtractConfig, ExtractInputs
from stages.tools.render.config import RenderInputs
from stages.tools.segment.frame_source import (
    FrameSource,
    link_images,
    link_video,
    write_sentences,
)
from stages.tools.segment.request import SegmentRequest

if TYPE_CHECKING:
    from stages.core.engine.execute import Outcome
    from stages.core.engine.stage import Stage

FRAMES = "frames"
"""Folder of extract-frames' artifact."""
MASKS = "masks"
"""Folder of the masks where the user named none."""
OVERLAYS = "pictures"
"""Folder of render's artifact; kept as it was named first, so that old work folders are reused."""


@dataclass(frozen=True)
class Artifacts:
    """The pipeline's artifacts.

    Attributes:
        index: of the video with its sentences.
        masks: outcome of the stage that made the masks, published with the other outputs.
        objects: number of objects by sentence, where they are told apart.
        tracks: index whose masks are those of the objects, of the tracked frames.
        moments: artifact of the judge, with the moments of each object.
    """

    index: Path
    masks: Outcome
    objects: Mapping[str, int] | None = None
    tracks: Path | None = None
    moments: Path | None = None


@dataclass(frozen=True)
class Frames:
    """The frames of a source, ready to be indexed.

    Attributes:
        video_id: name of the video.
        names: of the frames, without suffix, in order.
        size: (height, width) of the first one in pixels.
        extracted: artifact of extract-frames; None for images.
    """

    video_id: str
    names: tuple[str, ...]
    size: tuple[int, int]
    extracted: Path | None


@dataclass(frozen=True)
class Pipeline:
    """The stages and the folder that they work in.

    Attributes:
        work: folder of the artifacts between the stages.
        force: rerun every stage.
    """

    work: Path
    runtime: Runtime
    progress: Progress
    force: bool = False

    def frames(self, source: FrameSource, *, keep_damaged: bool) -> Frames:
        """Decode a video, or link images.

        Args:
            keep_damaged: keep the frames of a video with decoding errors.
        """
        if source.video is None:
            linked = link_images(source, self._dataset)
            folder = self._dataset / FRAMES_FOLDER / source.video_id
            size = frame_size(next(folder.glob(f"{glob.escape(linked[0])}.*")))
            return Frames(source.video_id, tuple(linked), size, None)
        from stages.extract_frames.stage import STAGE

        video = link_video(source, self.work / "source")
        config = ExtractConfig(keep_damaged=keep_damaged)
        self.run(STAGE, config, ExtractInputs((video,)), self.work / FRAMES)
        names, size = _extracted(self.work / FRAMES)
        return Frames(source.video_id, names, size, self.work / FRAMES)

    def index(self, frames: Frames, sentences: Sequence[str]) -> Path:
        """Index the video with its sentences."""
        from stages.build_moments.stage import STAGE

        write_sentences(self._dataset, frames.video_id, frames.names, sentences)
        inputs = IndexInputs(self._dataset, frames=frames.extracted)
        self.run(STAGE, IndexConfig(layout="mevis"), inputs, self.work / "index")
        return self.work / "index"

    @property
    def _dataset(self) -> Path:
        return self.work / "dataset"

    def render(self, artifacts: Artifacts, request: SegmentRequest) -> Path:
        """Draw the masks over the video; the overlay's file."""
        from stages.tools.render.stage import STAGE

        inputs = RenderInputs(artifacts.masks.path, artifacts.index, request.font)
        out = self.work / OVERLAYS
        self.run(STAGE, request.rendering, inputs, out)
        (video,) = Index.open(artifacts.index).videos
        (overlay,) = (out / video).iterdir()
        return overlay

    def run(
        self, stage: Stage[Any, Any], config: Any, inputs: Any, out: Path, *, hold: bool = False
    ) -> Outcome:
        """Execute a stage; the failure of the only video ends the run with its own exit code."""
        from stages.core.engine.execute import execute

        return execute(
            stage,
            config,
            inputs,
            out,
            runtime=self.runtime,
            progress=self.progress,
            force=self.force,
            hold=hold,
        )


def _extracted(frames: Path) -> tuple[tuple[str, ...], tuple[int, int]]:
    """Names of the frames of an artifact of extract-frames with one video, and (height, width)."""
    from schemas.parquet import read_table
    from schemas.tables import FRAMES

    columns = ["video_id", "frame", "name", "height", "width"]
    rows = read_table(frames / FRAMES_TABLE, FRAMES, columns=columns).sort_by("frame").to_pylist()
    return tuple(row["name"] for row in rows), (rows[0]["height"], rows[0]["width"])
