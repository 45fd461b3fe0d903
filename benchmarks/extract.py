"""tgl extract-frames against the bare ffmpeg command: one video, and eight.

    python benchmarks/extract.py [VIDEO] [--repeats 5]

Without VIDEO a 720p clip of 10 s is made. For one video both sides run alone, in turns; for eight,
bare ffmpeg runs one after another (with all its threads) and tgl with one worker a core. The JPEGs
are compared by their decoded pixels. Prints the best of the repeats and the ratio.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

from stages.engine.execute import execute
from stages.engine.ffmpeg import ffmpeg_binary
from stages.engine.progress import SilentProgress
from stages.engine.runtime import Runtime
from stages.extract_frames.config import ExtractConfig, ExtractInputs
from stages.extract_frames.stage import STAGE
from stages.index.frames import read_frame

QUALITY = 2
VIDEOS = 8
SECONDS = 10


def main() -> None:
    """Run both sides on one and on eight videos."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("video", type=Path, nargs="?")
    options.add_argument("--repeats", type=int, default=5)
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="tgl-extract-") as folder:
        root = Path(folder)
        video = given.video or make_video(root / "made.mp4")
        compare(root, [video], given.repeats)
        copies = [root / f"v{number}{video.suffix}" for number in range(VIDEOS)]
        for copy in copies:
            shutil.copy(video, copy)
        compare(root, copies, max(1, given.repeats // 2))


def compare(root: Path, videos: list[Path], repeats: int) -> None:
    """Print seconds of both sides, the ratio, and whether the pixels are the same."""
    bare, ours = [], []
    for _ in range(repeats):
        bare.append(run_bare(root / "bare", videos))
        ours.append(run_ours(root / "ours", videos))
    same = all(same_pixels(root, video) for video in videos)
    print(
        f"{len(videos)} video{'s' if len(videos) > 1 else ''}: ffmpeg {min(bare):.3f} s, "
        f"tgl {min(ours):.3f} s, ratio {min(ours) / min(bare):.3f}, "
        f"pixels {'the same' if same else 'DIFFER'}"
    )


def run_bare(folder: Path, videos: list[Path]) -> float:
    """Seconds of `ffmpeg -i V -q:v 2 %05d.jpg`, one video after another."""
    shutil.rmtree(folder, ignore_errors=True)
    for video in videos:
        (folder / video.stem).mkdir(parents=True)
    started = time.perf_counter()
    for video in videos:
        target = str(folder / video.stem / "%05d.jpg")
        command = [ffmpeg_binary(), "-v", "error", "-nostdin", "-i", str(video)]
        subprocess.run([*command, "-q:v", str(QUALITY), target], check=True)
    return time.perf_counter() - started


def run_ours(folder: Path, videos: list[Path]) -> float:
    """Seconds of the stage, hashing, table and publication included."""
    started = time.perf_counter()
    execute(STAGE, ExtractConfig(quality=QUALITY), ExtractInputs(tuple(videos)), folder,
            runtime=Runtime(), progress=SilentProgress(), force=True)  # fmt: skip
    return time.perf_counter() - started


def same_pixels(root: Path, video: Path) -> bool:
    """Whether both sides wrote the same number of frames with the same pixels."""
    bare = sorted((root / "bare" / video.stem).iterdir())
    ours = sorted((root / "ours" / "JPEGImages" / video.stem).iterdir())
    pairs = zip(bare, ours, strict=False)
    return len(bare) == len(ours) and all(
        np.array_equal(read_frame(a), read_frame(b)) for a, b in pairs
    )


def make_video(path: Path) -> Path:
    """Ten seconds of moving test picture with noise, H.264, 720p, 25 frames a second."""
    source = f"testsrc2=size=1280x720:rate=25:duration={SECONDS},noise=alls=12:allf=t"
    command = [ffmpeg_binary(), "-v", "error", "-f", "lavfi", "-i", source, "-c:v", "libx264"]
    subprocess.run([*command, "-pix_fmt", "yuv420p", str(path)], check=True)
    return path


if __name__ == "__main__":
    main()
