"""The runner whose masks are object tracks, chosen by the votes of dual-path propagation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import torch

from schemas.parquet import concatenate
from schemas.tables import PROPAGATION
from schemas.vocabulary import BEST_FRAME, PREDICTED
from stages.core.index.index import track_name
from stages.core.index.mask_writer import MaskWriter
from stages.core.media.spans import spans_of
from stages.core.model.adapter.cache import AdapterCache
from stages.core.model.device import autocast
from stages.core.model.object_tracks.guided import guided_masks
from stages.core.model.object_tracks.own import MapTracks, OwnTracker
from stages.core.model.object_tracks.records import ObjectTracks, SentenceMasks
from stages.core.model.object_tracks.vote import chosen_tracks, vote
from stages.core.model.track_head.decide import (
    CHOSEN_SHARE,
    target_probability,
    track_scores,
)
from stages.core.model.track_head.judging import TrackJudgement, judge_tracks
from stages.core.model.video_features import VideoFeatures
from stages.propagate.config import ANNOTATED
from stages.propagate.jobs import Job
from stages.propagate.routing import Route, relevant_frames
from stages.propagate.runner import OfflineRunner, sentence_rows
from stages.propagate.tracks.given import GivenTracks
from stages.propagate.tracks.writing import Chosen, write_chosen

VIDEOS_WITHOUT, SENTENCES_WITHOUT = "videos without tracks", "sentences without a track"
STARTED, MERGED, LEFT, TRACKS = (
    "objects tracked",
    "tracks merged",
    "masks not tracked (--max-tracks)",
    "tracks",
)


@dataclass
class TrackRunner(OfflineRunner):
    """Segments all sentences of a video before the first of them is written.

    Attributes:
        given: the tracks of an index; None tracks the objects that the masks show.
    """

    given: GivenTracks | None = None

    def __post_init__(self) -> None:
        self._tracker = OwnTracker(
            self.model.tracker(), self.config.track_frames, self.config.max_tracks
        )

    def run(self, job: Job, writer: MaskWriter) -> Iterator[pa.Table]:
        """See ``Runner``; all sentences of the video at once."""
        with closing(self.features(job.video)) as features:
            found: list[SentenceMasks] = []
            routes: list[Route] = []
            batches: list[Job] = []
            collect = partial(self._collect, features=features)
            for part, (own_tokens, own_routes, masks) in self.in_batches(job, features, collect):
                tokens = own_tokens
                batches.append(part)
                routes += own_routes
                found += masks
            tracks = self.patiently(features, lambda: self._tracks(job, features, found))
            kept = tokens if len(batches) == 1 else None  # of several they may be too large
            judge = partial(self._judge, batches, features, tracks, kept)
            judged = self.patiently(features, judge) if self.by_head else None
        # The head was fitted to votes over all guided frames.
        votes = vote(tracks, found, by_moment=judged is None)
        chosen = [
            self._by_vote(route, votes[row])
            if judged is None
            else self._by_head(
                route, judged.match[row], judged.relevance[row], votes[row], found[row].relevance
            )
            for row, route in enumerate(routes)
        ]
        self._count(tracks, routes, chosen)
        areas = write_chosen(job, tracks, chosen, writer)
        writer.wait()
        parts = [
            sentence_rows(job, row, route, found[row].relevance, found[row].scores, areas[row])
            for row, route in enumerate(routes)
        ]
        yield concatenate(parts, PROPAGATION)

    @torch.inference_mode()
    def _collect(
        self, job: Job, features: VideoFeatures
    ) -> tuple[AdapterCache, list[Route], list[SentenceMasks]]:
        """Tokens, routes and mask logits of some sentences; only guided frames find and vote."""
        with autocast(self.runtime.precision, self.device):
            tokens = self.adapter_tokens(job, features)
            relevance = tokens.relevance().float().sigmoid().cpu().numpy()
            routes = self.choose_routes(job, relevance)
            guided = np.stack([route.guided for route in routes])
            masks = guided_masks(
                self.model,
                tokens,
                guided,
                relevance,
                self.segmenter,
                by_time=not (features.resident and tokens.resident),
            )
        return tokens, routes, masks

    def _tracks(
        self, job: Job, features: VideoFeatures, found: Sequence[SentenceMasks]
    ) -> ObjectTracks:
        """The tracks that the sentences choose among."""
        if self.given is not None:
            return self.given.of(job.video)
        size = (job.video.height, job.video.width)
        with autocast(self.runtime.precision, self.device):
            maps, counts = self._tracker.find(features, found)
        self.counts.update({STARTED: counts.started, MERGED: counts.merged, LEFT: counts.left})
        names = [track_name(job.video.video_id, n) for n in range(1, len(maps) + 1)]
        return MapTracks(names, maps, size, self.device)

    @torch.inference_mode()
    def _judge(
        self,
        parts: Sequence[Job],
        features: VideoFeatures,
        tracks: ObjectTracks,
        tokens: AdapterCache | None,
    ) -> TrackJudgement:
        """Judge all tracks of a video for all of its sentences with the track head.

        Args:
            parts: the batches of sentences.
            tokens: of the only batch, if they are kept.
        """
        with autocast(self.runtime.precision, self.device):
            found = [
                judge_tracks(
                    self.model,
                    tokens or self.adapter_tokens(part, features),
                    len(tracks.names),
                    tracks.cover,
                )
                for part in parts
            ]
        return TrackJudgement(
            np.concatenate([own.match for own in found]),
            np.concatenate([own.relevance for own in found]),
        )

    def _by_vote(self, route: Route, votes: np.ndarray) -> list[Chosen]:
        """The tracks of a sentence by the votes (N,), the best first."""
        if route.empty:
            return []
        # An annotated moment says that there is a target.
        least = 0.0 if route.source == ANNOTATED else self.config.vote_threshold
        numbers = chosen_tracks(votes, least=least, share=self.config.vote_share)
        spans = spans_of(route.guided)
        source = BEST_FRAME if route.source == BEST_FRAME else PREDICTED
        return [Chosen(number, float(votes[number]), spans, source) for number in numbers]

    def _by_head(
        self,
        route: Route,
        match: np.ndarray,
        moments: np.ndarray,
        votes: np.ndarray,
        relevance: np.ndarray,
    ) -> list[Chosen]:
        """The tracks of a sentence by the track head, the best first.

        Args:
            match: (N,) of the head.
            moments: (N, T) of the head, when the sentence is true of each.
            votes: (N,) of the masks.
            relevance: (T,) of the frames.
        """
        if route.empty:
            return []
        least = self.config.least_target(self.model.thresholds.no_target)
        known = route.source == ANNOTATED
        if not known and target_probability(match, relevance) < least:
            return []
        scores = track_scores(match, votes)
        numbers = chosen_tracks(scores, least=0.0, share=CHOSEN_SHARE)
        return [
            Chosen(
                number,
                float(scores[number]),
                spans_of(relevant_frames(moments[number], self.config)),
            )
            for number in numbers
        ]

    def _count(
        self, tracks: ObjectTracks, routes: Sequence[Route], chosen: Sequence[Sequence[Chosen]]
    ) -> None:
        """Count tracks, and the sentences with a target that have none."""
        self.routes.update(route.source for route in routes)
        without = [not own and not route.empty for own, route in zip(chosen, routes, strict=True)]
        self.counts.update(
            {
                TRACKS: len(tracks.names),
                VIDEOS_WITHOUT: int(not tracks.names),
                SENTENCES_WITHOUT: sum(without),
            }
        )
