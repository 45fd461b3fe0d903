"""Scoring one video in one process: every file is read once, every true mask is prepared once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np

from schemas.errors import CorruptInput, MissingInput
from stages.score.cases import (
    MISSING_FRAME,
    UNREADABLE,
    UNREADABLE_TRUTH,
    WRONG_SIZE,
    Case,
    CaseResult,
    ScoringFault,
    TrackReader,
    TruthFault,
    VideoJob,
)
from stages.score.masks.boundary import TrueMask
from stages.score.masks.packed_masks import Counts, PackedMask, empty_mask, pack
from stages.score.masks.png import WrongSize, read_labels, read_mask

_COLUMNS = len(Counts._fields)

_CaseRow = tuple[int, int]
"""A case of the video, and the row of its result."""


class VideoScorer:
    """State of scoring one video; frames run in order, and cases with the same truth together."""

    def __init__(self, job: VideoJob):
        self._video = job.video
        self._preds = str(job.preds)
        self._reader: TrackReader = job.video.tracks.open()
        self._size = job.video.size
        self._labels: dict[str, np.ndarray] = {}
        self._results = [
            CaseResult(np.zeros((len(case.frames), _COLUMNS), np.int64), {})
            for case in job.video.cases
        ]

    def run(self) -> list[CaseResult]:
        """Count every scored frame of every case, in order."""
        for frame, groups in self._by_frame():
            self._labels.clear()
            for tracks, rows in groups.items():
                self._score_group(frame, tracks, rows)
        return self._results

    def _by_frame(self) -> Iterator[tuple[int, dict[tuple[str, ...], list[_CaseRow]]]]:
        """Yield the frames in order, each with the rows that score it by their true tracks."""
        frames: dict[int, dict[tuple[str, ...], list[_CaseRow]]] = {}
        for index, case in enumerate(self._video.cases):
            for row, frame in enumerate(case.frames):
                frames.setdefault(frame, {}).setdefault(case.tracks, []).append((index, row))
        for frame in sorted(frames):
            yield frame, frames[frame]

    def _score_group(self, frame: int, tracks: tuple[str, ...], rows: list[_CaseRow]) -> None:
        """Count a frame of all cases with the same truth."""
        try:
            truth = self._read_truth(tracks, frame)
        except TruthFault as fault:
            return self._note(frame, rows, str(fault))
        except CorruptInput as error:
            return self._note(frame, rows, f"{UNREADABLE_TRUTH} ({_reason(error)})")
        for index, row in rows:
            counts = self._compare((index, row), frame, truth)
            if counts is not None:
                self._results[index].counts[row] = counts
        return None

    def _compare(self, row: _CaseRow, frame: int, truth: TrueMask | None) -> Counts | None:
        """Count a prediction; if it is missing or unusable, note the fault.

        Returns:
            None if there is neither a prediction nor a true mask that it missed.
        """
        try:
            predicted = self._prediction(self._video.cases[row[0]], frame, truth)
        except MissingInput:
            kind = MISSING_FRAME
        except WrongSize:
            kind = WRONG_SIZE
        except (CorruptInput, OSError) as error:
            kind = f"{UNREADABLE} ({_reason(error)})"
        else:
            if truth is None:  # an empty truth fits every size
                truth = TrueMask(empty_mask(predicted.size))
            return truth.compare(predicted)
        self._note(frame, [row], kind)
        return None if truth is None else truth.missed

    def _note(self, frame: int, rows: list[_CaseRow], kind: str) -> None:
        for index, row in rows:
            name = self._video.frame_names[frame]
            where = f"{self._video.cases[index].where}, frame {name}"
            self._results[index].faults[row] = ScoringFault(kind, where)

    def _prediction(self, case: Case, frame: int, truth: TrueMask | None) -> PackedMask:
        path = f"{self._preds}/{case.folder}/{self._video.frame_names[frame]}.png"
        size = None if truth is None else truth.size
        if case.label is None:
            return read_mask(path, size)
        if path not in self._labels:
            self._labels[path] = read_labels(path)
        labels = self._labels[path]
        if size is not None and labels.shape != size:
            raise WrongSize("has another size", where=path)
        mask = pack(labels == case.label)
        void = self._reader.mask(case.void, frame) if case.void is not None else None
        return mask if void is None else mask - void

    def _read_truth(self, tracks: tuple[str, ...], frame: int) -> TrueMask | None:
        """Read the true mask of a frame; None if it is empty and its size is not known."""
        found = [self._reader.mask(track, frame) for track in tracks]
        union: PackedMask | None = None
        for mask in found:
            if mask is None:
                continue
            if self._size is None:
                self._size = mask.size
            if self._size != mask.size:
                raise TruthFault("masks of the ground truth differ in size")
            union = mask if union is None else union | mask
        if union is not None:
            return TrueMask(union)
        size = self._size or self._find_size()
        return None if size is None else TrueMask(empty_mask(size))

    def _find_size(self) -> tuple[int, int] | None:
        """Find the size of any true mask of the video, for frames in which nothing is visible."""
        tracks = dict.fromkeys(track for case in self._video.cases for track in case.tracks)
        for track in tracks:
            for frame in range(self._video.num_frames):
                with contextlib.suppress(TruthFault, CorruptInput):  # reported where it is scored
                    mask = self._reader.mask(track, frame)
                    if mask is not None:
                        self._size = mask.size
                        return self._size
        return None


def _reason(error: Exception) -> str:
    message = getattr(error, "message", None) or str(error)
    return str(message)
