"""A tgl checkpoint as a judge: its track head, or its relevance, its heat map, and its masks.

The track head was fitted for this. A checkpoint without one is asked in another way:

The language path finds an object, and the tracker draws it better. The evidence for a track in a
relevant frame is the mean of two shares: of the track's pixels that the mask of the language path
covers, and of the heat map's mass (softmax over the frame) that lies inside the track. Evidence is
compared among the tracks of a sentence; whether any of them is meant is up to the relevance, whose
five highest values tell sentences with a target from those without.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from stages.core.engine.runtime import Runtime
from stages.core.index.index import Expression
from stages.core.index.texts import TextEmbedding
from stages.core.media.rle import decode
from stages.core.model import budgets
from stages.core.model.adapter.cache import AdapterCache
from stages.core.model.backbones.records import Decoded
from stages.core.model.checkpoint import load_for_texts
from stages.core.model.device import autocast, pick_device
from stages.core.model.dual_path.segmenter import Segmenter
from stages.core.model.dual_path.tracks import Item, guided_rounds, plan_tracks
from stages.core.model.masks import resize_masks
from stages.core.model.object_tracks.guided import confident_or_best
from stages.core.model.object_tracks.rle_tracks import RleTracks
from stages.core.model.text import TextBatch
from stages.core.model.track_head.decide import target_probability
from stages.core.model.track_head.judging import judge_tracks
from stages.core.model.video_features import VideoFeatures
from stages.tools.select_moments.config import SelectConfig, source_name
from stages.tools.select_moments.judges.judge import Advance, Case, Scores, ScoringJudge

LEAST_EVIDENCE = 0.05
"""Mean evidence below which a track is never accepted. Chosen together with what evidence is on 240
sentences of 40 toy dev clips (seed 5), with true masks as candidates: J 0.77 to 0.79 for thresholds
from 0.4 to 0.5; with the mask's share alone times the relevance 0.73 at best."""
_HIGHEST = 5
"""Relevances, the highest of a video, whose mean tells whether a sentence has a target."""
_RELEVANT = 0.5
"""Probability from which a frame is relevant, as in `tgl propagate`."""
_TINY = 1e-9
_FEATURE_BYTES = 2_000_000_000
_CHUNK = 8


class Texts(Protocol):
    """Embeddings by sentence, such as a ``TextStore``."""

    dim: int

    def require(self, expressions: Iterable[str]) -> None:
        """Make the embeddings of some sentences ready."""

    def get(self, expression: str) -> TextEmbedding:
        """The embedding of one of them."""


class CheckpointJudge(ScoringJudge):
    """Judges tracks with a model of `tgl train`.

    Only relevant frames are segmented, all sentences of a video as a batch over shared features.

    Args:
        config: of the run.
        folder: of the checkpoint.
        texts: embeddings of the sentences.
        runtime: device, precision, and threads that decode frames.

    Raises:
        MissingInput, CorruptInput, SchemaMismatch: the checkpoint or the texts cannot be read, or
            do not fit each other.
    """

    def __init__(self, config: SelectConfig, folder: Path, texts: Texts, runtime: Runtime):
        super().__init__(config)
        self.source = source_name(config.model)
        self._runtime = runtime
        self._device = pick_device(runtime.device)
        self._texts = texts
        self._model = load_for_texts(folder, self._texts.dim).to(self._device)

    @torch.inference_mode()
    def scores(self, case: Case, advance: Advance) -> Scores:
        """See ``ScoringJudge``."""
        self._texts.require(expression.text for expression in case.expressions)
        frames = np.zeros((len(case.pairs), case.video.num_frames))
        whole = np.zeros(len(case.pairs))
        with ThreadPoolExecutor(self._runtime.workers) as decoders:
            features = VideoFeatures(
                case.video,
                self._model.encode_frames,
                size=self._model.backbone.image_size,
                device=self._device,
                budget=_FEATURE_BYTES,
                chunk=_CHUNK,
                decoders=decoders,
            )
            try:
                for start in range(0, len(case.expressions), budgets.MOST_EXPRESSIONS):
                    rows = range(
                        start, min(start + budgets.MOST_EXPRESSIONS, len(case.expressions))
                    )
                    self._score(case, rows, features, frames, whole)
            finally:
                features.close()
        advance(case.video.num_frames)
        return Scores(frames, whole)

    def _score(
        self,
        case: Case,
        rows: range,
        features: VideoFeatures,
        frames: np.ndarray,
        whole: np.ndarray,
    ) -> None:
        """Fill in the scores (P, T) and (P,) of the pairs of some sentences."""
        if self._model.track_head is not None:
            self._ask_head(case, rows, features, frames, whole)
            return
        with autocast(self._runtime.precision, self._device):
            tokens = self._tokens([case.expressions[row] for row in rows], features)
            relevance = tokens.relevance().float().sigmoid().cpu().numpy()  # (E, T)
            guided = np.stack([self._relevant(own) for own in relevance])
            evidence = _Evidence(case, rows, self._model.backbone.mask_size)
            config = self._model.segmenter
            gate = config.gates(training=False)
            segmenter = Segmenter(self._model.backbone, config)
            path = self._model.language_path(tokens, tokens.text, config)
            times = np.arange(case.video.num_frames)
            tracks = plan_tracks(guided, times, per_moment=config.per_moment_banks)
            for items in guided_rounds(tracks, by_time=not features.resident):
                for batch, decoded in segmenter.guide(
                    items, lambda items: features.of([item.frame for item in items]), path
                ):
                    evidence.add(batch, decoded, self._heat(batch, tokens), gate=gate)
        for own, row in enumerate(rows):
            numbers = [n for n, pair in enumerate(case.pairs) if pair.row == row]
            if numbers:
                names = [case.pairs[number].anno_id for number in numbers]
                visible = np.stack([case.visible(name) for name in names])
                found = combine(relevance[own], guided[own], evidence.of(own, names), visible)
                frames[numbers], whole[numbers] = found

    def _ask_head(
        self,
        case: Case,
        rows: range,
        features: VideoFeatures,
        frames: np.ndarray,
        whole: np.ndarray,
    ) -> None:
        """As ``_score``, by the track head: its relevance where a track is visible.

        The score of a track is its match as a share of the best track's, 0 where the head sees no
        target. All tracks of the video are compared, whichever sentence they were found for.
        """
        names = list(case.tracks)
        size = (case.video.height, case.video.width)
        tracks = RleTracks(
            names, [case.tracks[name] for name in names], size, Path(case.video.video_id)
        )
        with autocast(self._runtime.precision, self._device):
            tokens = self._tokens([case.expressions[row] for row in rows], features)
            found = judge_tracks(self._model, tokens, len(names), tracks.cover)
            relevance = tokens.relevance().float().sigmoid().cpu().numpy()  # (E, T)
        least = self._model.thresholds.no_target
        for number, pair in enumerate(case.pairs):
            if pair.row not in rows:
                continue
            row, place = pair.row - rows.start, names.index(pair.anno_id)
            match = found.match[row]
            frames[number] = found.relevance[row, place] * case.visible(pair.anno_id)
            if target_probability(match, relevance[row]) >= least:
                whole[number] = match[place] / match.max()

    def _tokens(self, expressions: Sequence[Expression], features: VideoFeatures) -> AdapterCache:
        """The adapter's tokens for some sentences."""
        text = TextBatch.of([self._texts.get(e.text) for e in expressions]).to(self._device)
        encoded = self._model.adapter.text(text)
        return AdapterCache(self._model, features, encoded, _FEATURE_BYTES)

    def _heat(self, items: Sequence[Item], tokens: AdapterCache) -> Tensor:
        """(B, s, s) heat maps of B items, each of sum 1, at the size of the masks."""
        logits = tokens.heat_at([i.expression for i in items], [i.position for i in items])
        heat = logits.float().flatten(1).softmax(dim=1).view_as(logits)
        scale = self._model.backbone.mask_size // heat.shape[-1]
        spread = heat.repeat_interleave(scale, dim=1).repeat_interleave(scale, dim=2)
        return spread / scale**2

    def _relevant(self, relevance: np.ndarray) -> np.ndarray:
        """Bool (T,), the frames of a sentence that the language path segments; at least one."""
        return confident_or_best(
            relevance,
            threshold=_RELEVANT,
            gaps=self._config.fill,
            specks=self._config.drop - 1,
        )


def combine(
    relevance: np.ndarray, guided: np.ndarray, evidence: np.ndarray, visible: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Combine the relevance of a sentence with the evidence for its K tracks.

    Args:
        relevance: (T,) from 0 to 1.
        guided: bool (T,), the relevant frames.
        evidence: (K, T) from 0 to 1, in relevant frames that show the track.
        visible: bool (K, T), frames that show the track.

    Returns:
        (K, T) scores of frames: relevance times the track's evidence as a share of the best
        track's, in this frame if it is relevant, else over all relevant frames; and (K,) scores of
        tracks: the mean of the highest relevances times the same share, 0 below LEAST_EVIDENCE.
    """
    voted = visible & guided
    mean = np.where(voted, evidence, 0.0).sum(axis=1) / np.maximum(voted.sum(axis=1), 1)  # (K,)
    share = _share_of_best(mean)
    inside = _share_of_best(np.where(voted, evidence, 0.0))  # (K, T)
    frames = relevance * np.where(guided, inside, share[:, None]) * visible
    present = float(np.sort(relevance)[-_HIGHEST:].mean())
    return frames, np.where(mean >= LEAST_EVIDENCE, present * share, 0.0)


def _share_of_best(values: np.ndarray) -> np.ndarray:
    """Values (K, ...) as shares of the highest of the K; 0 where all are 0."""
    best = np.broadcast_to(values.max(axis=0), values.shape)
    return np.divide(values, best, out=np.zeros_like(values), where=best > 0)


class _Evidence:
    """Evidence for tracks in the relevant frames of some sentences."""

    def __init__(self, case: Case, rows: range, side: int):
        self._case = case
        self._side = side
        self._names = [list(dict.fromkeys(case.expressions[row].anno_ids)) for row in rows]
        self._small: dict[tuple[str, int], Tensor] = {}
        self._found: dict[tuple[int, str], np.ndarray] = {}

    def add(self, items: Sequence[Item], decoded: Decoded, heat: Tensor, *, gate: bool) -> None:
        """Take the masks of B relevant frames, and their heat maps (B, s, s) of sum 1."""
        masks = (decoded.mask_logits > 0).float()  # (B, s, s)
        if gate:
            masks = masks * (decoded.object_score > 0).float().view(-1, 1, 1)
        masks, heat = masks.cpu(), heat.float().cpu()
        for place, item in enumerate(items):
            for name in self._names[item.expression]:
                if item.frame in self._case.tracks[name]:
                    track = self._track(name, item.frame)
                    covered = float((track * masks[place]).sum() / track.sum().clamp(min=_TINY))
                    mass = float((track * heat[place]).sum())
                    # Moments are tracks of their own, and no two have a frame in common.
                    self._row(item.expression, name)[item.frame] = (covered + mass) / 2

    def of(self, row: int, names: Sequence[str]) -> np.ndarray:
        """(K, T) evidence for K tracks of a sentence, 0 where no mask was made."""
        return np.stack([self._row(row, name) for name in names])

    def _row(self, row: int, anno_id: str) -> np.ndarray:
        frames = self._case.video.num_frames
        return self._found.setdefault((row, anno_id), np.zeros(frames))

    def _track(self, anno_id: str, frame: int) -> Tensor:
        """(s, s): how much of each pixel a track covers."""
        key = (anno_id, frame)
        if key not in self._small:
            mask = decode(self._case.tracks[anno_id][frame], where=f"{anno_id}, frame {frame}")
            whole = torch.from_numpy(np.ascontiguousarray(mask))[None, None]
            self._small[key] = resize_masks(whole, self._side)[0, 0]
        return self._small[key]
