"""Validation while training: J by annotated moments, and the relevance of whole videos."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor

from stages.core.index.index import Expression, Index, Video
from stages.core.index.texts import TextStore
from stages.core.model.text import TextBatch
from stages.core.model.tgl import TglModel
from stages.core.model.video_features import FrameSource
from stages.train.config import TrainConfig
from stages.train.data.targets import ReferentMasks
from stages.train.validation.relevance import (
    RankedFrames,
    control_sentences,
    has_labels,
    rank_frames,
    relevance_scores,
)
from stages.train.validation.videos import OpenVideo

Score = dict[str, float]
"""`J`, and if moments are used the measures of ``relevance.relevance_scores``."""


@dataclass(frozen=True)
class Scored:
    """Results of a sentence.

    Attributes:
        number: of the sentence in the index.
        ranked: relevance of the whole video; None if its moments are not known or not used.
    """

    number: int
    iou: float
    ranked: RankedFrames | None


@dataclass(frozen=True)
class Validator:
    """Scores a model on some sentences of an index.

    A model trained without moments gets none here either: all its frames are guided.

    Attributes:
        size: S, side at which masks are compared.
    """

    index: Index
    texts: TextStore
    open_video: OpenVideo
    config: TrainConfig
    size: int

    @torch.no_grad()
    def __call__(self, model: TglModel, accelerator: Accelerator) -> Score:
        """Score the model: masks on a few frames of each video, relevance on all.

        J is the mean over sentences of the mean over frames; 1 where truth and mask are empty.
        Processes divide the videos among them and return the same result.
        """
        training = model.training
        model.eval()
        rows: list[Scored] = []
        chosen = self._chosen()
        for video_id in list(chosen)[accelerator.process_index :: accelerator.num_processes]:
            with self.open_video(self.index.videos[video_id]) as features:
                rows += self._score(model, features, video_id, chosen, accelerator.device)
        model.train(training)
        if accelerator.num_processes > 1:
            rows = gather_object(rows)
        rows.sort(key=lambda row: row.number)
        score = {"J": float(np.mean([row.iou for row in rows]))}
        return score | relevance_scores(row.ranked for row in rows if row.ranked is not None)

    def _chosen(self) -> dict[str, list[tuple[int, Expression]]]:
        """Evenly spaced sentences by video, with their numbers."""
        expressions = self.index.expressions
        count = min(self.config.valid_expressions, len(expressions))
        by_video: dict[str, list[tuple[int, Expression]]] = defaultdict(list)
        for number in np.arange(count) * len(expressions) // count:
            expression = expressions[number]
            by_video[expression.video_id].append((int(number), expression))
        return by_video

    def _score(
        self,
        model: TglModel,
        features: FrameSource,
        video_id: str,
        chosen: Mapping[str, Sequence[tuple[int, Expression]]],
        device: torch.device,
    ) -> list[Scored]:
        """Results of a video's sentences."""
        sentences = [expression for _, expression in chosen[video_id]]
        ious = self._ious(model, features, self.index.videos[video_id], sentences, device)
        ranked: Mapping[tuple[str, str], RankedFrames] = {}
        if self.config.reads_moments:
            by_video = {video: [e for _, e in found] for video, found in chosen.items()}
            others = control_sentences(by_video, video_id)
            ranked = rank_frames(model, self.index, self.texts, features, sentences, others)
        return [
            Scored(number, iou, ranked.get(expression.key))
            for (number, expression), iou in zip(chosen[video_id], ious, strict=True)
        ]

    def _ious(
        self,
        model: TglModel,
        features: FrameSource,
        video: Video,
        sentences: Sequence[Expression],
        device: torch.device,
    ) -> list[float]:
        """Mean IoU of each of a video's sentences, over evenly spaced frames."""
        count = min(self.config.valid_frames, video.num_frames)
        frames = np.arange(count) * video.num_frames // count
        text = TextBatch.of([self.texts.get(expression.text) for expression in sentences])
        relevant = np.stack([self._relevant(expression, frames) for expression in sentences])
        out = model.clip(
            features.of(frames.tolist()),
            text.to(device),
            torch.from_numpy(relevant).to(device),
            times=torch.from_numpy(frames).to(device),
            mdp=self.config.mdp,
        )
        masks = self._full_size(out.mask_logits, out.object_score_logits)
        return [
            self._iou(masks[row], video, expression, frames)
            for row, expression in enumerate(sentences)
        ]

    def _relevant(self, expression: Expression, frames: np.ndarray) -> np.ndarray:
        """Bool (T,): t in M+ for the frames; all True if moments are unknown or not used."""
        if self.config.reads_moments and has_labels(self.index, expression):
            return self.index.relevant(*expression.key)[frames]
        return np.ones(len(frames), dtype=bool)

    def _full_size(self, logits: Tensor, object_score: Tensor) -> np.ndarray:
        """Bool (E, T, S, S) from logits (E, T, s, s), empty where no object is visible."""
        large = F.interpolate(
            logits.float(), size=(self.size, self.size), mode="bilinear", align_corners=False
        )
        return ((large > 0) & (object_score > 0)[:, :, None, None]).cpu().numpy()

    def _iou(
        self, masks: np.ndarray, video: Video, expression: Expression, frames: np.ndarray
    ) -> float:
        """Mean IoU of masks (T, S, S) with all referents of a sentence."""
        referents = ReferentMasks.of(self.index, video, expression.anno_ids)
        truth = referents.binary(frames, self.size) > 0
        intersection = (masks & truth).sum(axis=(1, 2))
        union = (masks | truth).sum(axis=(1, 2))
        return float(np.where(union > 0, intersection / np.maximum(union, 1), 1.0).mean())
