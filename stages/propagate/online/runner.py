"""The videos of an index as streams: `tgl propagate --online`."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future

import numpy as np
import pyarrow as pa
import torch

from schemas.parquet import concatenate
from schemas.tables import PROPAGATION
from stages.core.index.index import Video
from stages.propagate.answers import MaskWriter
from stages.propagate.frames import read_resized
from stages.propagate.online.routing import MomentFinder, moment_finder
from stages.propagate.online.segmenter import FrameAnswer, OnlineSegmenter
from stages.propagate.video import Job, Runner

DECODED_AHEAD = 16
"""Frames that are decoded while others are worked."""
NO_MOMENT = "no moment"


class OnlineRunner(Runner):
    """As ``VideoRunner``, but every video is read once, in order, with a memory that is bounded."""

    def run(self, job: Job, writer: MaskWriter) -> Iterator[pa.Table]:
        """Write the masks of a video; gives its rows of the propagation table at the end.

        Raises:
            MissingInput, CorruptInput: a frame or a sentence's embedding cannot be read.
        """
        video = job.video
        finders = [
            moment_finder(
                self.config, known, has_target=bool(expression.anno_ids), frames=video.num_frames
            )
            for expression, known in zip(job.expressions, job.known, strict=True)
        ]
        segmenter = OnlineSegmenter(
            self.model,
            [self.texts.get(expression.text) for expression in job.expressions],
            finders,
            self.config,
            size=(video.height, video.width),
            device=self.device,
            precision=self.runtime.precision,
        )
        rows = _Rows(job)
        for pixels in decoded_ahead(video, self.model.backbone.image_size, self.decoders):
            self._write(job, segmenter.push(pixels), rows, writer)
        self._write(job, segmenter.finish(), rows, writer)
        writer.wait()
        self._count(finders, segmenter)
        yield rows.table()

    def _write(
        self, job: Job, answers: Sequence[FrameAnswer], rows: _Rows, writer: MaskWriter
    ) -> None:
        for answer in answers:
            rows.add(answer)
            for expression, mask in zip(job.expressions, answer.masks, strict=True):
                writer.write(job.video, expression, answer.frame, mask)

    def _count(self, finders: Sequence[MomentFinder], segmenter: OnlineSegmenter) -> None:
        """What routed the sentences, for the summary."""
        for finder, found in zip(finders, segmenter.found, strict=True):
            source = finder.source if found else NO_MOMENT
            self.routes[source] = self.routes.get(source, 0) + 1


class _Rows:
    """Rows of the propagation table, gathered frame by frame."""

    def __init__(self, job: Job):
        self._job = job
        self._answers: list[tuple[tuple[str, ...], np.ndarray, np.ndarray, np.ndarray]] = []

    def add(self, answer: FrameAnswer) -> None:
        """The next frame, without its masks."""
        areas = answer.masks.sum(axis=(1, 2))
        self._answers.append((answer.routes, answer.relevance, answer.scores, areas))

    def table(self) -> pa.Table:
        """All rows, sentence by sentence."""
        frames = len(self._answers)
        parts = []
        for row, expression in enumerate(self._job.expressions):
            scores = np.array([scores[row] for _, _, scores, _ in self._answers], np.float32)
            columns = {
                "video_id": [expression.video_id] * frames,
                "expression_id": [expression.expression_id] * frames,
                "frame": np.arange(frames, dtype=np.int32),
                "route": [routes[row] for routes, _, _, _ in self._answers],
                "relevance": np.array([said[row] for _, said, _, _ in self._answers], np.float32),
                "object_score": pa.array(scores, pa.float32(), mask=np.isnan(scores)),
                "mask_area": np.array([areas[row] for _, _, _, areas in self._answers], np.int64),
            }
            parts.append(pa.table(columns, schema=PROPAGATION.schema))
        return concatenate(parts, PROPAGATION)


def decoded_ahead(video: Video, size: int, decoders: Executor) -> Iterator[torch.Tensor]:
    """The frames of a video in order, uint8 (3, S, S), a few of them decoded in advance."""
    ahead: deque[Future[torch.Tensor]] = deque()
    try:
        for frame in range(video.num_frames):
            ahead.append(decoders.submit(read_resized, video, frame, size))
            if len(ahead) > DECODED_AHEAD:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        for future in ahead:
            future.cancel()
