"""Cost of `tgl propagate --tracks own` against `--tracks off`, with the toy checkpoint.

    python benchmarks/propagate_tracks.py                  # 8 toy clips, 8 sentences each
    python benchmarks/propagate_tracks.py --expressions 16
    python benchmarks/propagate_tracks.py --memory         # peak memory for 200 and 2,000 frames

Toy clips show 3 to 5 objects. The moments are the annotated ones. Times are CPU seconds on one
thread, of both kinds in turn; the PNGs are written too. For --memory, the long video repeats the
frames of a clip, each length runs in its own process, and the features get 20 MB.

Tracking an object to a frame costs as much as a sentence on a frame (memory attention, decoder,
memory encoder), so the ratio to expect is 1 + objects tracked / memory banks, less the frames that
no moment holds: with tracks they are not segmented. `--choose vote` leaves out the track head.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stages.build_moments.config import IndexConfig, IndexInputs
from stages.build_moments.stage import STAGE as BUILD_MOMENTS
from stages.core.engine.execute import execute
from stages.core.engine.progress import SilentProgress
from stages.core.engine.runtime import Runtime
from stages.core.index.index import Index
from stages.core.index.mask_writer import MaskWriter
from stages.core.index.texts import TextStore
from stages.core.model.checkpoint import load_checkpoint
from stages.core.model.loading.hub import TOY, checkpoint_folder
from stages.precompute_text.config import TextConfig, TextInputs
from stages.precompute_text.stage import STAGE as PRECOMPUTE_TEXT
from stages.propagate.config import PropagateConfig, PropagateInputs
from stages.propagate.jobs import Job, known_moments, plan_jobs
from stages.propagate.runner import OfflineRunner
from stages.propagate.tracks.runner import STARTED, TrackRunner
from stages.tools.toy.config import ToyConfig, ToyInputs
from stages.tools.toy.stage import STAGE as TOY_CLIPS

KIBIBYTE, MEBIBYTE = 1024, 1024**2
KINDS = {"off": OfflineRunner, "own": TrackRunner}


def make_jobs(root: Path, clips: int, expressions: int) -> tuple[list[Job], TextStore]:
    """Toy clips with sentences, and their encoded texts."""
    runtime, progress = Runtime(workers=1, device="cpu"), SilentProgress()
    index, text = root / "index", root / "text"
    toy = ToyConfig(train_clips=0, valid_clips=0, dev_clips=clips, expressions=expressions)
    steps = (
        (TOY_CLIPS, toy, ToyInputs(), root / "toy"),
        (BUILD_MOMENTS, IndexConfig(), IndexInputs(root / "toy/dev"), index),
        (PRECOMPUTE_TEXT, TextConfig(encoder="hash"), TextInputs(index, None), text),
    )
    for stage, config, inputs, out in steps:
        execute(stage, config, inputs, out, runtime=runtime, progress=progress)  # type: ignore[type-var]
    known = known_moments(
        Index.open(index), PropagateInputs(index, text, root), PropagateConfig(moments="annotated")
    )
    return plan_jobs(Index.open(index), known), TextStore.open(text)


def longer(job: Job, frames: int) -> Job:
    """The job on a video that repeats its frames; the moments are stretched with it."""
    video, total = job.video, job.video.num_frames
    names = tuple(video.frame_names[frame % total] for frame in range(frames))
    places = np.arange(frames) * total // frames
    known = [None if moment is None else moment[places] for moment in job.known]
    return Job(replace(video, num_frames=frames, frame_names=names), job.expressions, known)


def run(kind: str, jobs: Sequence[Job], texts: TextStore, **limits: Any) -> tuple[float, int]:
    """Propagate; CPU seconds and number of objects that were tracked."""
    config = PropagateConfig(moments="annotated", tracks=kind, **limits)
    with (
        tempfile.TemporaryDirectory() as out,
        ThreadPoolExecutor(1) as decoders,
        ThreadPoolExecutor(1) as writers,
    ):
        runner = KINDS[kind](
            load_checkpoint(checkpoint_folder(TOY, SilentProgress())),
            texts,
            config,
            runtime=Runtime(workers=1, device="cpu"),
            device=torch.device("cpu"),
            decoders=decoders,
        )
        start = time.process_time()
        for job in jobs:
            deque(runner.run(job, MaskWriter(Path(out), writers)), maxlen=0)
        return time.process_time() - start, runner.counts[STARTED]


def compare(options: argparse.Namespace, root: Path) -> None:
    """Print the cost of both kinds and their ratio."""
    jobs, texts = make_jobs(root, options.clips, options.expressions)
    run("own", jobs[:1], texts, choose=options.choose)  # libraries, and the first allocations
    times: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for _ in range(options.repeats):
        for kind, own in times.items():
            seconds, objects = run(kind, jobs, texts, choose=options.choose)
            own.append(seconds)
    off, tracked = (min(times[kind]) for kind in ("off", "own"))
    frames = sum(job.video.num_frames for job in jobs)
    sentences = sum(len(job.expressions) for job in jobs)
    print(f"{len(jobs)} clips, {frames} frames, {sentences} sentences, {objects} objects tracked")
    print(f"off {1000 * off / frames:.1f} ms a frame, own {1000 * tracked / frames:.1f} ms")
    print(f"ratio {tracked / off:.2f}")


def measure_one(options: argparse.Namespace, root: Path) -> None:
    """Print seconds and peak memory of one video."""
    jobs, texts = make_jobs(root, 1, options.expressions)
    job = longer(jobs[0], options.one)
    seconds, objects = run("own", [job], texts, feature_memory=0.02)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIBIBYTE / MEBIBYTE
    print(f"{options.one:6} frames  {objects} objects  {seconds:7.1f} s  peak {peak:6.0f} MiB")


def main() -> None:
    """Compare times, or run each length in its own process."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=8)
    parser.add_argument("--expressions", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--frames", type=int, nargs="+", default=[200, 2000])
    parser.add_argument("--choose", choices=["head", "vote"], default="head")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.memory:
        for frames in options.frames:
            command = [sys.executable, __file__, "--one", str(frames)]
            command += ["--expressions", str(options.expressions)]
            subprocess.run(command, check=True)
        return
    with tempfile.TemporaryDirectory() as folder:
        if options.one:
            measure_one(options, Path(folder))
        else:
            compare(options, Path(folder))


if __name__ == "__main__":
    main()
