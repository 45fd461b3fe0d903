"""Segmenting the videos of a run one after another: the base, and the runner with random access."""

from __future__ import annotations

import gc
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import torch

from schemas.parquet import concatenate
from schemas.tables import PROPAGATION
from stages.core.engine.batches import BatchSize
from stages.core.engine.runtime import Runtime
from stages.core.index.index import Video
from stages.core.index.mask_writer import MaskWriter
from stages.core.index.propagation_rows import PropagationRows
from stages.core.index.texts import TextStore
from stages.core.media.mask_bits import empty_bits
from stages.core.model import budgets
from stages.core.model.adapter.cache import AdapterCache
from stages.core.model.config import SegmenterConfig
from stages.core.model.device import autocast
from stages.core.model.dual_path.mask_assembler import MaskAssembler
from stages.core.model.dual_path.segmenter import Results, Segmenter
from stages.core.model.dual_path.tracks import ClipTrack, plan_tracks
from stages.core.model.offload.feature_store import StoreLimits
from stages.core.model.text import TextBatch
from stages.core.model.tgl import TglModel
from stages.core.model.video_features import VideoFeatures
from stages.propagate.config import HEAD, PropagateConfig
from stages.propagate.jobs import Job
from stages.propagate.routing import Route, choose_route

R = TypeVar("R")


@dataclass
class Runner(ABC):
    """Segments videos on one device.

    Attributes:
        model: on its device, in eval mode.
        texts: embeddings of the sentences.
        config: routing and limits.
        runtime: precision.
        device: of the model.
        decoders: threads that read and resize frames.
        scratch: folder for features that do not fit in memory; None encodes them again.
        routes: number of sentences so far by what routed them.
        counts: of tracks so far, by name.
    """

    model: TglModel
    texts: TextStore
    config: PropagateConfig
    runtime: Runtime
    device: torch.device
    decoders: Executor
    scratch: Path | None = None
    routes: Counter[str] = field(default_factory=Counter, init=False)
    counts: Counter[str] = field(default_factory=Counter, init=False)

    @abstractmethod
    def run(self, job: Job, writer: MaskWriter) -> Iterator[pa.Table]:
        """Write the masks of a video.

        Yields:
            The propagation rows of some whole sentences, when their masks are on disk.

        Raises:
            MissingInput, CorruptInput: a frame or a sentence's embedding cannot be read.
        """

    @property
    def by_head(self) -> bool:
        """Whether the track head chooses among tracks."""
        config = self.config
        return config.uses_tracks and config.choose == HEAD and self.model.track_head is not None

    @property
    def segmenter(self) -> SegmenterConfig:
        """Settings of both paths."""
        return self.config.segmenter(self.model.segmenter)


class OfflineRunner(Runner):
    """Reads a video's frames in any order, as often as they are needed."""

    def run(self, job: Job, writer: MaskWriter) -> Iterator[pa.Table]:
        """See ``Runner``; a batch of sentences at a time."""

        def work(part: Job) -> pa.Table:
            writer.wait()  # for masks of an attempt that ran out of memory
            rows = self._batch(part, features, writer)
            writer.wait()
            return rows

        with closing(self.features(job.video)) as features:
            for _, rows in self.in_batches(job, features, work):
                yield rows

    @property
    def most_sentences(self) -> int:
        """Sentences of a batch, unless memory runs out."""
        return self.config.expressions_per_batch or budgets.MOST_EXPRESSIONS

    def in_batches(
        self, job: Job, features: VideoFeatures, work: Callable[[Job], R]
    ) -> Iterator[tuple[Job, R]]:
        """Do work on the sentences of a job, batch by batch.

        Where memory runs out and smaller batches inside of the work do not help, there are fewer
        sentences to a batch, and then fewer features are kept.
        """
        size = BatchSize(self.most_sentences, release=partial(_release, features, []))
        for rows, found in size.run(range(len(job.expressions)), lambda own: work(job.only(own))):
            yield job.only(rows), found

    def features(self, video: Video) -> VideoFeatures:
        """Features of a video, to be closed."""
        return VideoFeatures(
            video,
            self.model.encode_frames,
            size=self.model.backbone.image_size,
            device=self.device,
            budget=budgets.feature_bytes(self.config.feature_memory, self.device),
            chunk=self.config.chunk_frames,
            decoders=self.decoders,
            store=StoreLimits(
                host=budgets.host_bytes(self.device),
                disk=self.config.feature_disk * budgets.GIGABYTE,
                folder=self.scratch,
            ),
        )

    def patiently(self, features: VideoFeatures, work: Callable[[], R]) -> R:
        """Do work again with fewer features in memory where it runs out."""
        size = BatchSize(1, release=partial(_release, features, []))
        ((_, found),) = size.run([None], lambda _: work())
        return found

    @torch.inference_mode()
    def _batch(self, job: Job, features: VideoFeatures, writer: MaskWriter) -> pa.Table:
        """Segment some sentences together."""
        with autocast(self.runtime.precision, self.device):
            tokens = self.adapter_tokens(job, features)
            relevance = tokens.relevance().float().sigmoid().cpu().numpy()
            routes = self.choose_routes(job, relevance)
            assembler = self._segment(job, routes, features, tokens, writer)
        self.routes.update(route.source for route in routes)
        scores, areas = assembler.scores, assembler.areas
        parts = [
            sentence_rows(job, row, route, relevance[row], scores[row], areas[row])
            for row, route in enumerate(routes)
        ]
        return concatenate(parts, PROPAGATION)

    def adapter_tokens(self, job: Job, features: VideoFeatures) -> AdapterCache:
        """The adapter's tokens for the sentences of a job."""
        embeddings = [self.texts.get(expression.text) for expression in job.expressions]
        text = TextBatch.of(embeddings).to(self.device)
        text.check_dim(self.model.text_dim)
        encoded = self.model.adapter.text(text)
        return AdapterCache(self.model, features, encoded, features.budget)

    def choose_routes(self, job: Job, relevance: np.ndarray) -> list[Route]:
        """The route of each sentence."""
        return [
            choose_route(
                relevance[row],
                job.known[row],
                has_target=bool(expression.anno_ids),
                config=self.config,
                judged=self.by_head,
            )
            for row, expression in enumerate(job.expressions)
        ]

    def _segment(
        self,
        job: Job,
        routes: Sequence[Route],
        features: VideoFeatures,
        tokens: AdapterCache,
        writer: MaskWriter,
    ) -> MaskAssembler:
        """Run both paths for the sentences with a target; write black masks for the others."""
        tracks = self.planned(job, routes)
        gate = self.segmenter.gates(training=False)
        assembler = MaskAssembler(job.video, job.expressions, tracks, writer, gate=gate)
        for items, decoded in self.results(tracks, features, tokens):
            assembler.add(items, decoded)
        assembler.finish()
        black = empty_bits(job.video.height, job.video.width)
        for route, expression in zip(routes, job.expressions, strict=True):
            if route.empty:
                for frame in range(job.video.num_frames):
                    writer.write_bits(job.video, expression, frame, black)
        return assembler

    def planned(self, job: Job, routes: Sequence[Route]) -> list[ClipTrack]:
        """The memory banks of the sentences with a target."""
        guided = np.stack([route.guided for route in routes])
        times = np.arange(job.video.num_frames)
        per_moment = self.segmenter.per_moment_banks
        return [
            track
            for track in plan_tracks(guided, times, per_moment=per_moment)
            if not routes[track.expression].empty
        ]

    def results(
        self, tracks: Sequence[ClipTrack], features: VideoFeatures, tokens: AdapterCache
    ) -> Results:
        """Run both paths."""
        config = self.segmenter
        return Segmenter(self.model.backbone, config, one_video=True).run(
            tracks,
            lambda items: features.of([item.frame for item in items]),
            self.model.language_path(tokens, tokens.text, config),
            by_time=not (features.resident and tokens.resident),
        )


def _release(features: VideoFeatures, tried: list[bool]) -> bool:
    """Free memory for one sentence; returns whether it is worth another attempt.

    Args:
        tried: empty at the first time, when what an attempt left behind is freed.
    """
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    smaller, first = features.shrink(), not tried
    tried.append(True)
    return smaller or first


def sentence_rows(
    job: Job,
    row: int,
    route: Route,
    relevance: np.ndarray,
    scores: np.ndarray,
    areas: np.ndarray,
) -> pa.Table:
    """Rows of the propagation table for one sentence of a job.

    Args:
        row: of the sentence.
        relevance, scores, areas: (T,) see ``PropagationRows``.
    """
    frames = range(job.video.num_frames)
    names = [job.expressions[row].expression_id] * len(frames)
    return PropagationRows(
        job.video.video_id, names, frames, route.words(), relevance, scores, areas
    ).table()
