"""Frames that come once, in order: from a video file, images, or raw video through a pipe.

A stream yields uint8 RGB arrays (H, W, 3), all of one size, and keeps no more than one of them.
"""

from __future__ import annotations

import io
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any, Protocol

import numpy as np

from schemas.errors import CorruptInput
from stages.core.media.children import child
from stages.core.media.ffmpeg import IN_ORDER, ffmpeg_binary, in_order, open_video
from stages.core.media.frames import MAX_PIXELS, read_upright
from stages.extract_frames.decoding import decoding_errors
from stages.extract_frames.log import DAMAGE_HINT, FAILURE_HINT, Log, damage, failure

CHANNELS = 3
NAME_DIGITS = 5
_FLAGS = (
    *("-hide_banner", "-nostats", "-nostdin", "-loglevel", "repeat+level+info"),
    *("-copyts", "-start_at_zero"),  # time stamps as extract-frames takes them
)
_STOP_AT_ERRORS = ("-xerror",)
_KEEP_DAMAGED = ("-max_error_rate", "1")
_PPM, _PPM_DEPTH = b"P6", b"255"
_END: Any = object()


class Stream(Protocol):
    """A source of frames."""

    @property
    def fps(self) -> float | None:
        """Frames per second, None if unknown; set at the latest with the first frame."""

    @property
    def seconds(self) -> float | None:
        """Time stamp of the last frame that was yielded; None if it has none."""

    def name(self, frame: int) -> str:
        """The name of files about a frame, without suffix."""

    def __iter__(self) -> Iterator[np.ndarray]:
        """Every frame once, uint8 (H, W, 3).

        Raises:
            CorruptInput: the stream breaks off, or a frame is of another size than the first.
        """


class _Numbered:
    """Frames that have numbers for names."""

    def name(self, frame: int) -> str:
        """As extract-frames names them."""
        return f"{frame:0{NAME_DIGITS}d}"


class ImageStream:
    """Images in order, upright.

    Args:
        images: their files.
        names: one per image, for files about it.
    """

    fps = None
    seconds = None

    def __init__(self, images: Sequence[Path], names: Sequence[str]):
        self._images = images
        self._names = names

    def name(self, frame: int) -> str:
        """The image's own name."""
        return self._names[frame]

    def __iter__(self) -> Iterator[np.ndarray]:
        size = None
        for path in self._images:
            frame = read_upright(path)
            size = _same_size(frame, size, path)
            yield frame


class RawStream(_Numbered):
    """Raw RGB video (`-f rawvideo -pix_fmt rgb24`) from a pipe.

    Args:
        pipe: open for reading bytes.
        height, width: of its frames in pixels.
        fps: frames per second.
    """

    seconds = None

    def __init__(self, pipe: IO[bytes], height: int, width: int, fps: float):
        self.fps = fps
        self._pipe = pipe
        self._shape = (height, width, CHANNELS)

    def __iter__(self) -> Iterator[np.ndarray]:
        size = int(np.prod(self._shape))
        frame = 0
        while data := _read_exactly(self._pipe, size):
            if len(data) < size:
                height, width, _ = self._shape
                raise CorruptInput(
                    f"ends in the middle of frame {frame}, with {len(data):,} of the {size:,} "
                    f"bytes of {width}x{height} pixels",
                    where="standard input",
                    hint="check --size, and that it is -f rawvideo -pix_fmt rgb24",
                )
            yield np.frombuffer(data, np.uint8).reshape(self._shape)
            frame += 1


class VideoStream(_Numbered):
    """A video file, decoded by ffmpeg while it is read.

    As extract-frames decodes: upright, sound ignored, no frame doubled or dropped.

    Args:
        video: any file that ffmpeg reads.
        keep_damaged: continue after decoding errors, and count them.

    Attributes:
        errors: number of decoding errors, set after the last frame.
    """

    def __init__(self, video: Path, *, keep_damaged: bool = False):
        self.errors = 0
        self._keep_damaged = keep_damaged
        self.fps: float | None = None
        self.seconds: float | None = None
        self._video = video

    def __iter__(self) -> Iterator[np.ndarray]:
        stamps: SimpleQueue[float | None] = SimpleQueue()
        # A stamp is taken out of the log as it comes: the log does not grow with the video.
        log = Log(on_frame=lambda: stamps.put(log.stamps.pop().seconds))
        with (
            child(
                self._command(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            ) as process,
            _reading(process, log, at_end=lambda: stamps.put(_END)),
        ):
            yield from self._frames(process, log, iter(stamps.get, _END))
        errors = decoding_errors(self._video) if log.mixed else log.damage
        if process.returncode != 0:
            hint = DAMAGE_HINT if errors and not self._keep_damaged else FAILURE_HINT
            raise failure([*log.errors, *errors], self._video, self._video.parent, hint=hint)
        if errors and not self._keep_damaged:
            raise damage(errors, self._video)
        self.errors = len(errors)

    def _frames(
        self, process: subprocess.Popen[bytes], log: Log, stamps: Iterator[float | None]
    ) -> Iterator[np.ndarray]:
        """Frames as ffmpeg writes them; it logs each before it writes it."""
        assert process.stdout is not None
        size = None
        while (frame := _read_ppm(process.stdout, self._video)) is not None:
            self.seconds, self.fps = next(stamps, None), log.rate
            size = _same_size(frame, size, self._video)
            yield frame

    def _command(self) -> list[str]:
        source = open_video(self._video)
        # PPM has the size of each frame after rotation, which the video's header has not.
        stream = in_order(source["v:0"].filter("showinfo", checksum=0))
        options = {"f": "image2pipe", "pix_fmt": "rgb24", "c:v": "ppm", **IN_ORDER}
        output = stream.output("pipe:1", **options)
        errors = _KEEP_DAMAGED if self._keep_damaged else _STOP_AT_ERRORS
        return output.global_args(*_FLAGS, *errors).compile(cmd=ffmpeg_binary())


@contextmanager
def _reading(
    process: subprocess.Popen[bytes], log: Log, at_end: Callable[[], None]
) -> Iterator[None]:
    """Read ffmpeg's messages into `log` in a thread; at the end of the block all are read."""
    assert process.stdout is not None
    assert process.stderr is not None
    messages = io.TextIOWrapper(process.stderr, "utf-8", errors="replace")

    def read() -> None:
        try:
            log.read(messages)
        finally:
            at_end()

    reader = threading.Thread(target=read, name="messages of ffmpeg", daemon=True)
    reader.start()
    try:
        yield
    except BaseException:
        process.kill()
        raise
    finally:
        process.stdout.close()  # ffmpeg ends if it still writes, and with it its messages
        reader.join()


def _read_ppm(pipe: IO[bytes], video: Path) -> np.ndarray | None:
    """The next frame; None at the end, even in the middle of one (ffmpeg then logs why)."""
    magic, size, depth = (pipe.readline().split() for _ in range(3))
    if magic != [_PPM] or len(size) != len("WH") or depth != [_PPM_DEPTH]:
        return None
    width, height = int(size[0]), int(size[1])
    if width * height > MAX_PIXELS:
        raise CorruptInput(f"{width}x{height} pixels are too many", where=video)
    data = _read_exactly(pipe, width * height * CHANNELS)
    if len(data) < width * height * CHANNELS:
        return None
    return np.frombuffer(data, np.uint8).reshape(height, width, CHANNELS)


def _read_exactly(pipe: IO[bytes], size: int) -> bytes:
    """`size` bytes, or all that are left; a pipe gives them in pieces."""
    parts = []
    while size and (part := pipe.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _same_size(frame: np.ndarray, size: tuple[int, int] | None, where: object) -> tuple[int, int]:
    """The frame's (H, W), which must be that of the frames before it."""
    height, width, _ = frame.shape
    if size is not None and size != (height, width):
        raise CorruptInput(
            f"a frame is {width}x{height} pixels, those before it {size[1]}x{size[0]}",
            where=where,
            hint="all frames of a video must have one size",
        )
    return height, width
