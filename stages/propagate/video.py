"""One video: relevance, routes, both paths, masks; for all of its sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import torch

from schemas.parquet import concatenate
from schemas.tables import PROPAGATION
from stages.core.engine.runtime import Runtime
from stages.core.index.index import Expression, Video
from stages.core.index.texts import TextStore
from stages.core.model.device import arithmetic
from stages.core.model.segmenter import Segmenter, plan_tracks
from stages.core.model.text import TextBatch
from stages.core.model.tgl import TglModel
from stages.propagate.answers import Answers, MaskWriter
from stages.propagate.config import GIGABYTE, PropagateConfig
from stages.propagate.frames import VideoFeatures
from stages.propagate.routing import Route, choose_route
from stages.propagate.views import VideoAdapterPath, VideoViews

MOST_EXPRESSIONS = 16


@dataclass(frozen=True)
class Job:
    """One video's work.

    Attributes:
        video: whose frames.
        expressions: its sentences.
        known: (T,) bool moment of each sentence from the index or a file, or None.
    """

    video: Video
    expressions: Sequence[Expression]
    known: Sequence[np.ndarray | None]

    def only(self, rows: Sequence[int]) -> Job:
        """The same video with some of its sentences."""
        return Job(
            self.video, [self.expressions[row] for row in rows], [self.known[row] for row in rows]
        )


@dataclass
class Runner:
    """What runs videos one after another on one device.

    Attributes:
        model: on its device, in eval mode, configured as ``config`` wants.
        texts: embeddings of the sentences.
        config: routing and limits.
        runtime: precision.
        device: of the model.
        decoders: threads that read and resize frames.
        routes: how many sentences were routed by what, so far.
    """

    model: TglModel
    texts: TextStore
    config: PropagateConfig
    runtime: Runtime
    device: torch.device
    decoders: Executor
    routes: dict[str, int] = field(default_factory=dict, init=False)


class VideoRunner(Runner):
    """Reads a video's frames as often as it needs them."""

    def run(self, job: Job, writer: MaskWriter) -> Iterator[pa.Table]:
        """Write the masks of a video.

        Yields:
            The rows of a batch of sentences, when all their masks are on disk.

        Raises:
            MissingInput, CorruptInput: a frame or a sentence's embedding cannot be read.
        """
        features = VideoFeatures(
            job.video,
            self.model.encode,
            size=self.model.backbone.image_size,
            device=self.device,
            budget=self.config.feature_memory * GIGABYTE,
            chunk=self.config.chunk_frames,
            decoders=self.decoders,
        )
        size = self.config.expressions_per_batch or MOST_EXPRESSIONS
        try:
            for start in range(0, len(job.expressions), size):
                last = min(start + size, len(job.expressions))
                rows = self._batch(job.only(range(start, last)), features, writer)
                writer.wait()
                yield rows
        finally:
            features.close()

    @torch.inference_mode()
    def _batch(self, job: Job, features: VideoFeatures, writer: MaskWriter) -> pa.Table:
        """Some sentences together."""
        with arithmetic(self.runtime.precision, self.device):
            return self._answer(job, features, writer)

    def _answer(self, job: Job, features: VideoFeatures, writer: MaskWriter) -> pa.Table:
        """Relevance, routes, both paths."""
        embeddings = [self.texts.get(expression.text) for expression in job.expressions]
        text = TextBatch.of(embeddings).to(self.device)
        text.check_dim(self.model.text_dim)
        encoded = self.model.adapter.text(text)
        views = VideoViews(self.model, features, encoded, self.config.feature_memory * GIGABYTE)
        relevance = views.relevance().float().sigmoid().cpu().numpy()
        routes = [
            choose_route(
                relevance[row],
                job.known[row],
                has_target=bool(expression.anno_ids),
                config=self.config,
            )
            for row, expression in enumerate(job.expressions)
        ]
        for route in routes:
            self.routes[route.source] = self.routes.get(route.source, 0) + 1
        answers = self._segment(job, routes, features, views, writer)
        return _rows(job, routes, relevance, answers)

    def _segment(
        self,
        job: Job,
        routes: Sequence[Route],
        features: VideoFeatures,
        views: VideoViews,
        writer: MaskWriter,
    ) -> Answers:
        """Both paths for the sentences that have a target, black masks for the others."""
        config = self.model.config
        guided = np.stack([route.guided for route in routes])
        tracks = [
            track
            for track in plan_tracks(guided, per_moment=config.per_moment_banks)
            if not routes[track.expression].empty
        ]
        gate = self.config.object_gate and config.object_gate != "never"
        answers = Answers(job.video, job.expressions, tracks, writer, gate=gate)
        times = np.broadcast_to(np.arange(job.video.num_frames), guided.shape)
        Segmenter(self.model.backbone, config, gate=gate).run(
            tracks,
            times,
            lambda items: features.of([item.position for item in items]),
            VideoAdapterPath(self.model, views),
            answers.add,
            by_time=not (features.resident and views.resident),
        )
        black = np.zeros((job.video.height, job.video.width), bool)
        for route, expression in zip(routes, job.expressions, strict=True):
            if route.empty:
                for frame in range(job.video.num_frames):
                    writer.write(job.video, expression, frame, black)
        return answers


def _rows(job: Job, routes: Sequence[Route], relevance: np.ndarray, answers: Answers) -> pa.Table:
    """Rows of the propagation table for the sentences of a job."""
    parts = []
    for row, (expression, route) in enumerate(zip(job.expressions, routes, strict=True)):
        frames = job.video.num_frames
        columns = {
            "video_id": [expression.video_id] * frames,
            "expression_id": [expression.expression_id] * frames,
            "frame": np.arange(frames, dtype=np.int32),
            "route": route.words(),
            "relevance": relevance[row].astype(np.float32),
            "object_score": pa.array(
                answers.scores[row], pa.float32(), mask=np.full(frames, route.empty)
            ),
            "mask_area": answers.areas[row],
        }
        parts.append(pa.table(columns, schema=PROPAGATION.schema))
    return concatenate(parts, PROPAGATION)
