"""Ref-DAVIS17 as it is downloaded: DAVIS 2017 and the four text files of sentences.

Two annotators each described every object twice: from the first frame, and from the whole video.
The expression id of object k (from 0) is 4k + the position in `_TEXT_FILES`: modulo 4 it is the
annotation, and the customary evaluation scores the sentences of one annotation together.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from schemas.errors import ConfigError, CorruptInput, MissingInput, TglError
from schemas.files import read_regular
from schemas.layouts import MOMENTS_FILE, natural_key, safe_name
from stages.core.datasets.faults import Faults, strict
from stages.core.datasets.palette import palette_tracks, track_id
from stages.core.datasets.records import DatasetPath, RawTrack, RawVideo
from stages.core.engine.runtime import Runtime
from stages.core.index.index import Expression

TEXTS_FOLDER = "davis_text_annotations"
_TEXT_FILES = (
    "Davis17_annot1.txt",
    "Davis17_annot1_full_video.txt",
    "Davis17_annot2.txt",
    "Davis17_annot2_full_video.txt",
)
_MISSPELT = {"clasic-car": "classic-car", "dog-scale": "dogs-scale", "motor-bike": "motorbike"}
_SPLITS = Path("ImageSets") / "2017"
_FRAMES = Path("JPEGImages") / "480p"
# The sentences refer to the objects of the unsupervised annotations.
_MASKS = (Path("Annotations_unsupervised") / "480p", Path("Annotations") / "480p")
_FRAME_SUFFIX = ".jpg"
_QUOTES = '"“”'
_FIELDS = 3


class DavisSplit:
    """One split of a downloaded Ref-DAVIS17.

    Args:
        source: its root has davis_text_annotations and DAVIS, or is DAVIS itself; its split is a
            list in ImageSets/2017, train or val.

    Raises:
        ConfigError: no split is named.
        MissingInput: a list or a text file is missing.
    """

    layout = "ref-davis17"
    images = False
    frames_unlisted = True

    def __init__(self, source: DatasetPath, faults: Faults = strict):
        root = source.root
        davis = _davis_folder(root)
        if source.split is None:
            raise ConfigError(
                "the data set has several splits", where="--split", hint=_choices(davis)
            )
        self.frames_dir = davis / _FRAMES
        self.masks = next((davis / m for m in _MASKS if (davis / m).is_dir()), davis / _MASKS[0])
        self.moments = root / MOMENTS_FILE
        self._faults = faults
        self._names = _split_videos(davis, source.split)
        self._corrected = 0
        self._sentences = self._read_sentences(_texts_folder(root, davis))
        self.notes: Mapping[str, int] = {"misspelt names corrected": self._corrected}

    @staticmethod
    def looks_like(folder: Path) -> bool:
        """Return whether a folder looks like a downloaded Ref-DAVIS17."""
        return any((place / TEXTS_FOLDER).is_dir() for place in (folder, folder.parent)) and any(
            (place / _FRAMES).is_dir() for place in (folder, folder / "DAVIS")
        )

    def videos(self) -> list[RawVideo]:
        """List the videos in the order of the split, with the frames of their folders."""
        found = []
        for name in self._names:
            folder = self.frames_dir / name
            frames = sorted(
                (path.stem for path in folder.glob(f"*{_FRAME_SUFFIX}")), key=natural_key
            )
            if frames:
                found.append(RawVideo(name, tuple(frames)))
            else:
                self._faults(MissingInput(f"video {name} has no frames", where=folder))
        return found

    def expressions(self) -> list[Expression]:
        """List four expressions per object, objects by number."""
        found = []
        for name in self._names:
            numbers = sorted({number for video, number, _ in self._sentences if video == name})
            if not numbers:
                self._faults(CorruptInput(f"video {name} has no sentence", where=TEXTS_FOLDER))
            found += [
                self._expression(name, number, position, annotation)
                for position, number in enumerate(numbers)
                for annotation in range(len(_TEXT_FILES))
                if (name, number, annotation) in self._sentences
            ]
        return found

    def tracks(self, runtime: Runtime) -> Iterator[RawTrack]:
        """Stream the tracks of all objects in the PNGs; videos are read in parallel."""
        yield from palette_tracks(self.masks, self.videos(), runtime, self._faults)

    def _expression(self, video_id: str, number: int, position: int, annotation: int) -> Expression:
        return Expression(
            video_id,
            str(position * len(_TEXT_FILES) + annotation),
            self._sentences[video_id, number, annotation],
            (str(number),),
            (track_id(video_id, number),),
        )

    def _read_sentences(self, folder: Path) -> dict[tuple[str, int, int], str]:
        """Read the sentences, by video, object number and annotation."""
        found: dict[tuple[str, int, int], str] = {}
        for annotation, file_name in enumerate(_TEXT_FILES):
            path = folder / file_name
            for line_number, line in enumerate(_lines(path), start=1):
                try:
                    video, number, text = _parse(line, f"{path}, line {line_number}")
                except TglError as error:
                    self._faults(error)
                    continue
                self._corrected += video in _MISSPELT
                found[_MISSPELT.get(video, video), number, annotation] = text
        return found


def _davis_folder(root: Path) -> Path:
    inside = root / "DAVIS"
    return inside if (inside / _FRAMES).is_dir() else root


def _texts_folder(root: Path, davis: Path) -> Path:
    for folder in (root, davis, davis.parent):
        if (folder / TEXTS_FOLDER).is_dir():
            return folder / TEXTS_FOLDER
    raise MissingInput("no folder of sentences", where=root / TEXTS_FOLDER)


def _split_videos(davis: Path, split: str) -> list[str]:
    path = davis / _SPLITS / f"{safe_name(split, where='--split')}.txt"
    if not os.path.lexists(path):
        raise MissingInput("no such split", where=path, hint=_choices(davis))
    return [safe_name(line.strip(), where=path) for line in _lines(path) if line.strip()]


def _choices(davis: Path) -> str:
    names = sorted(path.stem for path in (davis / _SPLITS).glob("*.txt"))
    return f"choose one with --split: {', '.join(names) or 'none found'}"


def _lines(path: Path) -> list[str]:
    data = read_regular(path, missing="no such text file")
    # Two of the files are UTF-8 and two are latin-1, which decodes anything.
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    return [line for line in text.split("\n") if line.strip()]


def _parse(line: str, where: str) -> tuple[str, int, str]:
    """Split a line into video, object number and sentence: `bear 1 "a brown bear"`."""
    parts = line.split(None, _FIELDS - 1)
    number = parts[1] if len(parts) == _FIELDS else ""
    if not (number.isascii() and number.isdigit()) or len(number) > _FIELDS:
        raise CorruptInput('is not: video, object number, "sentence"', where=where)
    text = " ".join(parts[2].split()).strip(_QUOTES).strip()
    if not text:
        raise CorruptInput("has no sentence", where=where)
    return safe_name(parts[0], where=where), int(number), text
