"""Listing the predictions before scoring: missing and extra files, and a digest per video."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from schemas.layouts import MASK_SUFFIX, OBJECTS_FOLDER
from stages.core.engine.digest import state_text, text_digest
from stages.score.cases import MISSING_FRAME, Case, ScoringFault, VideoCases

MISSING_VIDEO = "video has no predictions"
MISSING_FOLDER = "expression has no predictions"


@dataclass(frozen=True)
class PredictionListing:
    """The predictions as their folders list them.

    Attributes:
        faults: missing predictions; a whole video or expression is one fault.
        extra: files and folders that belong to no case; they are never scored.
        digests: of the names, sizes, times and inodes of the predictions, by video.
    """

    faults: tuple[ScoringFault, ...]
    extra: tuple[str, ...]
    digests: dict[str, str]


def list_predictions(preds: Path, videos: Iterable[VideoCases]) -> PredictionListing:
    """List the predictions of all cases."""
    lister = _Lister(preds)
    digests = {video.video_id: lister.video(video) for video in videos}
    return PredictionListing(tuple(lister.faults), tuple(sorted(lister.extra())), digests)


class _Lister:
    """Lists each folder of predictions once."""

    def __init__(self, preds: Path):
        self.faults: list[ScoringFault] = []
        self._preds = preds
        self._used: dict[str, set[str]] = {}

    def video(self, video: VideoCases) -> str:
        """Note the missing predictions of a video; returns the digest of those present."""
        listed = {case.folder: self._files(case.folder) for case in video.cases}
        missing: list[ScoringFault] = []
        for case in video.cases:
            names = {f"{video.frame_names[frame]}{MASK_SUFFIX}" for frame in case.frames}
            self._used.setdefault(case.folder, set()).update(names)
            missing += self._missing(video, case, listed[case.folder])
        if video.cases and not any(listed.values()):
            frames = sum(len(case.frames) for case in video.cases)
            missing = [ScoringFault(MISSING_VIDEO, f"video {video.video_id}", frames)]
        self.faults += missing
        return text_digest(
            repr(sorted((folder, sorted(f.items())) for folder, f in listed.items()))
        )

    def extra(self) -> set[str]:
        """Find entries below the predictions that belong to no case, as relative paths."""
        known: dict[str, set[str]] = {"": {OBJECTS_FOLDER}}
        for folder, names in self._used.items():
            known.setdefault(folder, set()).update(names)
            while folder:
                folder, _, name = folder.rpartition("/")
                known.setdefault(folder, set()).add(name)
        found = set()
        for folder, names in known.items():
            for name in self._names(folder):
                outside = name not in names and (folder or name.endswith(MASK_SUFFIX))
                if outside or (not folder and name not in names and self._is_folder(name)):
                    found.add(f"{folder}/{name}" if folder else name)
        return found

    def _missing(self, video: VideoCases, case: Case, files: dict[str, str]) -> list[ScoringFault]:
        if not files and case.frames:
            return [ScoringFault(MISSING_FOLDER, case.where, len(case.frames))]
        return [
            ScoringFault(MISSING_FRAME, f"{case.where}, frame {video.frame_names[frame]}")
            for frame in case.frames
            if f"{video.frame_names[frame]}{MASK_SUFFIX}" not in files
        ]

    def _files(self, folder: str) -> dict[str, str]:
        """Return size, time and inode of each file of a folder; none if it is missing."""
        try:
            with os.scandir(self._preds / folder) as entries:
                return {
                    entry.name: state_text(entry.stat()) for entry in entries if entry.is_file()
                }
        except (FileNotFoundError, NotADirectoryError):
            return {}

    def _names(self, folder: str) -> list[str]:
        try:
            with os.scandir(self._preds / folder) as entries:
                return [entry.name for entry in entries if not entry.name.startswith(".")]
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _is_folder(self, name: str) -> bool:
        return (self._preds / name).is_dir()
