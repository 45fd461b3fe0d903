"""Work on a video of which the process is killed once, and work without a network."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from stages.core.engine.workers.devices import DeviceWorker, NotLoaded
from stages.core.index.mask_writer import MaskWriter
from stages.core.index.propagation_rows import PropagationRows
from stages.propagate.jobs import Job
from stages.propagate.units import FinishedUnits
from stages.propagate.work import VideoCounts, VideoWork, segment_video

FIRST, LAST = "a", "c"
add = FinishedUnits.add


class Recorder:
    """A runner that notes its jobs and writes masks that tell frames and sentences apart."""

    def __init__(self) -> None:
        self.routes: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.log: list[tuple[str, str]] = []

    def run(self, job: Job, writer: MaskWriter) -> Iterator[pa.Table]:
        """See ``Runner``; a sentence at a time."""
        for expression in job.expressions:
            self.log.append(expression.key)
            self.routes["all"] += 1
            frames = job.video.num_frames
            for frame in range(frames):
                mask = np.zeros((job.video.height, job.video.width), bool)
                mask[frame, : 1 + len(expression.text)] = True
                writer.write(job.video, expression, frame, mask)
            writer.wait()
            names, routes = [expression.expression_id] * frames, ["language"] * frames
            ones = np.ones(frames)
            own = (names, range(frames), routes, ones, ones, np.zeros(frames))
            yield PropagationRows(job.video.video_id, *own).table()


def mark_of(out: Path) -> Path:
    """The file that is made when the process is killed."""
    return out.parent / "killed"


def killed_at_first(work: VideoWork, worker: DeviceWorker) -> VideoCounts | NotLoaded:
    """Segment a video; killed once after the first sentence of the longest one."""
    return _killed(work, worker, FIRST)


def killed_at_last(work: VideoWork, worker: DeviceWorker) -> VideoCounts | NotLoaded:
    """Segment a video without a network; killed once after the only sentence of the shortest one.

    The other worker takes it over, so that no third process starts.
    """
    worker.keep("runner", work.setup, Recorder)
    return _killed(work, worker, LAST)


def _killed(work: VideoWork, worker: DeviceWorker, video: str) -> VideoCounts | NotLoaded:
    mark = mark_of(work.finished.out.path)

    def add_and_end(self: FinishedUnits, *given: Any) -> None:
        add(self, *given)
        if work.job.video.video_id == video and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    FinishedUnits.add = add_and_end  # type: ignore[method-assign]
    try:
        return segment_video(work, worker)
    finally:
        FinishedUnits.add = add  # type: ignore[method-assign]
