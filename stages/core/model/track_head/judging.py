"""Judging the tracks of a video with a trained head, in bounded memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from stages.core.engine.batches import BatchSize
from stages.core.model import budgets
from stages.core.model.adapter.cache import AdapterCache
from stages.core.model.tgl import TglModel
from stages.core.model.track_head.evidence import MasksOf, TrackEvidence, gather_evidence
from stages.core.model.track_head.look import track_looks


@dataclass(frozen=True)
class TrackJudgement:
    """The head's judgement on E sentences and N tracks in T frames, in probabilities.

    Attributes:
        match: float32 (E, N), the sentence means the track.
        relevance: float32 (E, N, T), and it is true of the track in the frame.
    """

    match: np.ndarray
    relevance: np.ndarray


@torch.inference_mode()
def judge_tracks(
    model: TglModel, tokens: AdapterCache, tracks: int, masks_of: MasksOf
) -> TrackJudgement:
    """Judge the tracks of a video.

    Args:
        model: in eval mode, with a track head.
        tokens: the adapter's, of the video for E sentences.
        tracks: N, maybe none.
        masks_of: masks of the tracks.

    Raises:
        ValueError: the model has no track head.
    """
    if model.track_head is None:
        raise ValueError("the model has no track head")
    total, sentences = len(tokens.features), len(tokens.text.context)
    match = np.zeros((sentences, tracks), np.float32)
    relevance = np.zeros((sentences, tracks, total), np.float32)
    if not tracks:
        return TrackJudgement(match, relevance)
    looks = track_looks(tokens.features.of, masks_of, total)
    values = tracks * total * budgets.FLOAT_BYTES
    collected = BatchSize(max(1, budgets.EVIDENCE_BYTES // (values * model.config.adapter_width)))
    judged = BatchSize(max(1, budgets.HEAD_BYTES // (values * model.config.track_width)))
    head = model.track_head

    def judge(part: Sequence[int]) -> None:
        first = part[0]
        evidence = collect(model, tokens, slice(first, part[-1] + 1), masks_of, looks)

        def read(own: Sequence[int]) -> list[np.ndarray]:
            found = head(evidence.rows(slice(own[0] - first, own[-1] + 1 - first)))
            return [one.float().sigmoid().cpu().numpy() for one in found]

        for rows, found in judged.run(part, read):
            match[list(rows)], relevance[list(rows)] = found

    for _ in collected.run(range(sentences), judge):
        pass
    return TrackJudgement(match, relevance)


def collect(
    model: TglModel, tokens: AdapterCache, rows: slice, masks_of: MasksOf, looks: Tensor
) -> TrackEvidence:
    """The evidence of some of the sentences; ``looks`` (N, A) are the same for all."""
    return gather_evidence(
        model.adapter,
        tokens.blocks(rows),
        tokens.relevance()[rows],
        tokens.text[rows],
        masks_of,
        looks,
    )
