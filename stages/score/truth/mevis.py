"""Ground truth from a split folder of MeViS: meta_expressions.json and mask_dict.json.

mask_dict.json is near 1 GB. It is never parsed as a whole: one pass finds where each track lies,
and each process reads the tracks of the video that it scores.
"""

from __future__ import annotations

import mmap
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.documents import load_object, mapping, parse_json
from schemas.errors import CorruptInput
from schemas.files import open_regular, require_regular
from schemas.layouts import (
    FRAMES_FOLDER,
    MEVIS_EXPRESSIONS,
    MEVIS_EXPRESSIONS_V2,
    MEVIS_MASKS,
    MOMENTS_FILE,
    safe_name,
)
from stages.core.datasets.documents.json_values import id_list, rle_size, whole_text
from stages.core.datasets.documents.moments_json import read_spans
from stages.core.media.spans import Span
from stages.score.cases import Case, TruthFault, VideoCases
from stages.score.masks.packed_masks import Rows
from stages.score.masks.rle import decode_runs

UNKNOWN_TRACK = "unknown anno id"
SHORT_TRACK = "mask list is shorter than the video"

# A key whose value is a list of masks: an RLE's own keys are followed by numbers or text.
_TRACK_START = re.compile(rb'[{,]\s*"(?!(?:counts|size)")((?:[^"\\]|\\.)*)"\s*:\s*\[\s*(?=[{\]n])')

Place = tuple[int, int]


@dataclass(frozen=True)
class JsonTracks:
    """Some tracks of a mask_dict.json.

    Attributes:
        places: first and last byte (exclusive) of each track's list.
        num_frames: length that each list must have.
    """

    path: Path
    places: Mapping[str, Place]
    num_frames: int

    def open(self) -> JsonReader:
        """Parse the tracks in this process."""
        return JsonReader(self)


class JsonReader:
    """Reads masks of one video; see :class:`stages.score.cases.TrackReader`."""

    def __init__(self, source: JsonTracks):
        self._source = source
        self._lists: dict[str, list[Any]] = {}

    def rows(self, track: str, frame: int) -> tuple[Rows, int] | None:
        """The mask of an anno id in a frame."""
        masks = self._list(track)
        if frame >= len(masks):
            raise TruthFault(f"{SHORT_TRACK} ({len(masks)} of {self._source.num_frames})")
        if masks[frame] is None:
            return None
        where = f"{self._source.path}, anno id {track}, frame {frame}"
        rle = mapping(masks[frame], where)
        height, width = rle_size(rle.get("size"), where)
        counts = rle.get("counts")
        if not isinstance(counts, str | list):
            raise CorruptInput("the RLE has no counts", where=where)
        return decode_runs(counts, height, width, where=where), width

    def frames(self, track: str) -> set[int]:
        """Frames in which the anno id is visible."""
        if track not in self._source.places:
            return set()
        return {frame for frame, mask in enumerate(self._list(track)) if mask is not None}

    def _list(self, track: str) -> list[Any]:
        if track not in self._lists:
            if track not in self._source.places:
                raise TruthFault(f"{UNKNOWN_TRACK} {track}")
            first, end = self._source.places[track]
            with open_regular(self._source.path) as file:
                file.seek(first)
                text = file.read(end - first)
            self._lists[track] = parse_json(text, f"{self._source.path}, anno id {track}")
        return self._lists[track]


def find_tracks(path: Path) -> dict[str, Place]:
    """Where each anno id's list of masks lies in a mask_dict.json, in one pass."""
    size = path.stat().st_size
    if not size:
        raise CorruptInput("is empty", where=path)
    with open_regular(path) as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        starts = [
            (parse_json(b'"' + match[1] + b'"', path), match.start(), text.find(b"[", match.end(1)))
            for match in _TRACK_START.finditer(text)
        ]
        last = text.rfind(b"}")
    if last < 0:
        raise CorruptInput("is cut off", where=path, hint="copy or download it again")
    ends = [*(start for _, start, _ in starts[1:]), last][: len(starts)]
    # In a file that is cut off the last track may begin behind the last mask.
    return {
        key: (first, max(first, end)) for (key, _, first), end in zip(starts, ends, strict=True)
    }


def is_mevis(folder: Path) -> bool:
    """Whether a folder looks like a split of MeViS."""
    return any(os.path.lexists(folder / name) for name in (MEVIS_EXPRESSIONS, MEVIS_EXPRESSIONS_V2))


def read_mevis(folder: Path) -> list[VideoCases]:
    """All cases of a split, in the order of its meta file.

    Raises:
        MissingInput: the split has no masks.
        CorruptInput: the meta file is not as MeViS writes it.
    """
    name = (
        MEVIS_EXPRESSIONS if os.path.lexists(folder / MEVIS_EXPRESSIONS) else MEVIS_EXPRESSIONS_V2
    )
    meta = folder / name
    masks = folder / MEVIS_MASKS
    require_regular(
        masks,
        missing="the split has no masks to score against",
        hint="MeViS keeps those of valid and test on its server: score valid_u",
    )
    videos = load_object(meta).get("videos")
    if not isinstance(videos, dict):
        raise CorruptInput("has no object of videos", where=meta)
    places = find_tracks(masks)
    moments = _moments(folder / MOMENTS_FILE)
    return [_video(meta, video_id, entry, places, moments) for video_id, entry in videos.items()]


def _video(
    meta: Path,
    video_id: str,
    entry: Any,
    places: Mapping[str, Place],
    moments: Mapping[tuple[str, str], tuple[tuple[Span, ...], ...]],
) -> VideoCases:
    where = f"{meta}, video {video_id}"
    try:
        names = tuple(safe_name(name, where=where) for name in entry["frames"])
        bodies = [
            (
                safe_name(key, where=where),
                whole_text(str(body["exp"]), where),
                id_list(body.get("anno_id"), where),
            )
            for key, body in entry["expressions"].items()
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise CorruptInput(f"is not as MeViS writes it ({error!r})", where=where) from error
    cases = tuple(
        Case(
            video_id=safe_name(video_id, where=meta),
            expression_id=key,
            text=text,
            tracks=tuple(dict.fromkeys(annos)),
            frames=tuple(range(len(names))),
            folder=f"{video_id}/{key}",
            moments=moments.get((video_id, key), None if annos else ()),
        )
        for key, text, annos in bodies
    )
    needed = {track: places[track] for case in cases for track in case.tracks if track in places}
    tracks = JsonTracks(meta.parent / MEVIS_MASKS, needed, len(names))
    pictures = (str(meta.parent / FRAMES_FOLDER / video_id), ".jpg")
    return VideoCases(video_id, names, None, cases, tracks, pictures)


def _moments(path: Path) -> dict[tuple[str, str], tuple[tuple[Span, ...], ...]]:
    """Spans by (video, expression) and referent from a moments.json beside the meta file."""
    if not os.path.lexists(path):
        return {}
    found: dict[tuple[str, str], tuple[tuple[Span, ...], ...]] = {}
    for key, moments in read_spans(path):
        found[key] = tuple(tuple(sorted(spans)) for spans in moments.values())
    return found
