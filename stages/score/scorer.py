"""Scoring one video in one process: every file is read once, every truth is prepared once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from schemas.errors import CorruptInput, MissingInput
from stages.score.cases import (
    MISSING_FRAME,
    UNREADABLE,
    UNREADABLE_TRUTH,
    WRONG_SIZE,
    Case,
    CaseResult,
    Fault,
    TrackReader,
    TruthFault,
    VideoJob,
)
from stages.score.masks.boundary import Target
from stages.score.masks.packed_masks import Counts, Rows, blank, pack
from stages.score.masks.png import WrongSize, read_labels, read_mask

_COLUMNS = len(Counts._fields)

_Place = tuple[int, int]  # a case of the video, and the row of that case


class VideoScorer:
    """The state of scoring one video; frames run in order, cases of one truth side by side."""

    def __init__(self, job: VideoJob):
        self._video = job.video
        self._preds = job.preds
        self._reader: TrackReader = job.video.tracks.open()
        self._size = job.video.size
        self._labels: dict[str, np.ndarray] = {}
        self._results = [
            CaseResult(np.zeros((len(case.frames), _COLUMNS), np.int64), {})
            for case in job.video.cases
        ]

    def run(self) -> list[CaseResult]:
        """The counts of every scored frame of every case, in order."""
        for frame, groups in self._by_frame():
            self._labels.clear()
            for tracks, places in groups.items():
                self._score_group(frame, tracks, places)
        return self._results

    def _by_frame(self) -> Iterator[tuple[int, dict[tuple[str, ...], list[_Place]]]]:
        """Frames with the places that score them, by the tracks that hold their truth."""
        frames: dict[int, dict[tuple[str, ...], list[_Place]]] = {}
        for index, case in enumerate(self._video.cases):
            for row, frame in enumerate(case.frames):
                frames.setdefault(frame, {}).setdefault(case.tracks, []).append((index, row))
        for frame in sorted(frames):
            yield frame, frames[frame]

    def _score_group(self, frame: int, tracks: tuple[str, ...], places: list[_Place]) -> None:
        """Count a frame of all cases with the same truth."""
        try:
            target = self._read_target(tracks, frame)
        except TruthFault as fault:
            return self._note(frame, places, str(fault))
        except CorruptInput as error:
            return self._note(frame, places, f"{UNREADABLE_TRUTH} ({_reason(error)})")
        for place in places:
            counts = self._compare(place, frame, target)
            if counts is not None:
                self._results[place[0]].counts[place[1]] = counts
        return None

    def _compare(self, place: _Place, frame: int, target: Target | None) -> Counts | None:
        """The counts of a prediction; where there is none its fault is noted, and nothing counted
        unless there is a truth that it missed.
        """
        try:
            rows, width = self._prediction(self._video.cases[place[0]], frame, target)
        except MissingInput:
            kind = MISSING_FRAME
        except WrongSize:
            kind = WRONG_SIZE
        except (CorruptInput, OSError) as error:
            kind = f"{UNREADABLE} ({_reason(error)})"
        else:
            if target is None:  # an empty truth fits every size
                target = Target(np.zeros_like(rows), width)
            return target.compare(rows)
        self._note(frame, [place], kind)
        return None if target is None else target.unanswered

    def _note(self, frame: int, places: list[_Place], kind: str) -> None:
        for index, row in places:
            where = self._where(self._video.cases[index], frame)
            self._results[index].faults[row] = Fault(kind, where)

    def _prediction(self, case: Case, frame: int, target: Target | None) -> tuple[Rows, int]:
        path = Path(f"{self._preds}/{case.folder}/{self._video.frame_names[frame]}.png")
        size = None if target is None else (len(target.rows), target.width)
        if case.label is None:
            return read_mask(path, size)
        name = str(path)
        if name not in self._labels:
            self._labels[name] = read_labels(path)
        labels = self._labels[name]
        if size is not None and labels.shape != size:
            raise WrongSize("has another size", where=path)
        rows = pack(labels == case.label)
        void = self._reader.rows(case.void, frame) if case.void is not None else None
        if void is not None:
            rows = rows & ~void[0]
        return rows, labels.shape[1]

    def _read_target(self, tracks: tuple[str, ...], frame: int) -> Target | None:
        """The truth of a frame; None is an empty one whose size is not known."""
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
