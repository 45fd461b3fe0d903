"""Work on a video of which the process is killed once."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from stages.core.engine.workers.devices import DeviceWorker, NotLoaded
from stages.propagate.units import FinishedUnits
from stages.propagate.work import VideoCounts, VideoWork, segment_video

VIDEO = "c"
"""The last one: the other worker takes it over, and no third process starts."""
add = FinishedUnits.add


def mark_of(out: Path) -> Path:
    """The file that is made when the process is killed."""
    return out.parent / "killed"


def killed_once(work: VideoWork, worker: DeviceWorker) -> VideoCounts | NotLoaded:
    """Segment a video; the first process that finishes a sentence of VIDEO is killed then."""
    mark = mark_of(work.finished.out.path)

    def add_and_end(self: FinishedUnits, *given: Any) -> None:
        add(self, *given)
        if work.job.video.video_id == VIDEO and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    FinishedUnits.add = add_and_end  # type: ignore[method-assign]
    try:
        return segment_video(work, worker)
    finally:
        FinishedUnits.add = add  # type: ignore[method-assign]
