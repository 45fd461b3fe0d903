"""The runner whose masks are object tracks, chosen by the votes of dual-path propagation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import torch

from schemas.parquet import concatenate
from schemas.tables import PROPAGATION
from stages.core.index.index import track_name
from stages.core.index.mask_writer import MaskWriter
from stages.core.model.backbones.records import Decoded
from stages.core.model.device import autocast
from stages.core.model.dual_path.tracks import ClipTrack, Item
from stages.core.model.object_tracks.maps import LogitMaps, quantise
from stages.core.model.object_tracks.own import MapTracks, OwnTracker
from stages.core.model.object_tracks.records import ObjectTracks, SentenceMasks
from stages.core.model.object_tracks.vote import chosen_tracks, vote
from stages.core.model.video_features import VideoFeatures
from stages.propagate.config import ANNOTATED
from stages.propagate.jobs import Job
from stages.propagate.routing import Route
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
            for part in self.batches(job):
                own_routes, masks = self._collect(part, features)
                routes += own_routes
                found += masks
            tracks = self._tracks(job, features, found)
        scores = vote(tracks, found)
        chosen = [
            self._chosen(route, tracks, own) for route, own in zip(routes, scores, strict=True)
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
    ) -> tuple[list[Route], list[SentenceMasks]]:
        """Routes and mask logits of some sentences."""
        with autocast(self.runtime.precision, self.device):
            tokens = self.adapter_tokens(job, features)
            relevance = tokens.relevance().float().sigmoid().cpu().numpy()
            routes = self.choose_routes(job, relevance)
            collector = _Collector(
                job, self.model.backbone.mask_size, self.segmenter.gates(training=False)
            )
            tracks = self.planned(job, routes)
            if self.segmenter.irrelevant_memory == "none":
                tracks = [_voting_part(track, routes[track.expression]) for track in tracks]
            for items, decoded in self.results(tracks, features, tokens):
                collector.add(items, decoded)
        masks = [
            SentenceMasks(collector.maps[row], route.guided, relevance[row], collector.scores[row])
            for row, route in enumerate(routes)
        ]
        return routes, masks

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

    def _chosen(self, route: Route, tracks: ObjectTracks, scores: np.ndarray) -> list[Chosen]:
        """The tracks of a sentence, the best first."""
        if route.empty:
            return []
        # An annotated moment says that there is a target.
        least = 0.0 if route.source == ANNOTATED else self.config.vote_threshold
        numbers = chosen_tracks(scores, least=least, share=self.config.vote_share)
        return [Chosen(number, float(scores[number])) for number in numbers]

    def _count(
        self, tracks: ObjectTracks, routes: Sequence[Route], chosen: Sequence[Sequence[Chosen]]
    ) -> None:
        """Count tracks, and the sentences with a target that have none."""
        without = [not own and not route.empty for own, route in zip(chosen, routes, strict=True)]
        self.counts.update(
            {
                TRACKS: len(tracks.names),
                VIDEOS_WITHOUT: int(not tracks.names),
                SENTENCES_WITHOUT: sum(without),
            }
        )


def _voting_part(track: ClipTrack, route: Route) -> ClipTrack:
    """A memory bank without the frames that only read it, as far as they do not vote.

    Those of the sentence's other moments do: there the masks of all banks are united.
    """
    others = tuple(position for position in track.others if route.guided[position])
    return replace(track, others=others)


class _Collector:
    """Gathers the mask logits of E sentences of a video, united over their memory banks.

    Args:
        job: the sentences.
        side: s of the masks.
        gate: blank masks where the object score says that nothing is visible.

    Attributes:
        maps: of each sentence.
        scores: float32 (E, T) highest object score of the banks; NaN where there is none.
    """

    def __init__(self, job: Job, side: int, gate: bool):
        self.maps = [LogitMaps(side) for _ in job.expressions]
        self.scores = np.full((len(job.expressions), job.video.num_frames), np.nan, np.float32)
        self._gate = gate

    def add(self, items: Sequence[Item], decoded: Decoded) -> None:
        """Take the results of B items."""
        scores = decoded.object_score.float().cpu().numpy()
        levels = quantise(decoded.mask_logits)
        for item, score, own in zip(items, scores, levels, strict=True):
            place = (item.expression, item.frame)
            self.scores[place] = np.fmax(self.scores[place], score)
            if score > 0 or not self._gate:
                self.maps[item.expression].put(item.frame, own)
