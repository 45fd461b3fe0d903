"""The server of tgl annotate with 10,000 sentences and videos of 2,000 frames.

Prints the times of its answers beside the plain work that each stands for (reading the same file,
writing and syncing the same line), CPU seconds, and the peak memory of the server's process.

    python benchmarks/annotate.py --sentences 10000 --frames 2000
"""

from __future__ import annotations

import argparse
import http.client
import io
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from schemas.layouts import EXPRESSIONS_TABLE, MASKS_TABLE, MOMENTS_TABLE, VIDEOS_TABLE
from schemas.parquet import TableWriter, rows_of, write_table
from schemas.tables import EXPRESSIONS, MASKS, MOMENTS, VIDEOS
from stages.core.media.rle import encode

WIDTH, HEIGHT = 854, 480
SENTENCES_PER_VIDEO, OBJECTS, SHORT = 20, 10, 60
LONG_VIDEOS = 2
MASKS_AT_ONCE = 16


def main() -> None:
    """Build the index, use the server and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sentences", type=int, default=10_000)
    parser.add_argument("--frames", type=int, default=2_000, help="of the long videos")
    parser.add_argument("--actions", type=int, default=300)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_index(root / "index", given.sentences // SENTENCES_PER_VIDEO, given.frames)
        measure(root, given.frames, given.actions)


def write_index(folder: Path, videos: int, frames: int) -> None:
    """Write an index; only the long videos, the first ones, have frame files."""
    folder.mkdir()
    lengths = [frames if n < LONG_VIDEOS else SHORT for n in range(videos)]
    names = [f"video_{n:04d}" for n in range(videos)]
    objects = [encode(disc(n)) for n in range(OBJECTS)]
    video_rows = [
        {
            "video_id": name,
            "num_frames": length,
            "height": HEIGHT,
            "width": WIDTH,
            "fps": 30.0,
            "frame_names": [f"{frame:05d}" for frame in range(length)],
            "frame_suffix": ".jpg",
            "frames_dir": f"../frames/{name}",
        }
        for name, length in zip(names, lengths, strict=True)
    ]
    sentences = [
        {
            "video_id": name,
            "expression_id": str(number),
            "expression": f"the disc number {number} that moves to the left of the others",
            "object_ids": annos,
            "anno_ids": annos,
        }
        for name in names
        for number in range(SENTENCES_PER_VIDEO)
        for annos in [[f"{name}_{number % OBJECTS:02d}", f"{name}_{(number + 3) % OBJECTS:02d}"]]
    ]
    write_table(folder / VIDEOS_TABLE, rows_of(video_rows, VIDEOS), VIDEOS)
    write_table(folder / EXPRESSIONS_TABLE, rows_of(sentences, EXPRESSIONS), EXPRESSIONS)
    write_table(folder / MOMENTS_TABLE, MOMENTS.schema.empty_table(), MOMENTS)
    with TableWriter(
        folder / MASKS_TABLE, MASKS, row_group_rows=256, statistics=["anno_id", "frame"]
    ) as writer:
        for name, length in zip(names, lengths, strict=True):
            for number, rle in enumerate(objects):
                row = {"height": HEIGHT, "width": WIDTH, "counts": rle["counts"], "area": 1}
                anno = {"anno_id": f"{name}_{number:02d}", **row}
                writer.write(rows_of(({**anno, "frame": t} for t in range(length)), MASKS))
    jpeg = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (HEIGHT // 8, WIDTH // 8, 3), np.uint8)
    Image.fromarray(noise).resize((WIDTH, HEIGHT)).save(jpeg, "JPEG", quality=85)
    for name in names[:LONG_VIDEOS]:
        (folder.parent / "frames" / name).mkdir(parents=True)
        for frame in range(frames):
            (folder.parent / "frames" / name / f"{frame:05d}.jpg").write_bytes(jpeg.getvalue())
    for name in names[LONG_VIDEOS:]:
        (folder.parent / "frames" / name).mkdir(parents=True)


def disc(number: int) -> np.ndarray:
    """The mask of an object, bool (H, W)."""
    image = Image.new("1", (WIDTH, HEIGHT))
    left = 70 * number
    ImageDraw.Draw(image).ellipse((left, 100, left + 150, 300), fill=1)
    return np.asarray(image)


class Client:
    """A connection to the server, kept open as a browser does."""

    def __init__(self, port: int, token: str):
        self._connection = http.client.HTTPConnection("127.0.0.1", port)
        self._headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "Origin": f"http://127.0.0.1:{port}",
        }

    def __call__(self, path: str, body: object = None) -> bytes:
        """The answer to GET, or to POST with a body."""
        method, text = ("GET", None) if body is None else ("POST", json.dumps(body))
        self._connection.request(method, path, text, self._headers)
        answer = self._connection.getresponse()
        data = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status} {data[:200]!r}")
        return data


def measure(root: Path, frames: int, actions: int) -> None:
    """Start the server, use it like a page, and print times and memory."""
    command = [sys.executable, "-m", "tglcli", "annotate", "index", "out", "--annotator", "a"]
    command += ["--proposals", "visibility", "--port", "0"]
    started = time.perf_counter()
    process = subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    found = re.search(r":(\d+)/\?token=(\S+)", process.stdout.readline())
    assert found is not None
    print(f"start: {time.perf_counter() - started:.2f} s, {memory(process.pid)}")
    get = Client(int(found[1]), found[2])
    count = json.loads(get("/api/sentences"))["count"]
    print(f"{count:,} sentences: {line(lambda _: get('/api/sentences'), range(10))}")
    file = root / "frames/video_0000/00000.jpg"
    plain = line(lambda _: file.read_bytes(), range(200))
    frame = line(lambda t: get(f"/api/video/0/frame/{t % frames}"), range(frames))
    print(f"a frame: {frame}; reading its file: {plain}")
    first = line(lambda n: get(f"/api/sentence/{n * 37 % count}"), range(100))
    again = line(lambda n: get(f"/api/sentence/{n * 37 % count}"), range(100))
    print(f"a sentence: {first}; once more: {again}")
    query = "/api/video/0/mask/0?sentence=0&start={0}&end={1}"
    starts = range(0, frames - MASKS_AT_ONCE, MASKS_AT_ONCE)
    masks = line(lambda t: get(query.format(t, t + MASKS_AT_ONCE)), starts)
    print(f"{MASKS_AT_ONCE} masks: {masks}")
    acted = line(lambda n: act(get, n), range(actions))
    print(f"an action: {acted}; writing and syncing a line: {line(synced(root), range(actions))}")
    for number in range(0, count, max(count // 400, 1)):  # every video's tracks
        get(f"/api/sentence/{number}")
    print(f"at the end: {memory(process.pid)}, CPU {cpu_seconds(process.pid):.1f} s")
    before = time.perf_counter()
    process.send_signal(signal.SIGINT)
    process.wait()
    print(f"end, with all tables written: {time.perf_counter() - before:.2f} s")


def act(get: Client, number: int) -> None:
    """Mark a referent of the first sentence."""
    action: dict[str, Any] = {"kind": "spans", "referent": 0, "spans": [[0, number + 1]]}
    get("/api/sentence/0/actions", {**action, "revision": number, "seconds": 1})


def synced(root: Path) -> Callable[[int], None]:
    """A function that appends a line to a file and syncs it."""
    file = (root / "plain").open("ab", buffering=0)

    def append(number: int) -> None:
        file.write(b"x" * 200 + b"\n")
        os.fsync(file.fileno())

    return append


def line(work: Callable[[int], object], numbers: range) -> str:
    """Median and 99th percentile of the milliseconds that calls take."""
    times = np.array([*_milliseconds(work, numbers)])
    return f"{np.median(times):.2f} ms (99 %: {np.quantile(times, 0.99):.2f})"


def _milliseconds(work: Callable[[int], object], numbers: range) -> Iterator[float]:
    for number in numbers:
        before = time.perf_counter()
        work(number)
        yield (time.perf_counter() - before) * 1e3


def memory(pid: int) -> str:
    """The peak memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    peak = next(found for found in status.splitlines() if found.startswith("VmHWM"))
    return f"peak memory {int(peak.split()[1]) / 1000:.0f} MB"


def cpu_seconds(pid: int) -> float:
    """User and system seconds of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
