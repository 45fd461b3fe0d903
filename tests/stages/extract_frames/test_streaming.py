"""Streams: the same video as a file, as images and raw, and streams that end early."""

from __future__ import annotations

import io
import signal
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from schemas.errors import CorruptInput
from stages.core.media.children import child
from stages.core.media.ffmpeg import ffmpeg_binary
from stages.extract_frames import streaming
from stages.extract_frames.log import Log
from stages.extract_frames.streaming import ImageStream, RawStream, Stream, VideoStream

FRAMES, HEIGHT, WIDTH, FPS = 12, 48, 64, 12.5
FRAME_BYTES = HEIGHT * WIDTH * 3
read = Log.read


def ffmpeg(*arguments: object) -> bytes:
    command = [ffmpeg_binary(), "-loglevel", "error", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True).stdout


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("videos") / "clip.mp4"
    source = f"testsrc=size={WIDTH}x{HEIGHT}:rate={FPS}"
    ffmpeg("-f", "lavfi", "-i", source, "-frames:v", FRAMES, "-pix_fmt", "yuv420p", path)
    return path


@pytest.fixture(scope="module")
def raw(video: Path) -> bytes:
    return ffmpeg("-i", video, "-f", "rawvideo", "-pix_fmt", "rgb24", "-")


def pixels(stream: Stream) -> np.ndarray:
    return np.stack(list(stream))


def test_file_images_and_raw_video_are_the_same_frames(
    video: Path, raw: bytes, tmp_path: Path
) -> None:
    ffmpeg("-i", video, "-start_number", 0, tmp_path / "%02d.png")
    images = sorted(tmp_path.glob("*.png"))
    file = VideoStream(video)
    frames = pixels(file)
    assert frames.shape == (FRAMES, HEIGHT, WIDTH, 3)
    assert len({frame.tobytes() for frame in frames}) == FRAMES
    named = ImageStream(images, [path.stem for path in images])
    assert np.array_equal(frames, pixels(named))
    assert np.array_equal(frames, pixels(RawStream(io.BytesIO(raw), HEIGHT, WIDTH, FPS)))
    assert file.fps == FPS
    assert named.fps is None
    assert (named.name(3), file.name(3)) == ("03", "00003")


def test_the_rate_of_a_file_is_known_with_its_first_frame(video: Path) -> None:
    stream = VideoStream(video)
    frames = iter(stream)
    next(frames)
    assert stream.fps == FPS


def test_each_frame_of_a_file_comes_with_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    times, path = (0.0, 0.2, 1.0, 6.4, 12.8, 13.6), tmp_path / "uneven.mkv"
    steps = "+".join(f"eq(N,{frame})*{time}" for frame, time in enumerate(times))
    source = f"testsrc=size={WIDTH}x{HEIGHT}:rate=5,setpts='({steps})/TB'"
    uneven = ("-frames:v", len(times), "-fps_mode", "passthrough", "-enc_time_base", "1:1000")
    ffmpeg("-f", "lavfi", "-i", source, *uneven, "-c:v", "ffv1", path)
    logs: list[Log] = []
    monkeypatch.setattr(Log, "read", lambda log, lines: logs.append(log) or read(log, lines))
    stream = VideoStream(path)
    assert [stream.seconds for _ in stream] == list(times)
    assert logs[0].stamps == []  # taken out as they came


def test_a_video_that_is_left_early_ends_its_decoder(
    video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoders: list[subprocess.Popen[bytes]] = []

    @contextmanager
    def watched(*given: Any, **more: Any) -> Iterator[subprocess.Popen[bytes]]:
        with child(*given, **more) as process:
            decoders.append(process)
            yield process

    monkeypatch.setattr(streaming, "child", watched)
    frames = iter(VideoStream(video))
    next(frames)
    (decoder,) = decoders
    assert decoder.poll() is None  # the other frames do not fit the pipe
    frames.close()  # type: ignore[attr-defined]
    assert decoder.returncode == -signal.SIGKILL


def test_a_pipe_that_gives_bytes_in_pieces_is_read_whole(raw: bytes) -> None:
    class Slow(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(min(size or 0, 1000))

    assert len(pixels(RawStream(Slow(raw), HEIGHT, WIDTH, FPS))) == FRAMES


def test_raw_video_that_ends_in_the_middle_of_a_frame(raw: bytes) -> None:
    stream = RawStream(io.BytesIO(raw[: 2 * FRAME_BYTES + 100]), HEIGHT, WIDTH, FPS)
    seen = []
    with pytest.raises(CorruptInput, match="in the middle of frame 2, with 100 of the 9,216 byt"):
        seen.extend(stream)
    assert len(seen) == 2


def test_a_truncated_file_gives_what_it_has(video: Path, tmp_path: Path) -> None:
    # Stills in a row: it can be cut anywhere, unlike an mp4, whose directory is at its end.
    whole, cut = tmp_path / "whole.avi", tmp_path / "cut.avi"
    ffmpeg("-i", video, "-c:v", "png", whole)
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    seen = []
    with pytest.raises(CorruptInput, match=r"cut\.avi: cannot be decoded to its end.*--keep-dam"):
        seen.extend(VideoStream(cut))
    assert 0 < len(seen) < FRAMES
    kept = VideoStream(cut, keep_damaged=True)
    assert len(seen) <= len(list(kept)) < FRAMES
    assert kept.errors > 0


def test_a_reason_that_was_mixed_into_another_message_is_found(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Mixed(Log):
        """Loses the level of every error, as ffmpeg's threads rarely let it."""

        def read(self, lines: Iterable[str]) -> Log:
            super().read(lines)
            self.errors, self.damage, self.mixed = [], [], True
            return self

    monkeypatch.setattr(streaming, "Log", Mixed)
    whole, cut = tmp_path / "whole.avi", tmp_path / "cut.avi"
    ffmpeg("-i", video, "-c:v", "png", whole)
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    with pytest.raises(CorruptInput, match=r"cut\.avi: cannot be decoded to its end.*--keep-dam"):
        list(VideoStream(cut))


@pytest.mark.parametrize("content", [b"", b"text"])
def test_a_file_without_video_is_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "none.mp4"
    path.write_bytes(content)
    with pytest.raises(CorruptInput, match=r"none\.mp4: cannot be decoded"):
        next(iter(VideoStream(path)))


def test_images_of_two_sizes_are_one_line(tmp_path: Path) -> None:
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    for path, width in zip(paths, (8, 9), strict=True):
        Image.new("RGB", (width, 5)).save(path)
    stream = iter(ImageStream(paths, ["a", "b"]))
    assert next(stream).shape == (5, 8, 3)
    with pytest.raises(CorruptInput, match=r"b\.png: a frame is 9x5 pixels, those before it 8x5"):
        next(stream)


def test_a_rotated_image_comes_upright(tmp_path: Path) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.new("RGB", (5, 8)).save(tmp_path / "phone.jpg", exif=turned)
    (frame,) = ImageStream([tmp_path / "phone.jpg"], ["phone"])
    assert frame.shape == (5, 8, 3)
