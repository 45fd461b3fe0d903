"""Validation while training: J by annotated moments, and the relevance of whole videos."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import closing
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
from stages.train.validation.choice import chosen_sentences, frames_compared
from stages.train.validation.relevance import (
    RankedFrames,
    control_sentences,
    has_labels,
    rank_frames,
    relevance_scores,
)
from stages.train.validation.truth import PackedMasks, true_masks
from stages.train.validation.videos import OpenVideo

_AHEAD_PER_THREAD = 2
"""Sentences whose true masks may be in work or wait; 32 frames of 1024 x 1024 take 4 MB."""

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
        threads: number of threads that make the true masks.
    """

    index: Index
    texts: TextStore
    open_video: OpenVideo
    config: TrainConfig
    size: int
    threads: int

    @torch.no_grad()
    def __call__(self, model: TglModel, accelerator: Accelerator) -> Score:
        """Score the model: masks on a few frames of each video, relevance on all.

        J is the mean over sentences of the mean over frames; 1 where truth and mask are empty.
        Processes divide the videos among them and return the same result.
        """
        training = model.training
        model.eval()
        rows: list[Scored] = []
        chosen = chosen_sentences(self.config, self.index)
        own = list(chosen)[accelerator.process_index :: accelerator.num_processes]
        with (
            ThreadPoolExecutor(self.threads, "truth") as threads,
            closing(self._truth([chosen[video] for video in own], threads)) as truth,
        ):
            for video_id in own:
                with self.open_video(self.index.videos[video_id]) as features:
                    device = accelerator.device
                    rows += self._score(model, features, video_id, chosen, truth, device)
        model.train(training)
        if accelerator.num_processes > 1:
            rows = gather_object(rows)
        rows.sort(key=lambda row: row.number)
        score = {"J": float(np.mean([row.iou for row in rows]))}
        return score | relevance_scores(row.ranked for row in rows if row.ranked is not None)

    def _truth(
        self, sentences: Sequence[Sequence[tuple[int, Expression]]], threads: Executor
    ) -> Generator[PackedMasks]:
        """The true masks of sentences, video by video."""
        expressions = [expression for of_video in sentences for _, expression in of_video]
        videos = [self.index.videos[expression.video_id] for expression in expressions]
        wanted = (
            (video, expression, frames_compared(self.config, video))
            for video, expression in zip(videos, expressions, strict=True)
        )
        yield from true_masks(
            self.index, wanted, self.size, threads, ahead=_AHEAD_PER_THREAD * self.threads
        )

    def _score(
        self,
        model: TglModel,
        features: FrameSource,
        video_id: str,
        chosen: Mapping[str, Sequence[tuple[int, Expression]]],
        truth: Iterator[PackedMasks],
        device: torch.device,
    ) -> list[Scored]:
        """Results of a video's sentences."""
        sentences = [expression for _, expression in chosen[video_id]]
        video = self.index.videos[video_id]
        ious = self._ious(model, features, video, sentences, truth, device)
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
        truth: Iterator[PackedMasks],
        device: torch.device,
    ) -> list[float]:
        """Mean IoU of each of a video's sentences, over evenly spaced frames."""
        frames = frames_compared(self.config, video)
        text = TextBatch.of([self.texts.get(expression.text) for expression in sentences])
        relevant = np.stack([self._relevant(expression, frames) for expression in sentences])
        out = model.clip(
            features.of(frames.tolist()),
            text.to(device),
            torch.from_numpy(relevant).to(device),
            times=torch.from_numpy(frames).to(device),
            mdp=self.config.mdp,
        )
        counts = [
            overlap(logits, score, next(truth).on(device))
            for logits, score in zip(out.mask_logits, out.object_score_logits, strict=True)
        ]
        intersection, union = torch.stack(counts, dim=1).cpu().numpy()  # (E, T) each
        found = np.where(union > 0, intersection / np.maximum(union, 1), 1.0)
        return [float(of_sentence.mean()) for of_sentence in found]

    def _relevant(self, expression: Expression, frames: np.ndarray) -> np.ndarray:
        """Bool (T,): t in M+ for the frames; all True if moments are unknown or not used."""
        if self.config.reads_moments and has_labels(self.index, expression):
            return self.index.relevant(*expression.key)[frames]
        return np.ones(len(frames), dtype=bool)


def overlap(logits: Tensor, object_score: Tensor, truth: Tensor) -> Tensor:
    """Pixels in both and in either of two masks, int64 (2, T), where the tensors are.

    Args:
        logits: (T, s, s), enlarged to the side of `truth`.
        object_score: (T,) logits; where no object is visible the mask is empty.
        truth: bool (T, S, S).
    """
    size = tuple(truth.shape[-2:])
    large = F.interpolate(
        logits.float().unsqueeze(0), size=size, mode="bilinear", align_corners=False
    )[0]  # (T, S, S)
    masks = (large > 0) & (object_score > 0)[:, None, None]
    return torch.stack([(masks & truth).sum(dim=(1, 2)), (masks | truth).sum(dim=(1, 2))])
