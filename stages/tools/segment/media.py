"""A video, a picture or a folder of pictures of one's own, made ready for the stages."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from schemas.directories import remove_tree, write_text_atomic
from schemas.errors import ConfigError, CorruptInput, MissingInput, UnsafeName
from schemas.files import open_regular, read_regular, require_regular
from schemas.layouts import (
    FRAMES_FOLDER,
    MEVIS_EXPRESSIONS,
    natural_key,
    natural_order_warning,
    orders_differ,
    safe_name,
    video_name,
)
from schemas.wording import listing

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
# What the stages read as it is, if every frame of a video has the same suffix.
_PLAIN_SUFFIXES = (".jpg", ".jpeg", ".png")
_NAMELESS = "video"
_ORIENTATION_TAG = 0x0112
_UPRIGHT = (None, 1)


@dataclass(frozen=True)
class Media:
    """What the user wants segmented.

    Attributes:
        video_id: its name, in a form that can be a folder's.
        video: the video file; None for pictures.
        pictures: the frames in order; empty for a video.
    """

    video_id: str
    video: Path | None
    pictures: tuple[Path, ...]

    @property
    def is_picture(self) -> bool:
        """Whether it is a single picture."""
        return len(self.pictures) == 1

    @property
    def warnings(self) -> tuple[str, ...]:
        """One line where the frames' order may not be the one expected."""
        names = [path.name for path in self.pictures]
        return (natural_order_warning(names),) if orders_differ(names) else ()


def find_media(source: Path) -> Media:
    """Tell a video, a picture and a folder of pictures from each other.

    Raises:
        MissingInput: there is no such file, or no picture in the folder.
        CorruptInput: it, or what has a picture's name in the folder, is no regular file.
    """
    if source.is_dir():
        source = _video_folder(source)
        found = (path for path in source.iterdir() if path.suffix.lower() in PICTURE_SUFFIXES)
        ordered = sorted(found, key=lambda path: natural_key(path.name))
        pictures = tuple(map(require_regular, ordered))  # a frame that is lost would shift others
        if not pictures:
            raise MissingInput(
                "holds no pictures",
                where=source,
                hint="name a video, a picture or a folder of them",
            )
        return Media(_identity(source.resolve().name), None, pictures)
    require_regular(source, missing="no such video, picture or folder of pictures")
    if source.suffix.lower() in PICTURE_SUFFIXES:
        return Media(_identity(source.stem), None, (source,))
    return Media(_identity(source.stem), source, ())


def _video_folder(source: Path) -> Path:
    """The folder of frames itself; of an artifact of extract-frames its only video's.

    Raises:
        ConfigError: the artifact holds several videos.
    """
    root = source / FRAMES_FOLDER
    if not root.is_dir():
        return source
    videos = sorted(path.name for path in root.iterdir() if path.is_dir())
    if len(videos) != 1:
        raise ConfigError(
            f"holds the frames of {listing(videos, 'videos')}",
            where=source,
            hint=f"name one of them: {root / videos[0]}" if videos else None,
        )
    return root / videos[0]


def _identity(name: str) -> str:
    try:
        return video_name(name, where=name)
    except UnsafeName:
        return _NAMELESS


def link_video(media: Media, folder: Path) -> Path:
    """The video under the name of its id, as extract-frames takes it."""
    assert media.video is not None
    folder.mkdir(parents=True, exist_ok=True)
    link = folder / f"{media.video_id}{media.video.suffix}"
    _link(media.video, link)
    return link


def place_pictures(media: Media, dataset: Path) -> list[str]:
    """Put the pictures into `dataset/JPEGImages/<id>`; their names without suffix, in order.

    Those that the stages read as they are become links; others (of another format, or with an
    orientation tag, as phones write it) are written anew, upright, as PNG.

    Raises:
        CorruptInput: two pictures differ only in their suffix, or one cannot be decoded.
        UnsafeName: a name cannot be a file's everywhere.
    """
    folder = dataset / FRAMES_FOLDER / media.video_id
    remove_tree(folder)
    folder.mkdir(parents=True)
    names = picture_names(media)
    suffixes = {path.suffix for path in media.pictures}
    plain = len(suffixes) == 1 and suffixes <= set(_PLAIN_SUFFIXES)
    if plain and not any(_is_turned(path) for path in media.pictures):
        for path in media.pictures:
            _link(path, folder / path.name)
    else:
        for path in media.pictures:
            _write_upright(path, folder / f"{path.stem}.png")
    return names


def picture_names(media: Media) -> list[str]:
    """The pictures' names without suffix, in order.

    Raises:
        CorruptInput: two pictures differ only in their suffix.
        UnsafeName: a name cannot be a file's everywhere.
    """
    names = [safe_name(path.stem, where=path) for path in media.pictures]
    twins = (
        {name for name in names if names.count(name) > 1} if len(set(names)) < len(names) else ()
    )
    if twins:
        raise CorruptInput(
            f"several pictures have the name {min(twins)}",
            where=media.pictures[0].parent,
            hint="frames are named by what stands before the suffix",
        )
    return names


def write_sentences(
    dataset: Path, video_id: str, frames: Sequence[str], sentences: Sequence[str]
) -> None:
    """Describe the video and its sentences as a split of MeViS, for build-moments.

    A file that says the same is left alone, so that nothing after it is made anew.
    """
    expressions = {str(number): {"exp": text} for number, text in enumerate(sentences)}
    videos = {video_id: {"frames": list(frames), "expressions": expressions}}
    text = json.dumps({"videos": videos}, indent=1) + "\n"
    path = dataset / MEVIS_EXPRESSIONS
    if path.is_file() and read_regular(path) == text.encode():
        return
    dataset.mkdir(parents=True, exist_ok=True)
    write_text_atomic(path, text)


def _link(source: Path, link: Path) -> None:
    link.unlink(missing_ok=True)
    try:
        link.symlink_to(source.resolve())
    except OSError:
        shutil.copy2(source, link)


def _is_turned(path: Path) -> bool:
    """Whether a picture's orientation tag says that it is stored turned or mirrored."""
    from PIL import Image, UnidentifiedImageError

    try:
        with open_regular(path) as file, Image.open(file) as image:
            return image.getexif().get(_ORIENTATION_TAG) not in _UPRIGHT
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise CorruptInput("is not an image", where=path) from error


def _write_upright(path: Path, target: Path) -> None:
    from PIL import Image, UnidentifiedImageError

    from stages.core.media.frames import upright

    try:
        with open_regular(path) as file, Image.open(file) as image:
            upright(image).convert("RGB").save(target, "PNG")
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise CorruptInput(f"cannot be decoded ({error})", where=path) from error
    # The copy is as old as its source: a later run sees that nothing changed.
    status = path.stat()
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
