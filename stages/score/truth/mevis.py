"""Ground truth from a split folder of MeViS: meta_expressions.json and mask_dict.json.

mask_dict.json is near 1 GB. It is never parsed as a whole: one pass finds the byte range of each
track, and each process reads the tracks of the video that it scores.
"""

from __future__ import annotations

import mmap
import os
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.documents import mapping, parse_json
from schemas.errors import CorruptInput
from schemas.files import open_regular, require_regular
from schemas.layouts import FRAMES_FOLDER, MEVIS_MASKS, MOMENTS_FILE
from stages.core.datasets.documents.json_values import id_list, rle_size
from stages.core.datasets.documents.meta_expressions import MetaExpressions
from stages.core.datasets.documents.moments_json import read_spans
from stages.core.datasets.layouts.mevis import meta_path
from stages.core.datasets.records import RawVideo
from stages.core.index.index import Expression
from stages.core.media.spans import Span
from stages.score.cases import Case, TruthFault, VideoCases
from stages.score.masks.packed_masks import PackedMask
from stages.score.masks.rle import pack_rle

UNKNOWN_TRACK = "unknown anno id"
SHORT_TRACK = "mask list is shorter than the video"

# A key whose value is a list of masks: the keys of an RLE are followed by numbers or text.
_TRACK_START = re.compile(rb'[{,]\s*"(?!(?:counts|size)")((?:[^"\\]|\\.)*)"\s*:\s*\[\s*(?=[{\]n])')

ByteRange = tuple[int, int]
"""First byte, and the one after the last."""


@dataclass(frozen=True)
class JsonTracks:
    """Some tracks of a mask_dict.json.

    Attributes:
        ranges: byte range of each track's list.
        num_frames: length that each list must have.
    """

    path: Path
    ranges: Mapping[str, ByteRange]
    num_frames: int

    def open(self) -> JsonReader:
        """Open a reader, which parses the tracks in this process."""
        return JsonReader(self)


class JsonReader:
    """Reads masks of one video; see :class:`stages.score.cases.TrackReader`."""

    def __init__(self, source: JsonTracks):
        self._source = source
        self._lists: dict[str, list[Any]] = {}

    def mask(self, track: str, frame: int) -> PackedMask | None:
        """Read the mask of an anno id in a frame."""
        masks = self._list(track)
        if frame >= len(masks):
            raise TruthFault(f"{SHORT_TRACK} ({len(masks)} of {self._source.num_frames})")
        if masks[frame] is None:
            return None
        where = f"{self._source.path}, anno id {track}, frame {frame}"
        rle = mapping(masks[frame], where)
        size = rle_size(rle.get("size"), where)
        counts = rle.get("counts")
        if not isinstance(counts, str | list):
            raise CorruptInput("the RLE has no counts", where=where)
        return pack_rle(counts, size, where=where)

    def frames(self, track: str) -> set[int]:
        """Return the frames in which the anno id is visible."""
        if track not in self._source.ranges:
            return set()
        return {frame for frame, mask in enumerate(self._list(track)) if mask is not None}

    def _list(self, track: str) -> list[Any]:
        if track not in self._lists:
            if track not in self._source.ranges:
                raise TruthFault(f"{UNKNOWN_TRACK} {track}")
            first, end = self._source.ranges[track]
            with open_regular(self._source.path) as file:
                file.seek(first)
                text = file.read(end - first)
            self._lists[track] = parse_json(text, f"{self._source.path}, anno id {track}")
        return self._lists[track]


def find_tracks(path: Path) -> dict[str, ByteRange]:
    """Find the byte range of each anno id's list of masks in a mask_dict.json, in one pass."""
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
    # In a file that is cut off, the last track may begin behind the last mask.
    return {
        key: (first, max(first, end)) for (key, _, first), end in zip(starts, ends, strict=True)
    }


def read_mevis(folder: Path) -> list[VideoCases]:
    """Read all cases of a split, in the order of its meta file.

    Raises:
        MissingInput: the split has no masks.
        CorruptInput: the meta file is not as MeViS writes it.
    """
    meta = meta_path(folder)
    masks = folder / MEVIS_MASKS
    require_regular(
        masks,
        missing="the split has no masks to score against",
        hint="MeViS keeps those of valid and test on its server: score valid_u",
    )
    known = MetaExpressions(meta)
    ranges = find_tracks(masks)
    moments = _moments(folder / MOMENTS_FILE)
    expressions: dict[str, list[Expression]] = defaultdict(list)
    for expression in known.expressions(_anno_ids):
        expressions[expression.video_id].append(expression)
    return [
        _video(folder, video, expressions[video.video_id], ranges, moments)
        for video in known.videos()
    ]


def _anno_ids(
    video_id: str, entry: Mapping[str, Any], where: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return (), tuple(dict.fromkeys(id_list(entry.get("anno_id"), where)))


def _video(
    folder: Path,
    video: RawVideo,
    expressions: Sequence[Expression],
    ranges: Mapping[str, ByteRange],
    moments: Mapping[tuple[str, str], tuple[tuple[Span, ...], ...]],
) -> VideoCases:
    frames = len(video.frame_names)
    cases = tuple(
        Case(
            video_id=video.video_id,
            expression_id=expression.expression_id,
            text=expression.text,
            tracks=expression.anno_ids,
            frames=tuple(range(frames)),
            folder=f"{video.video_id}/{expression.expression_id}",
            moments=moments.get(expression.key, None if expression.anno_ids else ()),
        )
        for expression in expressions
    )
    needed = {track: ranges[track] for case in cases for track in case.tracks if track in ranges}
    return VideoCases(
        video_id=video.video_id,
        frame_names=video.frame_names,
        size=None,
        cases=cases,
        tracks=JsonTracks(folder / MEVIS_MASKS, needed, frames),
        frames_dir=str(folder / FRAMES_FOLDER / video.video_id),
        frame_suffix=".jpg",
    )


def _moments(path: Path) -> dict[tuple[str, str], tuple[tuple[Span, ...], ...]]:
    """Read the spans of each referent from a moments.json beside the meta file, by expression."""
    if not os.path.lexists(path):
        return {}
    found: dict[tuple[str, str], tuple[tuple[Span, ...], ...]] = {}
    for key, moments in read_spans(path):
        found[key] = tuple(tuple(sorted(spans)) for spans in moments.values())
    return found
