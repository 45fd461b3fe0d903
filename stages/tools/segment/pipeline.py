"""Stages in one go: from a video to an index of its frames, to masks and an overlay.

Every step is the stage itself, run by execute() in one work folder: an interrupted run resumes, and
new sentences about the same video reuse its frames.
"""

from __future__ import annotations

import glob
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schemas.directories import remove_tree
from schemas.errors import IncompleteRun
from schemas.layouts import FRAMES_FOLDER, FRAMES_TABLE
from stages.build_moments.config import IndexConfig, IndexInputs
from stages.core.engine.progress import Progress
from stages.core.engine.runtime import Runtime
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
SOURCE = "source"
"""Folder of the link to the video."""
OVERLAYS = "pictures"
"""Folder of render's artifact; kept as it was named first, so that old work folders are reused."""


@dataclass(frozen=True)
class Artifacts:
    """The pipeline's artifacts.

    Attributes:
        index: of the videos with their sentences.
        masks: outcome of the stage that made the masks, published with the other outputs.
        objects: number of objects by video and sentence, where they are told apart.
        tracks: index whose masks are those of the objects, of the tracked frames.
        moments: artifact of the judge, with the moments of each object.
    """

    index: Path
    masks: Outcome
    objects: Mapping[tuple[str, str], int] | None = None
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
class Clip:
    """A video, and what to segment in it.

    Attributes:
        sentences: or names of the objects that are prompted.
    """

    frames: Frames
    sentences: tuple[str, ...]

    @property
    def video_id(self) -> str:
        """Name of the video."""
        return self.frames.video_id


class VideosFailed(IncompleteRun):
    """A stage could not work on some of several videos.

    Attributes:
        failures: a line for each of them, by its name.
    """

    def __init__(self, failures: Mapping[str, str]):
        super().__init__("; ".join(failures.values()))
        self.failures = failures


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
            return self.images(source)
        (frames,) = self.extract([source], keep_damaged=keep_damaged)
        return frames

    def images(self, source: FrameSource) -> Frames:
        """Link images."""
        linked = link_images(source, self._dataset)
        folder = self._dataset / FRAMES_FOLDER / source.video_id
        size = frame_size(next(folder.glob(f"{glob.escape(linked[0])}.*")))
        return Frames(source.video_id, tuple(linked), size, None)

    def extract(self, sources: Sequence[FrameSource], *, keep_damaged: bool) -> list[Frames]:
        """Decode videos.

        Raises:
            VideosFailed: some of them cannot be decoded.
        """
        from stages.extract_frames.stage import STAGE

        videos = tuple(link_video(source, self.work / SOURCE) for source in sources)
        _remove_others(self.work / SOURCE, [video.name for video in videos])
        config = ExtractConfig(keep_damaged=keep_damaged)
        self.run(STAGE, config, ExtractInputs(videos), self.work / FRAMES)
        return list(_extracted(self.work / FRAMES, [source.video_id for source in sources]))

    def index(self, clips: Sequence[Clip]) -> Path:
        """Index videos with their sentences."""
        images = [clip for clip in clips if clip.frames.extracted is None]
        if len(images) in (0, len(clips)):
            return self._index(clips, self._dataset, "index")
        from stages.tools.segment.many.joining import STAGE, JoinConfig, JoinInputs

        videos = [clip for clip in clips if clip.frames.extracted is not None]
        parts = (
            self._index(videos, self.work / "dataset-videos", "index-videos"),
            self._index(images, self._dataset, "index-images"),
        )
        self.run(STAGE, JoinConfig(), JoinInputs(parts), self.work / "index-joined")
        return self.work / "index-joined"

    def _index(self, clips: Sequence[Clip], dataset: Path, name: str) -> Path:
        """Index videos that are all extracted, or all folders of images."""
        from stages.build_moments.stage import STAGE

        _remove_others(dataset / FRAMES_FOLDER, [clip.video_id for clip in clips])
        videos = ((clip.video_id, clip.frames.names, clip.sentences) for clip in clips)
        write_sentences(dataset, videos)
        inputs = IndexInputs(dataset, frames=clips[0].frames.extracted)
        self.run(STAGE, IndexConfig(layout="mevis"), inputs, self.work / name)
        return self.work / name

    @property
    def _dataset(self) -> Path:
        return self.work / "dataset"

    def render(self, artifacts: Artifacts, request: SegmentRequest) -> Path:
        """Draw the masks over the videos; the folder with the overlay of each."""
        from stages.tools.render.stage import STAGE

        source = self.work / SOURCE if request.rendering.keep_audio else None
        inputs = RenderInputs(artifacts.masks.path, artifacts.index, request.font, source)
        self.run(STAGE, request.rendering, inputs, self.work / OVERLAYS)
        return self.work / OVERLAYS

    def run(
        self, stage: Stage[Any, Any], config: Any, inputs: Any, out: Path, *, hold: bool = False
    ) -> Outcome:
        """Execute a stage; the failure of the only video ends the run with its own exit code.

        Raises:
            VideosFailed: some of several videos failed.
        """
        from stages.core.engine.execute import execute

        outcome = execute(
            stage,
            config,
            inputs,
            out,
            runtime=self.runtime,
            progress=self.progress,
            force=self.force,
            hold=hold,
        )
        if outcome.failures:
            raise VideosFailed(outcome.failures)
        return outcome


def _remove_others(folder: Path, names: Collection[str]) -> None:
    """Remove what an earlier run linked in a folder, whose targets may be gone."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name not in names:
            remove_tree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def overlay_of(overlays: Path, video_id: str) -> Path:
    """The file of a video, all of whose sentences are drawn together, in render's artifact."""
    (overlay,) = (path for path in (overlays / video_id).rglob("*") if path.is_file())
    return overlay


def _extracted(frames: Path, videos: Sequence[str]) -> Iterator[Frames]:
    """The frames of videos in an artifact of extract-frames."""
    from schemas.parquet import read_table
    from schemas.tables import FRAMES

    columns = ["video_id", "frame", "name", "height", "width"]
    table = read_table(frames / FRAMES_TABLE, FRAMES, columns=columns).sort_by("frame")
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in table.to_pylist():
        rows.setdefault(row["video_id"], []).append(row)
    for video in videos:
        own = rows[video]
        size = own[0]["height"], own[0]["width"]
        yield Frames(video, tuple(row["name"] for row in own), size, frames)
