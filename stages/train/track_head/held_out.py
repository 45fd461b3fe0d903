"""What the fitted head says of held-out videos, with tracks found as `tgl propagate` finds them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from stages.core.index.index import Video
from stages.core.model import budgets
from stages.core.model.adapter.cache import AdapterCache
from stages.core.model.object_tracks.guided import confident_frames, guided_masks
from stages.core.model.object_tracks.own import MapTracks, OwnTracker
from stages.core.model.object_tracks.records import SentenceMasks
from stages.core.model.text import TextBatch
from stages.core.model.tgl import TglModel
from stages.core.model.track_head.decide import target_probability
from stages.core.model.track_head.judging import judge_tracks
from stages.core.model.video_features import FrameSource
from stages.train.track_head.bank import LabelledVideos
from stages.train.track_head.calibrate import Judged

RELEVANT, GAPS, SPECKS, FRAMES, MOST_TRACKS = 0.5, 2, 1, 4, 24
"""The defaults of `tgl propagate`."""
_TOKEN_BYTES = 1e9


@torch.inference_mode()
def judge_videos(model: TglModel, videos: LabelledVideos, chosen: Sequence[Video]) -> Judged:
    """Judge all sentences of some videos.

    Args:
        model: with a fitted head, in eval mode.
        videos: the index that they are from.
        chosen: of these, one after another.
    """
    probability, has_target = [], []
    for video in chosen:
        with videos.open_video(video) as features:
            probability.append(_judge(model, videos, video, features))
        expressions = videos.index.expressions_of(video.video_id)
        has_target += [bool(expression.anno_ids) for expression in expressions]
    joined = np.concatenate(probability) if probability else np.zeros(0)
    return Judged(joined, np.array(has_target, bool))


def _judge(
    model: TglModel, videos: LabelledVideos, video: Video, features: FrameSource
) -> np.ndarray:
    """(E,) probabilities of a target."""
    texts = [videos.texts.get(e.text) for e in videos.index.expressions_of(video.video_id)]
    device = next(model.adapter.parameters()).device
    parts = []
    masks: list[SentenceMasks] = []
    for start in range(0, len(texts), budgets.MOST_EXPRESSIONS):
        batch = TextBatch.of(texts[start : start + budgets.MOST_EXPRESSIONS]).to(device)
        tokens = AdapterCache(model, features, model.adapter.text(batch), _TOKEN_BYTES)
        relevance = tokens.relevance().float().sigmoid().cpu().numpy()
        guided = np.stack([_guided(own) for own in relevance])
        masks += guided_masks(model, tokens, guided, relevance, model.segmenter, by_time=False)
        parts.append((tokens, relevance))
    maps, _ = OwnTracker(model.tracker(), FRAMES, MOST_TRACKS).find(features, masks)
    names = [str(number) for number in range(len(maps))]
    tracks = MapTracks(names, maps, (video.height, video.width), device)
    return np.array(
        [
            target_probability(match, own)
            for tokens, relevance in parts
            for match, own in zip(
                judge_tracks(model, tokens, len(tracks.names), tracks.cover).match,
                relevance,
                strict=True,
            )
        ]
    )


def _guided(relevance: np.ndarray) -> np.ndarray:
    """Bool (T,): the relevant frames, at least the best one."""
    guided = confident_frames(relevance, threshold=RELEVANT, gaps=GAPS, specks=SPECKS)
    if not guided.any():
        guided[int(relevance.argmax())] = True
    return guided
