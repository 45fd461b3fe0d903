"""A plain folder: JPEGImages/<video>/, Annotations/<video>/ (palette PNGs) and expressions.csv.

The columns of the CSV are video_id, expression and, optionally, object_ids and expression_id.
object_ids are the objects' numbers in the PNGs, separated by blanks or semicolons; none means no
target, or that nothing is known.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from schemas.errors import CorruptInput, TglError
from schemas.layouts import (
    FRAMES_FOLDER,
    MOMENTS_FILE,
    natural_key,
    number_gaps,
    orders_differ,
    safe_name,
)
from stages.core.datasets.documents.text_files import read_csv_text
from stages.core.datasets.faults import Faults, strict
from stages.core.datasets.palette import (
    ANNOTATIONS_FOLDER,
    count_unmasked,
    palette_tracks,
    track_id,
)
from stages.core.datasets.records import DatasetPath, RawTrack, RawVideo
from stages.core.datasets.video_frames import no_frames
from stages.core.engine.runtime import Runtime
from stages.core.index.index import Expression
from stages.core.media.frames import FRAME_SUFFIXES

SENTENCES_FILE = "expressions.csv"
_NEEDED = ("video_id", "expression")


class PlainFolder:
    """Frames, palette PNGs and a CSV of sentences.

    Args:
        source: its folder has expressions.csv; its frames, an artifact of extract-frames, take the
            place of JPEGImages in the folder.

    Raises:
        MissingInput: there is no expressions.csv.
        CorruptInput: it is not UTF-8 text with the columns needed, or is cut off.
    """

    layout = "folder"
    images = False
    frames_unlisted = True

    def __init__(self, source: DatasetPath, faults: Faults = strict):
        folder = source.folder
        self.frames_dir = (source.frames or folder) / FRAMES_FOLDER
        self.masks = folder / ANNOTATIONS_FOLDER
        self.moments = folder / MOMENTS_FILE
        self._faults = faults
        self._expressions = _read_sentences(folder / SENTENCES_FILE, faults)
        self._videos = self._list_videos()
        self.notes: Mapping[str, int] = {
            "frames without annotation": count_unmasked(self.masks, self._videos),
            "videos ordered by frame number": sum(
                orders_differ(video.frame_names) for video in self._videos
            ),
            "gaps in frame numbers": sum(
                len(number_gaps(video.frame_names)) for video in self._videos
            ),
        }

    @staticmethod
    def looks_like(folder: Path) -> bool:
        """Return whether a folder looks like this layout."""
        return os.path.lexists(folder / SENTENCES_FILE)

    def videos(self) -> list[RawVideo]:
        """List the videos in the order of the CSV, frames by the numbers in their names."""
        return self._videos

    def expressions(self) -> list[Expression]:
        """List the expressions in the order of the CSV."""
        return self._expressions

    def tracks(self, runtime: Runtime) -> Iterator[RawTrack]:
        """Stream the tracks of all objects in the PNGs; videos are read in parallel."""
        if self.masks.is_dir():
            yield from palette_tracks(self.masks, self._videos, runtime, self._faults, void=None)

    def _list_videos(self) -> list[RawVideo]:
        found = []
        for video_id in dict.fromkeys(e.video_id for e in self._expressions):
            folder = self.frames_dir / video_id
            names = _frame_names(folder)
            if names:
                found.append(RawVideo(video_id, names))
            else:
                self._faults(no_frames(video_id, folder))
        return found


def _frame_names(folder: Path) -> tuple[str, ...]:
    if not folder.is_dir():
        return ()
    return tuple(
        sorted(
            (p.stem for p in folder.iterdir() if p.suffix.lower() in FRAME_SUFFIXES),
            key=natural_key,
        )
    )


def _read_sentences(path: Path, faults: Faults) -> list[Expression]:
    reader = csv.DictReader(io.StringIO(read_csv_text(path), newline=""))
    try:
        missing = [name for name in _NEEDED if name not in (reader.fieldnames or ())]
        if missing:
            raise CorruptInput(f"lacks the column {', '.join(missing)}", where=path)
        rows = list(reader)
    except csv.Error as error:
        raise CorruptInput(f"is not CSV ({error})", where=path) from error
    counted: defaultdict[str, int] = defaultdict(int)
    found: dict[tuple[str, str], Expression] = {}
    for number, row in enumerate(rows, start=2):
        where = f"{path}, line {number}"
        try:
            if None in row or None in row.values():
                few = "few" if None in row.values() else "many"
                raise CorruptInput(f"has too {few} fields", where=where)
            expression = _expression(row, counted, where)
            if expression.key in found:
                raise CorruptInput(
                    f"expression {expression.expression_id} of video "
                    f"{expression.video_id} occurs twice",
                    where=where,
                )
            found[expression.key] = expression
        except TglError as error:
            faults(error)
    return list(found.values())


def _expression(
    row: Mapping[str, str | None], counted: defaultdict[str, int], where: str
) -> Expression:
    video_id = safe_name((row["video_id"] or "").strip(), where=where)
    given = (row.get("expression_id") or "").strip()
    expression_id = safe_name(given or str(counted[video_id]), where=where)
    counted[video_id] += 1
    text = (row["expression"] or "").strip()
    if not text:
        raise CorruptInput("has no sentence", where=where)
    numbers = tuple(part for part in re.split(r"[\s;]+", row.get("object_ids") or "") if part)
    if any(re.fullmatch("[1-9][0-9]{0,2}", number) is None for number in numbers):
        raise CorruptInput(f"{' '.join(numbers)!r} are not object numbers", where=where)
    annos = tuple(track_id(video_id, number) for number in numbers)
    return Expression(video_id, expression_id, text, numbers, annos)
