"""Scoring one video in one process: every file is read once, every truth is prepared once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np

from schemas.errors import CorruptInput
from stages.score.cases import Case, Fault, TrackReader, TruthFault, VideoCases
from stages.score.png import WrongSize, read_labels, read_mask
from stages.score.regions import Counts, Rows, Target, blank, pack

MISSING_FRAME = "mask is missing"
UNREADABLE = "mask cannot be read"
WRONG_SIZE = "mask has another size than the ground truth"
UNREADABLE_TRUTH = "ground truth cannot be read"

_COLUMNS = len(fields(Counts))
_NOTHING = Counts(0, 0, 0, 0, 0, 0, 0)


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


def score_video(job: VideoJob) -> list[CaseResult]:
    """Count every scored frame of every case; memory holds one frame at a time."""
    return _VideoScorer(job).run()


class _VideoScorer:
    """The state of scoring one video; frames run in order, cases inside each frame."""

    def __init__(self, job: VideoJob):
        self._video = job.video
        self._preds = job.preds
        self._reader: TrackReader = job.video.tracks.open()
        self._size = job.video.size
        self._targets: dict[tuple[str, ...], Target | None] = {}
        self._labels: dict[str, np.ndarray] = {}

    def run(self) -> list[CaseResult]:
        results = [
            CaseResult(np.zeros((len(case.frames), _COLUMNS), np.int64), {})
            for case in self._video.cases
        ]
        for frame, members in self._by_frame():
            self._targets.clear()
            self._labels.clear()
            for index, row in members:
                case = self._video.cases[index]
                counts, kind = self._compare(case, frame)
                results[index].counts[row] = astuple(counts)
                if kind is not None:
                    results[index].faults[row] = Fault(kind, self._where(case, frame))
        return results

    def _by_frame(self) -> Iterator[tuple[int, list[tuple[int, int]]]]:
        """Frames with (case, row of that case) for each case that scores it."""
        members: dict[int, list[tuple[int, int]]] = {}
        for index, case in enumerate(self._video.cases):
            for row, frame in enumerate(case.frames):
                members.setdefault(frame, []).append((index, row))
        for frame in sorted(members):
            yield frame, members[frame]

    def _compare(self, case: Case, frame: int) -> tuple[Counts, str | None]:
        """The counts of one frame, and the kind of its fault if it has one."""
        try:
            target = self._target(case, frame)
        except TruthFault as fault:
            return _NOTHING, str(fault)
        except CorruptInput as error:
            return _NOTHING, f"{UNREADABLE_TRUTH} ({_reason(error)})"
        missed = _NOTHING
        if target is not None:
            missed = Counts(0, 0, target.area, 0, target.edge_area, 0, 0)
        try:
            rows, width = self._prediction(case, frame, target)
        except (FileNotFoundError, NotADirectoryError):
            return missed, MISSING_FRAME
        except WrongSize:
            return missed, WRONG_SIZE
        except (CorruptInput, OSError) as error:
            return missed, f"{UNREADABLE} ({_reason(error)})"
        if target is None:  # an empty truth fits every size
            target = Target(np.zeros_like(rows), width)
        return target.compare(rows), None

    def _prediction(self, case: Case, frame: int, target: Target | None) -> tuple[Rows, int]:
        path = self._preds / case.folder / f"{self._video.frame_names[frame]}.png"
        size = None if target is None else (len(target.rows), target.width)
        if case.label is None:
            return read_mask(path, size)
        name = str(path)
        if name not in self._labels:
            self._labels[name] = read_labels(path)
        labels = self._labels[name]
        if size is not None and labels.shape != size:
            raise WrongSize("has another size", where=path)
        return pack(labels == case.label), labels.shape[1]

    def _target(self, case: Case, frame: int) -> Target | None:
        """The truth of a frame, kept for its other cases; None is an empty one of any size."""
        if case.tracks not in self._targets:
            self._targets[case.tracks] = self._read_target(case.tracks, frame)
        return self._targets[case.tracks]

    def _read_target(self, tracks: tuple[str, ...], frame: int) -> Target | None:
        found = [self._reader.rows(track, frame) for track in tracks]
        union: Rows | None = None
        for mask in found:
            if mask is None:
                continue
            rows, width = mask
            if self._size is None:
                self._size = (len(rows), width)
            if self._size != (len(rows), width):
                raise TruthFault("masks of the ground truth differ in size")
            union = rows if union is None else union | rows
        if union is not None:
            return Target(union, width)
        size = self._size or self._find_size()
        return None if size is None else Target(blank(*size), size[1])

    def _find_size(self) -> tuple[int, int] | None:
        """The size of any true mask of the video, for frames in which nothing is visible."""
        tracks = dict.fromkeys(track for case in self._video.cases for track in case.tracks)
        for track in tracks:
            for frame in range(self._video.num_frames):
                with contextlib.suppress(TruthFault, CorruptInput):  # reported where it is scored
                    mask = self._reader.rows(track, frame)
                    if mask is not None:
                        self._size = (len(mask[0]), mask[1])
                        return self._size
        return None

    def _where(self, case: Case, frame: int) -> str:
        return (
            f"video {case.video_id}, expression {case.expression_id}, "
            f"frame {self._video.frame_names[frame]}"
        )


def _reason(error: Exception) -> str:
    message = getattr(error, "message", None) or str(error)
    return str(message)
