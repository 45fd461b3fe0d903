"""Relevance of whole videos, measured on a held-out index as `tgl propagate` computes it.

The share of right frames at a fixed threshold says little: a model that finds every moment may be
off in its threshold, and one that calls every frame irrelevant is right most of the time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from stages.core.engine.runtime import Runtime
from stages.core.index.index import Expression, Index
from stages.core.index.texts import TextStore
from stages.core.model.adapter.cache import AdapterCache
from stages.core.model.checkpoint import load_for_texts
from stages.core.model.device import autocast, pick_device
from stages.core.model.text import TextBatch
from stages.core.model.tgl import TglModel
from stages.core.model.video_features import FrameSource
from stages.train.validation.ranking import area_under_roc, average_precision
from stages.train.validation.videos import KeptVideos

CONTROL_SENTENCES = 2
"""Sentences of another video that each video is also scored with, to see what its frames alone
give away; each costs as much as one of the video's own."""


@dataclass(frozen=True)
class RankedFrames:
    """All frames of a video, scored for one of its sentences.

    Attributes:
        scores: (T,) logits of the model.
        relevant: bool (T,), t in M+.
        control: (T,) logits for a sentence of another video; None if it was not scored with one.
    """

    scores: np.ndarray
    relevant: np.ndarray
    control: np.ndarray | None


def has_labels(index: Index, expression: Expression) -> bool:
    """Return whether M+ of a sentence is known: its moments are, or it has no target."""
    return bool(index.moments(*expression.key)) or not expression.anno_ids


def control_sentences(
    chosen: Mapping[str, Sequence[Expression]], video_id: str
) -> list[Expression]:
    """Sentences of the next video in `chosen`, without those that this video has too."""
    videos = list(chosen)
    following = videos[(videos.index(video_id) + 1) % len(videos)]
    if following == video_id:
        return []
    own = {expression.text for expression in chosen[video_id]}
    return [e for e in chosen[following] if e.text not in own][:CONTROL_SENTENCES]


@torch.no_grad()
def rank_frames(
    model: TglModel,
    index: Index,
    texts: TextStore,
    features: FrameSource,
    sentences: Sequence[Expression],
    control: Sequence[Expression],
) -> dict[tuple[str, str], RankedFrames]:
    """Score all frames of a video for some of its sentences, as one batch.

    Args:
        model: in eval mode.
        features: of the video.
        sentences: of the video; those whose moments are not known are left out.
        control: sentences of another video; the k-th serves the k-th of `sentences`.

    Returns:
        Frames by the key of their sentence.
    """
    known = [expression for expression in sentences if has_labels(index, expression)]
    others = control[: len(known)]
    if not known:
        return {}
    text = TextBatch.of([texts.get(expression.text) for expression in (*known, *others)])
    logits = _relevance(model, features, text)
    return {
        expression.key: RankedFrames(
            scores=logits[row],
            relevant=index.relevant(*expression.key),
            control=logits[len(known) + row] if row < len(others) else None,
        )
        for row, expression in enumerate(known)
    }


def relevance_scores(ranked: Iterable[RankedFrames]) -> dict[str, float]:
    """Measures over all frames, and means over sentences; those that are not defined are left out.

    Returns:
        "relevance_auc" and "relevance_ap" over the frames of all sentences together;
        "relevance_auc_per_sentence" and "relevance_ap_per_sentence", means over the sentences
        with relevant and irrelevant frames; "relevance_auc_other", the first measure with
        sentences of another video and the labels of the video's own.
    """
    everything = list(ranked)
    both = [one for one in everything if one.relevant.any() and not one.relevant.all()]
    checked = [one for one in everything if one.control is not None]
    scores = _joined([one.scores for one in everything])
    relevant = _joined([one.relevant for one in everything])
    control = _joined([one.control for one in checked if one.control is not None])
    found = {
        "relevance_auc": area_under_roc(scores, relevant),
        "relevance_ap": average_precision(scores, relevant),
        "relevance_auc_per_sentence": _mean([area_under_roc(o.scores, o.relevant) for o in both]),
        "relevance_ap_per_sentence": _mean([average_precision(o.scores, o.relevant) for o in both]),
        "relevance_auc_other": area_under_roc(control, _joined([o.relevant for o in checked])),
    }
    return {name: value for name, value in found.items() if value is not None}


def measure_checkpoint(
    checkpoint: Path, index: Path, text: Path, *, runtime: Runtime
) -> dict[str, float]:
    """Measure the relevance of a finished checkpoint on all sentences of an index.

    Returns:
        As ``relevance_scores``.

    Raises:
        MissingInput, CorruptInput, SchemaMismatch: one of the folders cannot be read, or they do
            not fit each other.
    """
    data, texts = Index.open(index), TextStore.open(text)
    texts.require(expression.text for expression in data.expressions)
    device = pick_device(runtime.device)
    model = load_for_texts(checkpoint, texts.dim).to(device).eval()
    size, workers = model.backbone.image_size, runtime.workers
    chosen = {video: data.expressions_of(video) for video in data.videos}
    ranked: list[RankedFrames] = []
    with autocast(runtime.precision, device):
        open_video = KeptVideos(model.encode_frames, size, device, decoders=workers, budget=0)
        for video_id, sentences in chosen.items():
            with open_video(data.videos[video_id]) as features:
                others = control_sentences(chosen, video_id)
                ranked += rank_frames(model, data, texts, features, sentences, others).values()
    return relevance_scores(ranked)


def _relevance(model: TglModel, features: FrameSource, text: TextBatch) -> np.ndarray:
    """(E, T) logits of a whole video, in bounded memory."""
    text.check_dim(model.text_dim)
    encoded = model.adapter.text(text.to(_device(model)))
    logits: Tensor = AdapterCache(model, features, encoded, budget=0).relevance()
    return logits.float().cpu().numpy()


def _device(model: TglModel) -> torch.device:
    return next(model.adapter.parameters()).device


def _joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts) if parts else np.zeros(0, bool)


def _mean(values: Sequence[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None
