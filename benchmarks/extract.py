"""tgl extract-frames against the bare ffmpeg command, on one video and on eight.

    python benchmarks/extract.py [VIDEO] [--rounds 5] [--videos 1 8]

Without VIDEO a 720p clip of 10 s is made. In each round both sides run, in alternating order, into
new folders after pending writes are flushed; nothing is removed before the last round (1.3 GB per
round), since a file system may be slow to reuse blocks of files just removed. For eight videos bare
ffmpeg runs on one after another (with all its threads) and tgl with one worker per core. The time
of tgl is that of the whole stage: digests of videos and frames, table, receipt, publication. All
pixels are compared. Prints the medians, the median, least and largest of the rounds' ratios, and
the bytes of tgl's JPEGs relative to ffmpeg's, which fits the Huffman tables to each frame by
default, as --optimize does.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import tempfile
import time
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np

from stages.core.engine.execute import execute
from stages.core.engine.progress import SilentProgress
from stages.core.engine.runtime import Runtime
from stages.core.media.ffmpeg import ffmpeg_binary
from stages.core.media.frames import read_frame
from stages.extract_frames.config import ExtractConfig, ExtractInputs
from stages.extract_frames.stage import STAGE

QUALITY = 2
VIDEOS = 8
SECONDS = 10


def main() -> None:
    """Run both sides on each number of videos."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("video", type=Path, nargs="?")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--videos", type=int, nargs="+", default=[1, VIDEOS])
    options.add_argument(
        "--optimize", action="store_true", help="fit Huffman tables, for equal bytes"
    )
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="tgl-extract-") as folder:
        root = Path(folder)
        video = given.video or make_video(root / "made.mp4")
        for number in given.videos:
            copies = [root / f"v{copy}{video.suffix}" for copy in range(number)]
            for copy in copies:
                shutil.copy(video, copy)
            compare(
                root, copies, given.rounds, ExtractConfig(quality=QUALITY, optimize=given.optimize)
            )


def compare(root: Path, videos: list[Path], rounds: int, config: ExtractConfig) -> None:
    """Print the times of both sides, their ratio, and whether the frames are equal."""
    ours_run = partial(run_ours, config=config)
    bare, ours = [], []
    for number in range(rounds):
        written = root / f"{len(videos)} videos, round {number}"
        sides = [(bare, run_bare, written / "bare"), (ours, ours_run, written / "ours")]
        for times, run, folder in sides if number % 2 else reversed(sides):
            os.sync()
            times.append(run(folder, videos))
    ratios = [b / a for a, b in zip(bare, ours, strict=True)]
    same = all(same_frames(written, video) for video in videos)
    print(
        f"{len(videos)} video{'s' if len(videos) > 1 else ''}: ffmpeg {median(bare):.3f} s, "
        f"tgl {median(ours):.3f} s, ratio {median(ratios):.3f} "
        f"({min(ratios):.3f} to {max(ratios):.3f}), "
        f"pixels {'the same' if same else 'DIFFER'}, bytes {size_ratio(written):.3f}"
    )


def run_bare(folder: Path, videos: list[Path]) -> float:
    """Time `ffmpeg -i V -q:v 2 %05d.jpg` on one video after another, in seconds."""
    for video in videos:
        (folder / video.stem).mkdir(parents=True)
    started = time.perf_counter()
    for video in videos:
        target = str(folder / video.stem / "%05d.jpg")
        command = [ffmpeg_binary(), "-v", "error", "-nostdin", "-i", str(video)]
        subprocess.run([*command, "-q:v", str(QUALITY), target], check=True)
    return time.perf_counter() - started


def run_ours(folder: Path, videos: list[Path], config: ExtractConfig) -> float:
    """Time the stage with hashing, table and publication, in seconds."""
    started = time.perf_counter()
    execute(STAGE, config, ExtractInputs(tuple(videos)), folder,
            runtime=Runtime(), progress=SilentProgress())  # fmt: skip
    return time.perf_counter() - started


def same_frames(root: Path, video: Path) -> bool:
    """Whether both sides wrote the same number of frames with the same pixels."""
    bare = sorted((root / "bare" / video.stem).iterdir())
    ours = sorted((root / "ours" / "JPEGImages" / video.stem).iterdir())
    pairs = zip(bare, ours, strict=False)
    return len(bare) == len(ours) and all(
        np.array_equal(read_frame(a), read_frame(b)) for a, b in pairs
    )


def size_ratio(root: Path) -> float:
    """Bytes of tgl's JPEGs relative to ffmpeg's."""
    ours, bare = (
        sum(frame.stat().st_size for frame in (root / side).rglob("*.jpg"))
        for side in ("ours", "bare")
    )
    return ours / bare


def make_video(path: Path) -> Path:
    """Write ten seconds of a moving test pattern with noise, H.264, 720p, 25 frames per second."""
    source = f"testsrc2=size=1280x720:rate=25:duration={SECONDS},noise=alls=12:allf=t"
    command = [ffmpeg_binary(), "-v", "error", "-f", "lavfi", "-i", source, "-c:v", "libx264"]
    subprocess.run([*command, "-pix_fmt", "yuv420p", str(path)], check=True)
    return path


if __name__ == "__main__":
    main()
