"""Judges held-out videos with the fitted head, on tracks found as `tgl propagate` finds them."""

from __future__ import annotations

import numpy as np
import torch

from stages.core.index.index import Video
from stages.core.model import budgets
from stages.core.model.adapter.cache import AdapterCache
from stages.core.model.object_tracks.guided import confident_or_best, guided_masks
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
def judge_video(model: TglModel, videos: LabelledVideos, video: Video) -> Judged:
    """Judge all sentences of a video.

    Args:
        model: with a fitted head, in eval mode.
        videos: the index that it is from.
        video: one of them.
    """
    with videos.open_video(video) as features:
        probability = _judge(model, videos, video, features)
    index = videos.index
    targeted = [index.has_target(e) for e in index.expressions_of(video.video_id)]
    return Judged(probability, np.array(targeted, bool))


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
        guided = np.stack(
            [
                confident_or_best(own, threshold=RELEVANT, gaps=GAPS, specks=SPECKS)
                for own in relevance
            ]
        )
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
