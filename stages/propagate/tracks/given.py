"""Tracks that an index has: of tgl track, or true masks."""

from __future__ import annotations

import hashlib
from pathlib import Path

from schemas.errors import CorruptInput, MissingInput
from schemas.wording import amount
from stages.core.index.index import Index, Video
from stages.core.model.object_tracks.rle_tracks import RleTracks


class GivenTracks:
    """The tracks of the videos of an index.

    Args:
        folder: of the index, as `tgl track` writes one.

    Raises:
        TglError: it cannot be read.
    """

    def __init__(self, folder: Path):
        self._index = Index.open(folder)

    def digest(self, video: Video) -> str:
        """Digest of the tracks of a video; of nothing if it has none."""
        content = hashlib.sha256()
        for name in self._names(video):
            for frame, rle in self._index.masks.frames_of(name).items():
                content.update(f"{name}\0{frame}\0{rle['size']}\0".encode() + rle["counts"])
        return content.hexdigest()

    def of(self, video: Video) -> RleTracks:
        """The tracks of a video, whichever sentence they were found for.

        Raises:
            MissingInput: the index does not have the video.
            CorruptInput: it has another number of frames or another size there.
        """
        folder, own = self._index.folder, self._index.videos.get(video.video_id)
        if own is None:
            raise MissingInput("has no tracks of this video", where=f"--tracks {folder}")
        size = (video.height, video.width)
        if own.num_frames != video.num_frames:
            raise CorruptInput(
                f"its tracks are of {amount(own.num_frames, 'frames')}, the video has "
                f"{video.num_frames}",
                where=f"--tracks {folder}",
            )
        names = self._names(video)
        masks = [self._index.masks.frames_of(name) for name in names]
        for name, track in zip(names, masks, strict=True):
            for frame, rle in track.items():
                if tuple(rle["size"]) != size or frame >= video.num_frames:
                    raise CorruptInput(
                        f"the mask of {name} in frame {frame} does not fit the video of "
                        f"{video.width}x{video.height} pixels and {video.num_frames} frames",
                        where=f"--tracks {folder}",
                    )
        return RleTracks(names, masks, size, folder)

    def _names(self, video: Video) -> list[str]:
        """Anno ids of the tracks of a video, in the order of its sentences."""
        expressions = self._index.expressions_of(video.video_id)
        return list(dict.fromkeys(name for one in expressions for name in one.anno_ids))
