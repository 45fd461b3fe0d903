"""The user's video, image or folder of frames, prepared for the stages."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from schemas.directories import remove_tree, write_text_atomic
from schemas.errors import ConfigError, CorruptInput, MissingInput, TglError, UnsafeName
from schemas.files import open_regular, read_regular, require_regular
from schemas.layouts import (
    FRAMES_FOLDER,
    MEVIS_EXPRESSIONS,
    looks_like_video,
    natural_key,
    order_warnings,
    safe_name,
    video_name,
)
from schemas.wording import listing
from stages.core.media.frames import FRAME_SUFFIXES, upright

IMAGE_SUFFIXES = (*FRAME_SUFFIXES, ".webp", ".bmp", ".tif", ".tiff")
"""Images that are converted for the stages unless these read them as they are."""
_NAMELESS = "video"
_ORIENTATION_TAG = 0x0112
_UPRIGHT = (None, 1)


@dataclass(frozen=True)
class FrameSource:
    """A video file, or images that are its frames.

    Attributes:
        video_id: its name, in a form that can be a folder's.
        video: the video file; None for images.
        images: the frames in order; empty for a video file.
    """

    video_id: str
    video: Path | None
    images: tuple[Path, ...]

    @property
    def warnings(self) -> tuple[str, ...]:
        """Lines if the order of the frames may be unexpected, or some seem to be missing."""
        return order_warnings([path.name for path in self.images])

    def size(self) -> tuple[int, int] | None:
        """(height, width) of the first frame; None if it cannot be read, which a stage reports."""
        from stages.extract_frames.streaming import ImageStream, Stream, VideoStream

        stream: Stream = ImageStream(self.images[:1], ("",))
        if self.video is not None:
            stream = VideoStream(self.video)
        try:
            with contextlib.closing(iter(stream)) as frames:  # type: ignore[type-var]
                return next(frames).shape[:2]
        except (TglError, StopIteration):
            return None


def find_frame_source(path: Path) -> FrameSource:
    """Tell a video, an image and a folder of frames from each other.

    Raises:
        MissingInput: no such file, or no image in the folder.
        CorruptInput: not a regular file, or one of the folder's images is not.
    """
    if path.is_dir():
        folder = _video_folder(path)
        named = (path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
        ordered = sorted(named, key=lambda path: natural_key(path.name))
        images = tuple(map(require_regular, ordered))  # without one, later frames would shift
        if not images:
            videos = any(looks_like_video(path) for path in folder.iterdir())
            raise MissingInput(
                "contains no images",
                where=folder,
                hint="for its videos use --videos"
                if videos
                else "name a video, an image or a folder of frames",
            )
        return FrameSource(_video_id(folder.resolve().name), None, images)
    require_regular(path, missing="no such video, image or folder of frames")
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return FrameSource(_video_id(path.stem), None, (path,))
    return FrameSource(_video_id(path.stem), path, ())


def _video_folder(folder: Path) -> Path:
    """The folder of frames: `folder` itself, or its only video's in an extract-frames artifact.

    Raises:
        ConfigError: the artifact has none or several videos.
    """
    root = folder / FRAMES_FOLDER
    if not root.is_dir():
        return folder
    videos = sorted(path.name for path in root.iterdir() if path.is_dir())
    if len(videos) != 1:
        raise ConfigError(
            f"has the frames of {listing(videos, 'videos')}",
            where=folder,
            hint=f"name one of them: {root / videos[0]}; or all with --videos" if videos else None,
        )
    return root / videos[0]


def _video_id(name: str) -> str:
    try:
        return video_name(name, where=name)
    except UnsafeName:
        return _NAMELESS


def link_video(source: FrameSource, folder: Path) -> Path:
    """Link the video file in `folder` under the name of its id, for extract-frames."""
    assert source.video is not None
    folder.mkdir(parents=True, exist_ok=True)
    link = folder / f"{source.video_id}{source.video.suffix}"
    _link(source.video, link)
    return link


def link_images(source: FrameSource, dataset: Path) -> list[str]:
    """Link or convert the images to `dataset/JPEGImages/<id>/`.

    Where all have one format that the stages read, they become links. Otherwise, or if an
    orientation tag asks for rotation, as phones write it, they are converted to upright PNGs.

    Returns:
        names of the frames without suffix, in order.

    Raises:
        CorruptInput: two names differ in their suffix only, or an image cannot be decoded.
        UnsafeName: a name is not valid on every file system.
    """
    folder = dataset / FRAMES_FOLDER / source.video_id
    remove_tree(folder)
    folder.mkdir(parents=True)
    names = image_names(source)
    suffixes = {path.suffix for path in source.images}
    readable = len(suffixes) == 1 and suffixes <= set(FRAME_SUFFIXES)
    if readable and not any(_needs_rotation(path) for path in source.images):
        for path in source.images:
            _link(path, folder / path.name)
    else:
        for path in source.images:
            _convert(path, folder / f"{path.stem}.png")
    return names


def image_names(source: FrameSource) -> list[str]:
    """Names of the images without suffix, in order.

    Raises:
        CorruptInput: two names differ in their suffix only.
        UnsafeName: a name is not valid on every file system.
    """
    names = [safe_name(path.stem, where=path) for path in source.images]
    repeated = sorted(name for name, number in Counter(names).items() if number > 1)
    if repeated:
        raise CorruptInput(
            f"several images have the name {repeated[0]}",
            where=source.images[0].parent,
            hint="the suffix is not part of a frame's name",
        )
    return names


def write_sentences(
    dataset: Path, videos: Iterable[tuple[str, Sequence[str], Sequence[str]]]
) -> None:
    """Write videos and their sentences as a split of MeViS, for build-moments.

    A file with the same content is left alone, so that later stages are not rerun.

    Args:
        videos: id, names of the frames and sentences of each.
    """
    listed = {
        video_id: {
            "frames": list(frames),
            "expressions": {str(number): {"exp": text} for number, text in enumerate(sentences)},
        }
        for video_id, frames, sentences in videos
    }
    text = json.dumps({"videos": listed}, indent=1) + "\n"
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


def _needs_rotation(path: Path) -> bool:
    """Whether an orientation tag says that an image is stored rotated or mirrored."""
    with _image(path) as image:
        return image.getexif().get(_ORIENTATION_TAG) not in _UPRIGHT


def _convert(path: Path, target: Path) -> None:
    """Write an image as an upright PNG of the same age, so that reruns see no change."""
    with _image(path) as image:
        pixels = upright(image).convert("RGB")
    pixels.save(target, "PNG")
    status = path.stat()
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))


@contextmanager
def _image(path: Path) -> Iterator[Image.Image]:
    """Open an image.

    Raises:
        CorruptInput: not an image, or it cannot be decoded.
    """
    try:
        with open_regular(path) as file, Image.open(file) as image:
            yield image
    except UnidentifiedImageError as error:
        raise CorruptInput("is not an image", where=path) from error
    except (OSError, Image.DecompressionBombError) as error:
        raise CorruptInput(f"cannot be decoded ({error})", where=path) from error
