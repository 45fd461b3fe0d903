"""The frame files that an index points to: their digests, and checks that they are unchanged.

An index has no pixels: what reads frames through it depends on files that may change while the
tables stay the same.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from schemas.directories import sha256_file
from schemas.errors import CorruptInput, MissingInput
from schemas.layouts import FRAMES_FOLDER, FRAMES_TABLE, VIDEOS_TABLE
from schemas.receipts import canonical_json
from stages.core.engine.digest import artifact_digest, settle, state_text, text_digest

if TYPE_CHECKING:
    import numpy as np

    from stages.core.index.index import Video

# Settings import this module, and stay light: tables are loaded where they are read.


class _Extracted(NamedTuple):
    """The record of a frame in a frames table, and when the table was written (after the frame)."""

    bytes: int
    sha256: str
    seconds: float | None
    written_ns: int


@dataclass(frozen=True)
class _Frames:
    """The frames of one video as an index lists them."""

    folder: Path
    files: tuple[str, ...]


def index_digest(folder: Path) -> str:
    """Digest of an index and of the frames that it points to.

    It covers frames of tgl extract-frames by the SHA-256 from when they were written, as long as
    size and time show the same files, and by their time stamps; others by size, time and inode.

    Raises:
        MissingInput: no such folder.
    """
    parts = [[name, _digest(frames)] for name, frames in _videos(folder)]
    settle()
    return text_digest(canonical_json([artifact_digest(folder), parts]))


def read_video_frame(video: Video, frame: int) -> np.ndarray:
    """Read a frame of a video as uint8 RGB of shape (H, W, 3).

    Raises:
        MissingInput: its file does not exist.
        CorruptInput: it cannot be decoded, or its size is not the one in the index.
    """
    from stages.core.media.frames import read_frame

    path = video.frame_path(frame)
    pixels = read_frame(path)
    height, width = pixels.shape[:2]
    if (height, width) != (video.height, video.width):
        raise CorruptInput(
            f"is {width}x{height}, the index says {video.width}x{video.height}", where=path
        )
    return pixels


def frames_digest(video: Video) -> str:
    """Digest of one video's frames; see :func:`index_digest`."""
    return _digest(_of(video))


def files_digest(frames: Sequence[Path]) -> str:
    """Digest of frames of one folder; see :func:`index_digest`."""
    return _digest(_Frames(frames[0].parent, tuple(path.name for path in frames)))


def frame_folders(folder: Path) -> list[Path]:
    """The frame folders that an index points to, and the artifacts that they belong to."""
    folders = {frames.folder: None for _, frames in _videos(folder)}
    artifacts = {path.parent.parent: None for path in folders if _recorded(path)}
    return [*artifacts, *folders]


def require_unchanged(video: Video) -> None:
    """Check the frames of a video with :func:`require_as_extracted`."""
    frames = _of(video)
    require_as_extracted([frames.folder / name for name in frames.files])


def require_as_extracted(paths: Sequence[Path]) -> None:
    """Check that frames are those that extract-frames wrote, before they are read.

    Size and time are compared, and the SHA-256 of a file that is newer than the frames table.
    Frames that tgl did not write are not checked.

    Args:
        paths: of one folder.

    Raises:
        CorruptInput: a frame was changed.
    """
    recorded = _recorded(paths[0].parent) if paths else {}
    for path in paths:
        known = recorded.get(path.name)
        if known is None or not path.is_file():
            continue
        status = path.stat()
        if _is_as_written(status, known):
            continue
        if status.st_size != known.bytes or sha256_file(path) != known.sha256:
            raise CorruptInput(
                "was changed since tgl extract-frames wrote it",
                where=path,
                hint="rerun the same tgl extract-frames, it restores changed frames",
            )


def faults_of_frames(video: Video) -> list[CorruptInput]:
    """Faults of all frames whose SHA-256 differs from the one that extract-frames recorded."""
    frames = _of(video)
    recorded = _recorded(frames.folder)
    paths = ((frames.folder / name, recorded.get(name)) for name in frames.files)
    return [
        CorruptInput("was changed since tgl extract-frames wrote it", where=path)
        for path, known in paths
        if known is not None and path.is_file() and sha256_file(path) != known.sha256
    ]


def _of(video: Video) -> _Frames:
    return _Frames(video.frames_dir, tuple(f"{n}{video.frame_suffix}" for n in video.frame_names))


def _videos(folder: Path) -> Iterator[tuple[str, _Frames]]:
    from schemas.parquet import read_table
    from schemas.tables import VIDEOS

    path = folder / VIDEOS_TABLE
    if not path.is_file():
        return
    columns = ["video_id", "frame_names", "frame_suffix", "frames_dir"]
    for row in read_table(path, VIDEOS, columns=columns).to_pylist():
        files = tuple(f"{name}{row['frame_suffix']}" for name in row["frame_names"])
        yield row["video_id"], _Frames(folder / row["frames_dir"], files)


def _digest(frames: _Frames) -> str:
    recorded = _recorded(frames.folder)
    lines: list[list[str | float | None]] = []
    for name in frames.files:
        path = frames.folder / name
        known = recorded.get(name)
        try:
            status = path.stat()
        except OSError:
            lines.append([name])
            continue
        whole = known is not None and _is_as_written(status, known)
        content = known.sha256 if known and whole else state_text(status)
        lines.append([name, content, known and known.seconds])
    return text_digest(canonical_json(lines))


def _is_as_written(status: os.stat_result, known: _Extracted) -> bool:
    """Return whether size and time match the record; a file newer than the table was touched."""
    return status.st_size == known.bytes and status.st_mtime_ns <= known.written_ns


def _recorded(folder: Path) -> dict[str, _Extracted]:
    """Records of a folder's frames by file name; empty if extract-frames did not write it."""
    real = Path(os.path.realpath(folder))
    table = real.parent.parent / FRAMES_TABLE
    if real.parent.name != FRAMES_FOLDER or not table.is_file():
        return {}
    status = table.stat()
    return _frames_table(table, status.st_size, status.st_mtime_ns).get(real.name, {})


@lru_cache(maxsize=4)
def _frames_table(path: Path, size: int, changed_ns: int) -> dict[str, dict[str, _Extracted]]:
    """Rows of a frames table by video and file name, cached until the file changes."""
    from schemas.parquet import read_table
    from schemas.tables import FRAMES

    columns = ["video_id", "path", "bytes", "sha256", "pts_seconds"]
    try:
        rows = read_table(path, FRAMES, columns=columns)
    except (CorruptInput, MissingInput):
        return {}
    found: dict[str, dict[str, _Extracted]] = {}
    for video, name, count, sha256, seconds in zip(
        *(rows.column(column).to_pylist() for column in columns), strict=True
    ):
        found.setdefault(video, {})[name.rsplit("/", 1)[-1]] = _Extracted(
            count, sha256, seconds, changed_ns
        )
    return found
