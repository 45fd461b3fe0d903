"""Cases to score, the sources of their ground truth, faults, and the result of a case."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from stages.core.media.spans import Span
from stages.score.masks.packed_masks import PackedMask

MISSING_FRAME = "mask is missing"
UNREADABLE = "mask cannot be read"
WRONG_SIZE = "mask has another size than the ground truth"
UNREADABLE_TRUTH = "ground truth cannot be read"


@dataclass(frozen=True)
class ScoringFault:
    """A prediction or a true mask that cannot be scored.

    Attributes:
        kind: a few words, the same for all faults of a kind.
        where: video, expression and frame, as far as they are known.
        frames: number of frames that score 0 because of it.
    """

    kind: str
    where: str
    frames: int = 1

    def __str__(self) -> str:
        return f"{self.where}: {self.kind}"


class TruthFault(Exception):
    """The ground truth of a frame is missing or unusable; the text is the kind of fault."""


class TrackReader(Protocol):
    """Reader of the true masks of one video, open in one process."""

    def mask(self, track: str, frame: int) -> PackedMask | None:
        """Read the mask of a track in a frame; None if it has no pixel there.

        Raises:
            TruthFault: the track or its frame is missing.
            CorruptInput: it cannot be read.
        """

    def frames(self, track: str) -> set[int]:
        """Return the frames for which the ground truth has a mask of the track."""


class TrackSource(Protocol):
    """Location of a video's ground truth, sent to the process that reads it."""

    def open(self) -> TrackReader:
        """Open a reader in this process."""


@dataclass(frozen=True)
class Case:
    """One row of the scores: an expression (or an object) of a video.

    Attributes:
        text: the sentence; empty if the ground truth has none.
        tracks: their union is the truth; none for an expression without a target.
        frames: positions that are scored, ascending.
        folder: of the predictions, relative to their root, as posix text.
        label: object number to look for in each prediction; None takes any foreground.
        void: track of the pixels in which predictions are not judged; None judges all.
        moments: spans of each referent, half-open; None if no moments are known.
        group: annotator of the sentence, if several are averaged.
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
        """Video and expression, which identify the row; a sentence may occur twice."""
        return self.video_id, self.expression_id

    @property
    def where(self) -> str:
        """Name of the case in messages."""
        return f"video {self.video_id}, expression {self.expression_id}"

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
        frame_names: file names without suffix, in order; frames are counted in it.
        size: (H, W), None if it is only known from the masks.
        frames_dir: folder of the frames for the report, empty if it is not known.
        frame_suffix: of their file names.
    """

    video_id: str
    frame_names: tuple[str, ...]
    size: tuple[int, int] | None
    cases: tuple[Case, ...]
    tracks: TrackSource
    frames_dir: str = ""
    frame_suffix: str = ""

    @property
    def num_frames(self) -> int:
        """T."""
        return len(self.frame_names)


@dataclass(frozen=True)
class VideoJob:
    """A video to score, and the root of its predictions."""

    video: VideoCases
    preds: Path


@dataclass
class CaseResult:
    """Scored frames of one case.

    Attributes:
        counts: int64 (F, 7), the fields of :class:`Counts` for each scored frame.
        faults: by row of `counts`; a frame with a fault scores 0.
    """

    counts: np.ndarray
    faults: dict[int, ScoringFault]
