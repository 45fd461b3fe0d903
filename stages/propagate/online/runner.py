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
from stages.core.index.mask_writer import MaskWriter
from stages.core.index.propagation_rows import PropagationRows
from stages.core.model import budgets
from stages.core.model.video_features import read_resized
from stages.propagate.jobs import Job
from stages.propagate.online.frame_result import FrameResult
from stages.propagate.online.routing import MomentFinder, moment_finder
from stages.propagate.online.segmenter import OnlineSegmenter
from stages.propagate.runner import Runner

NO_MOMENT = "no moment"


class OnlineRunner(Runner):
    """Reads every video once, in order, in bounded memory."""

    def run(self, job: Job, writer: MaskWriter) -> Iterator[pa.Table]:
        """See ``Runner``; all sentences at the end of the video."""
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
        rows = _VideoRows(job)
        for result in self._results(segmenter, video):
            rows.add(result)
            for expression, mask in zip(job.expressions, result.masks, strict=True):
                writer.write(video, expression, result.frame, mask)
        writer.wait()
        self._count(finders, segmenter)
        yield rows.table()

    def _results(self, segmenter: OnlineSegmenter, video: Video) -> Iterator[FrameResult]:
        """The results of all frames, in order."""
        for pixels in decoded_ahead(video, segmenter.side, self.decoders):
            yield from segmenter.push(pixels)
        yield from segmenter.finish()

    def _count(self, finders: Sequence[MomentFinder], segmenter: OnlineSegmenter) -> None:
        """Count the sentences by what routed them, for the summary."""
        self.routes.update(
            finder.source if found else NO_MOMENT
            for finder, found in zip(finders, segmenter.found, strict=True)
        )


class _VideoRows:
    """Rows of the propagation table, gathered frame by frame."""

    def __init__(self, job: Job):
        self._job = job
        self._names = [expression.expression_id for expression in job.expressions]
        self._frames: list[PropagationRows] = []

    def add(self, result: FrameResult) -> None:
        """Add the rows of the next frame."""
        self._frames.append(result.rows(self._job.video.video_id, self._names))

    def table(self) -> pa.Table:
        """All rows, sentence by sentence."""
        own = self._frames
        parts = [
            PropagationRows(
                self._job.video.video_id,
                [name] * len(own),
                range(len(own)),
                [frame.routes[row] for frame in own],
                np.array([frame.relevance[row] for frame in own]),
                np.array([frame.scores[row] for frame in own]),
                np.array([frame.areas[row] for frame in own]),
            )
            for row, name in enumerate(self._names)
        ]
        return concatenate([part.table() for part in parts], PROPAGATION)


def decoded_ahead(video: Video, size: int, decoders: Executor) -> Iterator[torch.Tensor]:
    """The frames of a video in order, uint8 (3, S, S), a few of them decoded in advance."""
    ahead: deque[Future[torch.Tensor]] = deque()
    try:
        for frame in range(video.num_frames):
            ahead.append(decoders.submit(read_resized, video, frame, size))
            if len(ahead) > budgets.DECODED_AHEAD:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        for future in ahead:
            future.cancel()
