"""The masks of an index: per referent, or per sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pycocotools import mask as coco

from schemas.errors import CorruptInput
from stages.core.index.index import Index, Video
from stages.core.index.masks import Track
from stages.core.media.rle import Rle, mask_area
from stages.tools.export_masks.config import SENTENCE
from stages.tools.export_masks.records import OBJECT_LABEL, ExportObject, ExportVideo


class IndexSource:
    """Masks of an index.

    Args:
        per: REFERENT or SENTENCE.
    """

    def __init__(self, folder: Path, per: str):
        self._index = Index.open(folder)
        self._per_sentence = per == SENTENCE

    def videos(self) -> list[ExportVideo]:
        """All videos, in the order of the index."""
        objects = self._sentences if self._per_sentence else self._referents
        texts = texts_of(self._index)
        return [
            export_video(video, objects(name), texts[name])
            for name, video in self._index.videos.items()
        ]

    def left_out(self, videos: Sequence[ExportVideo]) -> dict[str, int]:
        """Count the sentences without an object."""
        expressions = [e for v in videos for e in self._index.expressions_of(v.video_id)]
        return {"expressions without an object": sum(not e.anno_ids for e in expressions)}

    def tracks(self, video: ExportVideo) -> Iterator[Track]:
        """The masks of each object."""
        by_id = {e.expression_id: e for e in self._index.expressions_of(video.video_id)}
        for known in video.objects:
            names = by_id[known.object_id].anno_ids if self._per_sentence else (known.object_id,)
            yield union_of([self._track(name, video) for name in names])

    def _track(self, anno_id: str, video: ExportVideo) -> Track:
        track = self._index.masks.frames_of(anno_id)
        for frame, rle in track.items():
            if rle["size"] != [video.height, video.width] or frame >= len(video.frame_names):
                raise CorruptInput(
                    f"the mask of {anno_id} on frame {frame} ({rle['size'][1]}x{rle['size'][0]}) "
                    f"does not fit video {video.video_id}, which has {len(video.frame_names)} "
                    f"frames of {video.width}x{video.height}",
                    where=self._index.folder,
                )
        where = f"{self._index.folder}, {anno_id}"
        return {frame: rle for frame, rle in track.items() if mask_area(rle, where=where)}

    def _referents(self, video_id: str) -> tuple[ExportObject, ...]:
        about: dict[str, list[str]] = {}
        for expression in self._index.expressions_of(video_id):
            for anno_id in dict.fromkeys(expression.anno_ids):
                about.setdefault(anno_id, []).append(expression.expression_id)
        return tuple(ExportObject(name, OBJECT_LABEL, tuple(about[name])) for name in about)

    def _sentences(self, video_id: str) -> tuple[ExportObject, ...]:
        return tuple(
            ExportObject(e.expression_id, e.text, (e.expression_id,))
            for e in self._index.expressions_of(video_id)
            if e.anno_ids
        )


def export_video(
    video: Video, objects: tuple[ExportObject, ...], texts: Mapping[str, str]
) -> ExportVideo:
    """A video of an index with the objects to export."""
    names, suffix, size = video.frame_names, video.frame_suffix, (video.height, video.width)
    return ExportVideo(video.video_id, names, suffix, *size, objects, texts)


def texts_of(index: Index) -> dict[str, dict[str, str]]:
    """The sentences of each video by expression id."""
    found: dict[str, dict[str, str]] = {name: {} for name in index.videos}
    for expression in index.expressions:
        found[expression.video_id][expression.expression_id] = expression.text
    return found


def union_of(tracks: list[Track]) -> Track:
    """The union of tracks, frame by frame."""
    if len(tracks) == 1:
        return tracks[0]
    found: Track = {}
    for frame in sorted({frame for track in tracks for frame in track}):
        masks = [track[frame] for track in tracks if frame in track]
        merged = masks[0] if len(masks) == 1 else coco.merge(masks)
        found[frame] = Rle(size=[int(n) for n in merged["size"]], counts=merged["counts"])
    return found
