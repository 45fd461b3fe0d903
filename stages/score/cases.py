"""Cases to score, the tracks that hold their ground truth, faults, and a case's result."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from stages.core.media.spans import Span
from stages.score.masks.packed_masks import Rows

MISSING_FRAME = "mask is missing"
UNREADABLE = "mask cannot be read"
WRONG_SIZE = "mask has another size than the ground truth"
UNREADABLE_TRUTH = "ground truth cannot be read"


@dataclass(frozen=True)
class Fault:
    """Something that cannot be scored.

    Attributes:
        kind: a few words, the same for all faults of a kind.
        where: video, expression and frame, as far as it goes.
        frames: how many frames it takes the score from.
    """

    kind: str
    where: str
    frames: int = 1

    def __str__(self) -> str:
        return f"{self.where}: {self.kind}"


class TruthFault(Exception):
    """The ground truth of a frame cannot be had; the text is the fault's kind."""


class TrackReader(Protocol):
    """Ground truth masks of one video, open in one process."""

    def rows(self, track: str, frame: int) -> tuple[Rows, int] | None:
        """The rows and the width of a track's mask in a frame; None where it has no pixel.

        Raises:
            TruthFault: the track or its frame is not there.
            CorruptInput: it cannot be read.
        """

    def frames(self, track: str) -> set[int]:
        """The frames for which the ground truth has a mask of the track."""


class Tracks(Protocol):
    """Where a video's ground truth is; travels to the process that reads it."""

    def open(self) -> TrackReader:
        """A reader for one process."""


@dataclass(frozen=True)
class Case:
    """One row of the scores: an expression (or an object) of a video.

    Attributes:
        text: the sentence; empty where the ground truth has none.
        tracks: whose union is the truth; empty for an expression without a target.
        frames: positions that are scored, ascending.
        folder: of the predictions, relative to their root, as posix text.
        label: the object number to look for in each prediction; None takes any foreground.
        void: the track of pixels in which predictions are not judged; None judges all.
        moments: spans of each referent, half-open; None where no moments are known.
        group: whose sentence it is, where several annotators are averaged.
    """

    video_id: str
    expression_id: str
    text: str
    tracks: tuple[str, ...]
    frames: tuple[int, ...]
    folder: str
    label: int | None = None
    void: str | None = None
    moments: tuple[tuple[Span, ...], ...] | None = None
    group: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """What identifies the row; a sentence alone does not."""
        return self.video_id, self.expression_id

    @property
    def spans(self) -> tuple[Span, ...] | None:
        """All spans of all referents."""
        if self.moments is None:
            return None
        return tuple(span for spans in self.moments for span in spans)


@dataclass(frozen=True)
class VideoCases:
    """All cases of a video.

    Attributes:
        frame_names: file names without suffix, in order; positions count in it.
        size: (H, W), None where only the masks say.
        pictures: folder of the video's pictures for the report, and their suffix; empty if unknown.
    """

    video_id: str
    frame_names: tuple[str, ...]
    size: tuple[int, int] | None
    cases: tuple[Case, ...]
    tracks: Tracks
    pictures: tuple[str, str] = ("", "")

    @property
    def num_frames(self) -> int:
        """T."""
        return len(self.frame_names)


@dataclass(frozen=True)
class VideoJob:
    """A video and where its predictions are."""

    video: VideoCases
    preds: Path


@dataclass
class CaseResult:
    """Frames of one case.

    Attributes:
        counts: int64 (F, 7), the fields of :class:`Counts` for each scored frame.
        faults: by row of `counts`; such a frame scores 0.
    """

    counts: np.ndarray
    faults: dict[int, Fault]
