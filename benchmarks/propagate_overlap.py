"""Whether decoding, network, post-processing and writing overlap in `tgl propagate`, without a GPU.

    python benchmarks/propagate_overlap.py                # 48 frames of 480p, 14 sentences
    python benchmarks/propagate_overlap.py --milliseconds 0.5 2 8

The device is simulated: every step of the network returns at once, with values of the right shapes,
and books its time on a stream that works through the bookings one after another, as a GPU's does.
Whoever needs values on the host sleeps until the stream has come to them: at the copies of masks,
and where relevance is read. Everything else is the real code: the runner, its threads, JPEGs,
masks, PNGs. The host's side is what the same run takes when the device takes no time.

Paths begin when the relevance of the whole video is known, so decoding overlaps with encoding, and
writing with the paths, not decoding with the paths. 3.2 ms is the proportion of real runs: decoding
takes a tenth of the network (a 1080p frame 27 ms on one of 16 cores, a mask 1.33 ms, 14 sentences).
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from propagate import Texts, make_job, make_model, make_video  # benchmarks/propagate.py

from stages.core.engine.runtime import Runtime
from stages.core.index.mask_writer import WRITERS, MaskWriter
from stages.core.model.adapter.cache import AdapterCache
from stages.core.model.backbones.backbone import MASK_TO_COARSE
from stages.core.model.backbones.records import Decoded
from stages.core.model.dual_path import mask_assembler, segmenter
from stages.core.model.offload.host_copies import HostCopy
from stages.core.model.tgl import TglModel
from stages.propagate.config import PropagateConfig
from stages.propagate.jobs import Job
from stages.propagate.runner import OfflineRunner

DISTINCT_MASKS = 16
ALLOWED = 1.10
"""Of the larger side: what the run may take."""


class Stream:
    """A device that works through bookings in order, in real time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._free = 0.0
        self.booked = 0.0

    def book(self, seconds: float) -> float:
        """Book time behind everything booked so far; returns when it will be over."""
        with self._lock:
            self._free = max(self._free, time.perf_counter()) + seconds
            self.booked += seconds
            return self._free

    def wait(self, moment: float | None = None) -> None:
        """Sleep until the stream has come to a moment; default: the end of all bookings."""
        left = (self._free if moment is None else moment) - time.perf_counter()
        if left > 0:
            time.sleep(left)


class Booked:
    """The end of a copy on the stream, as a GPU's event."""

    def __init__(self, stream: Stream):
        self._stream, self._moment = stream, stream.book(0)

    def synchronize(self) -> None:
        """Sleep until the copy has ended."""
        self._stream.wait(self._moment)


class Simulated:
    """Makes a model's steps take time on a stream instead of on the CPU.

    Args:
        model: whose shapes are kept.
        stream: of the device.
        seconds: of one item; encoding a frame takes the same.
        bits: (N, H, ceil(W / 8)) masks to write in turn.
    """

    def __init__(self, model: TglModel, stream: Stream, seconds: float, bits: np.ndarray):
        self._model, self._stream, self._seconds = model, stream, seconds
        self._bits = torch.from_numpy(bits)
        self._areas = torch.from_numpy(np.bitwise_count(bits).sum(axis=(1, 2), dtype=np.int64))
        self._encode = model.encode_frames
        self._features: Any = None
        self._given = 0

    def encode(self, frames: torch.Tensor) -> Any:
        """As ``TglModel.encode_frames``: the features of the first frame for all."""
        if self._features is None:
            self._features = self._encode(frames[:1])
        self._stream.book(self._seconds * len(frames))
        return self._features[[0] * len(frames)]

    def segment(self, items: Any, features: Any, *args: Any, **settings: Any) -> Decoded:
        """As both paths: empty logits of as many items as were given."""
        count = len(features)
        self._stream.book(self._seconds * count)
        side, channels = self._model.backbone.mask_size, self._model.backbone.channels
        one = torch.ones(count, 1)
        logits = torch.zeros(1, 1, side, side).expand(count, 1, side, side)
        return Decoded(logits, one, torch.zeros(count, 1, channels), one[:, 0])

    def packed(self, logits: Any, *args: Any, **settings: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """As ``packed_masks``: masks made before."""
        rows = [(self._given + row) % len(self._bits) for row in range(len(logits))]
        self._given += len(logits)
        return self._bits[rows], self._areas[rows]

    def start_copy(self, *tensors: torch.Tensor) -> HostCopy:
        """As on a GPU: the copy ends when the stream has come to it."""
        return HostCopy(tensors, Booked(self._stream))  # type: ignore[arg-type]

    def remember(self, coarse: torch.Tensor, *args: Any, **settings: Any) -> torch.Tensor:
        """As ``Backbone.remember``: empty memories."""
        places = self._model.backbone.mask_size // MASK_TO_COARSE
        return torch.zeros(len(coarse), places**2, self._model.backbone.memory_channels)

    def relevance(self, tokens: AdapterCache) -> torch.Tensor:
        """As ``AdapterCache.relevance``: encodes the video, and is read by the host."""
        frames = len(tokens.features)
        for frame in range(frames):
            tokens.features.of([frame])
        self._stream.wait()
        return torch.zeros(len(tokens.text.context), frames)

    def installed(self) -> ExitStack:
        """The steps of the model replaced, for as long as the context lasts."""
        backbone = self._model.backbone
        path = mock.Mock(segment=self.segment)
        stack = ExitStack()
        for owner, name, replacement in (
            (self._model, "encode_frames", self.encode),
            (self._model, "language_path", lambda *args: path),
            (backbone, "segment", self.propagated),
            (backbone, "remember", self.remember),
            (backbone, "pointer", lambda decoded, **gate: decoded.tokens[:, 0]),
            (segmenter, "collate_shared", lambda *args: None),
            (AdapterCache, "relevance", lambda tokens: self.relevance(tokens)),
            (mask_assembler, "packed_masks", self.packed),
            (mask_assembler, "start_copy", self.start_copy),
        ):
            stack.enter_context(mock.patch.object(owner, name, replacement))
        return stack

    def propagated(self, features: Any, *args: Any, **settings: Any) -> Decoded:
        """As ``Backbone.segment``."""
        return self.segment(None, features)


def discs(count: int, height: int, width: int) -> np.ndarray:
    """Packed masks of a disc that moves."""
    rows, columns = np.ogrid[:height, :width]
    middles = np.linspace(0.3, 0.7, count) * width
    masks = [
        (rows - height / 2) ** 2 + (columns - middle) ** 2 < (height / 5) ** 2 for middle in middles
    ]
    return np.packbits(np.stack(masks), axis=-1)


def seconds_of(job: Job, model: TglModel, milliseconds: float, workers: int) -> tuple[float, float]:
    """Seconds of a run, and those that the device is busy."""
    video = job.video
    stream = Stream()
    bits = discs(DISTINCT_MASKS, video.height, video.width)
    simulated = Simulated(model, stream, milliseconds / 1e3, bits)
    runtime = Runtime(workers=workers, device="cpu")
    config = PropagateConfig(moments="annotated", tracks="off", expressions_per_batch=100)
    with (
        tempfile.TemporaryDirectory() as folder,
        ThreadPoolExecutor(workers) as decoders,
        ThreadPoolExecutor(WRITERS) as writers,
    ):
        runner = OfflineRunner(
            model,
            Texts(),  # type: ignore[arg-type]
            config,
            runtime=runtime,
            device=torch.device("cpu"),
            decoders=decoders,
        )
        simulated.encode(torch.zeros(1, 3, *[model.backbone.image_size] * 2, dtype=torch.uint8))
        stream.booked = 0.0
        with simulated.installed():
            start = time.perf_counter()
            deque(runner.run(job, MaskWriter(Path(folder), writers)), maxlen=0)
            return time.perf_counter() - start, stream.booked


def main() -> None:
    """Measure the host alone, then runs with a faster and a slower device."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--milliseconds", type=float, nargs="+", default=[0.2, 1, 3.2])
    options.add_argument("--frames", type=int, default=48)
    options.add_argument("--expressions", type=int, default=14)
    options.add_argument("--height", type=int, default=480)
    options.add_argument("--width", type=int, default=854)
    options.add_argument("--workers", type=int, default=2)
    options.add_argument("--repeats", type=int, default=3)
    given = options.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        video = make_video(Path(folder), given.frames, given.height, given.width)
        job, model = make_job(video, given.expressions), make_model("toy", 64)

        def best(milliseconds: float) -> tuple[float, float]:
            return min(
                seconds_of(job, model, milliseconds, given.workers) for _ in range(given.repeats)
            )

        host, _ = best(0.0)
        print(
            f"{given.frames} frames of {given.width}x{given.height}, {given.expressions} sentences"
        )
        print(f"host alone {host:.2f} s with {given.workers} decoders and {WRITERS} writers")
        print("ms per item   device s   run s   of the larger side")
        for milliseconds in given.milliseconds:
            run, device = best(milliseconds)
            share = run / max(host, device)
            mark = "" if share <= ALLOWED else "  more than 10 %"
            print(f"{milliseconds:11g}  {device:9.2f}  {run:6.2f}  {share:19.2f}{mark}", flush=True)


if __name__ == "__main__":
    main()
