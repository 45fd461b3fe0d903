"""Peak memory of propagation for short and long videos, each in its own process.

    python benchmarks/propagate_memory.py                 # 200 and 2,000 frames, 128 px
    python benchmarks/propagate_memory.py --online        # frames once, in order, delay 8

Frames of the long video repeat a few files: only their number matters here.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from propagate import Texts, make_job, make_model, make_video  # benchmarks/propagate.py

from stages.core.engine.runtime import Runtime
from stages.core.index.index import Video
from stages.core.index.mask_writer import MaskWriter
from stages.core.model.backbones.features import FrameFeatures
from stages.propagate.config import PropagateConfig
from stages.propagate.online.runner import OnlineRunner
from stages.propagate.runner import OfflineRunner

DISTINCT_FRAMES = 16
KIBIBYTE, MEBIBYTE = 1024, 1024**2


def run(frames: int, expressions: int, megabytes: float, *, online: bool) -> None:
    """Propagate one video; print seconds, peak resident memory and encoded frames."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        made = make_video(root, DISTINCT_FRAMES, 128, 160)
        names = tuple(made.frame_names[frame % DISTINCT_FRAMES] for frame in range(frames))
        video = Video("long", frames, 128, 160, None, names, ".jpg", root)
        job = make_job(video, expressions)
        runtime = Runtime(workers=1, device="cpu")
        config = PropagateConfig(
            moments="annotated", feature_memory=megabytes / 1000, online=online
        )
        model, encoded = make_model("toy", 128), Counter[str]()
        encode = model.encode_frames

        def counted(pixels: torch.Tensor) -> FrameFeatures:
            encoded.update(frames=len(pixels))
            return encode(pixels)

        model.encode_frames = counted  # type: ignore[method-assign]
        kind = OnlineRunner if online else OfflineRunner
        with ThreadPoolExecutor(1) as decoders, ThreadPoolExecutor(1) as writers:
            runner = kind(
                model,
                Texts(),  # type: ignore[arg-type]
                config,
                runtime=runtime,
                device=torch.device("cpu"),
                decoders=decoders,
                scratch=root,
            )
            start = time.perf_counter()
            deque(runner.run(job, MaskWriter(root / "out", writers)), maxlen=0)
            seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIBIBYTE / MEBIBYTE
    print(f"{frames} {seconds:.1f} {peak:.0f} {encoded['frames']}")


def main() -> None:
    """Run each length in its own process and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, nargs="+", default=[200, 2000])
    parser.add_argument("--expressions", type=int, default=4)
    parser.add_argument("--feature-megabytes", type=float, default=20)
    parser.add_argument("--online", action="store_true")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        run(options.one, options.expressions, options.feature_megabytes, online=options.online)
        return
    peaks = []
    for frames in options.frames:
        command = [sys.executable, __file__, "--one", str(frames)]
        command += ["--expressions", str(options.expressions)]
        command += ["--feature-megabytes", str(options.feature_megabytes)]
        command += ["--online"] * options.online
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        _, seconds, peak, encoded = done.stdout.split()
        peaks.append(float(peak))
        print(f"{frames:6} frames  {float(seconds):7.1f} s  peak {float(peak):6.0f} MiB", end="")
        print(f"  {encoded} encoded")
    print(f"ratio of the last to the first: {peaks[-1] / peaks[0]:.2f}")


if __name__ == "__main__":
    main()
