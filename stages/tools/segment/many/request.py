"""A request to `tgl segment` for several videos, and its result."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stages.core.engine.outputs import refuse_inputs, replaceable
from stages.tools.segment.many.sentences import VideoSentences
from stages.tools.segment.request import SegmentRequest, check_sentences

OVERLAY_STAGE = "segment-overlays"
"""The stage that writes the folder of overlays."""


@dataclass(frozen=True)
class ManyRequest(SegmentRequest):
    """Videos with their sentences, a model, and where to write the results.

    Attributes:
        out: folder of the overlays.
        videos: at least one; `source` is the first one's path.
        read: paths that the user named: videos, folders of them, files of sentences.
    """

    videos: tuple[VideoSentences, ...] = ()
    read: tuple[Path, ...] = ()

    @property
    def work_path(self) -> Path:
        """Folder of the stages' artifacts; removed at the end unless the user named it."""
        out = self.out.resolve()  # it may be `.`
        return self.work or out.with_name(f".{out.name}.segment")

    def inputs(self) -> list[Path]:
        """Paths that the command reads, which no output may replace."""
        return [*super().inputs(), *(one.video.path for one in self.videos), *self.read]

    def check_sentences(self) -> None:
        """Raise ConfigError where a video has more sentences than one overlay can show."""
        for one in self.videos:
            check_sentences(one.sentences, of=one.video.video_id)

    def check_folders(self, masks_stage: str, *, force: bool) -> None:
        """Check the folders of masks, work and overlays before anything is done."""
        super().check_folders(masks_stage, force=force)
        others = [path for path in (self.masks, self.work) if path is not None]
        refuse_inputs(self.out, [*self.inputs(), *others])
        replaceable(self.out, OVERLAY_STAGE, force=force)

    def protected(self) -> list[Path]:
        """Inputs, and the folders of the results, which may not contain other outputs."""
        return [*super().protected(), self.out]

    def owner(self, path: Path) -> Path | None:
        """The user's file that a file in the work folder was made of; None if it is not known."""
        known = {one.video.video_id: one.video.path for one in self.videos}
        return next((known[name] for name in (*path.parts, path.stem) if name in known), None)


@dataclass(frozen=True)
class ManyResult:
    """Result of a run for several videos.

    Attributes:
        lines: one per video and sentence: its moments, and the number of frames with a mask.
        videos, sentences, frames: numbers of what was segmented.
        nothing: videos and sentences of which nothing was found, as they are shown.
        failures: one line for each video that failed.
        removed: videos of an earlier run, whose overlays are no longer there.
    """

    lines: tuple[str, ...]
    videos: int
    sentences: int
    frames: int
    nothing: tuple[str, ...]
    failures: tuple[str, ...]
    removed: tuple[str, ...] = ()

    def counts(self) -> dict[str, int]:
        """The numbers by what they count."""
        return {"videos": self.videos, "sentences": self.sentences, "frames": self.frames}
