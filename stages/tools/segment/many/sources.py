"""The videos that `--videos` names: files, folders of videos, folders of frames."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from schemas.errors import ConfigError, MissingInput, UnsafeName
from schemas.layouts import FRAMES_FOLDER, looks_like_video, natural_key, video_name
from schemas.wording import listing
from stages.extract_frames.sources import matches, names_of
from stages.tools.segment.frame_source import IMAGE_SUFFIXES, FrameSource, find_frame_source

VIDEOS_OPTION = "--videos"
_REFUSED = re.compile(r'[/\\:*?"<>|\x00-\x1f\x7f]')
"""Characters that some file systems refuse."""


@dataclass(frozen=True)
class GivenVideo:
    """A video, an image or a folder of frames that the user named.

    Attributes:
        path: as the user knows it.
        source: its frames; its id names the outputs.
    """

    path: Path
    source: FrameSource

    @property
    def video_id(self) -> str:
        """Name of the video in all outputs."""
        return self.source.video_id

    @property
    def warnings(self) -> tuple[str, ...]:
        """Lines about the order of its frames."""
        return tuple(f"{self.path}: {warning}" for warning in self.source.warnings)


@dataclass(frozen=True)
class FoundVideos:
    """Result of :func:`find_given_videos`.

    Attributes:
        videos: in the order of the names, those of a folder in natural order; each once.
        warnings: lines about what folders have beside videos.
    """

    videos: tuple[GivenVideo, ...]
    warnings: tuple[str, ...]


def find_given_videos(names: Sequence[Path]) -> FoundVideos:
    """Find the videos that files and folders are or contain.

    Args:
        names: each a video, an image, a folder of frames, an artifact of extract-frames, a pattern
            of these, a folder of videos and folders of frames, whose other files are left out, or
            `@FILE`, a text file with one such name per line.

    Raises:
        MissingInput: no such file, or a folder without videos and frames.
        ConfigError: two videos have the same name without suffix.
        CorruptInput: not a regular file.
    """
    found: dict[str, GivenVideo] = {}
    seen: set[str] = set()
    warnings: list[str] = []
    for name in (Path(one) for given in names for one in names_of(str(given))):
        paths, others = _expand(name.expanduser())
        if others:
            warnings.append(
                f"{name}: left out {listing(others, 'files')}: neither videos nor folders of frames"
            )
        for path in paths:
            real = os.path.realpath(path)
            if real not in seen:
                seen.add(real)
                _add(found, path)
    return FoundVideos(tuple(found.values()), tuple(warnings))


def _add(found: dict[str, GivenVideo], path: Path) -> None:
    source = find_frame_source(path)
    video = GivenVideo(path, replace(source, video_id=_name_of(path, source)))
    same = found.setdefault(video.video_id.casefold(), video)
    if same is not video:
        raise ConfigError(
            f"has the same name as {same.path}",
            where=path,
            hint="outputs are named by videos without suffix: rename one of them",
        )


def _name_of(path: Path, source: FrameSource) -> str:
    """The name without suffix, with _ for characters that are not valid on every file system."""
    name = path.resolve().name if source.video is None and path.is_dir() else path.stem
    cleaned = _REFUSED.sub("_", name).strip(" .")
    try:
        return video_name(cleaned, where=path)
    except UnsafeName as error:
        error.hint = "rename it"
        raise


def _expand(path: Path) -> tuple[list[Path], list[str]]:
    """The videos of a file or folder, and the names of a folder's other files."""
    if not path.is_dir():
        if path.exists() or not glob.has_magic(str(path)):
            return [path], []  # a missing one is reported where it is read
        return matches(path), []
    folder = path / FRAMES_FOLDER if (path / FRAMES_FOLDER).is_dir() else path
    entries = sorted(_visible(folder), key=lambda entry: natural_key(entry.name))
    videos: list[Path] = []
    others: list[Path] = []
    for entry in entries:
        (videos if _is_video(entry) or _has_images(entry) else others).append(entry)
    if videos:
        return videos, [entry.name for entry in others]
    if any(_is_image(entry) for entry in entries):
        return [path], []
    raise MissingInput("contains neither videos nor folders of frames", where=path)


def _visible(folder: Path) -> Iterator[Path]:
    return (entry for entry in folder.iterdir() if not entry.name.startswith("."))


def _is_video(path: Path) -> bool:
    """Whether a file has the name of a video; a link that leads nowhere is reported later."""
    return looks_like_video(path) and not path.is_dir()


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES


def _has_images(path: Path) -> bool:
    return path.is_dir() and any(map(_is_image, _visible(path)))
